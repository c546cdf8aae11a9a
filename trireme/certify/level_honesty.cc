// C3: what the chip says of itself is what it does: over shapes nobody declared, about who computes, about what it may
// keep.
#include <ctime>

#include <algorithm>
#include <cstring>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/certify/random_case.h"
#include "trireme/ir/registry.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/plan.h"

namespace trireme::certify {
namespace {

void need_compute(const Subject& subject) {
  if (subject.chip.compute() == nullptr) throw Finding(Verdict::kUnsupported, "no compute bank");
}

// A declared case with other sizes: each value of a size becomes another, wherever it stands.
OpCase random_sizes(OpCase given, uint64_t seed) {
  constexpr int64_t sizes[] = {1, 2, 3, 4, 6, 8, 11, 16, 19, 31, 32, 33, 50};
  std::set<int64_t> present;
  for (const Operand& operand : given.operands) present.insert(operand.type.shape.begin(), operand.type.shape.end());
  uint64_t draw = 0;
  for (const int64_t size : present) {
    const auto to = sizes[static_cast<size_t>(uniform(seed, draw++, 0.0, std::size(sizes)))];
    // By way of a size that stands nowhere, so that two sizes do not become one by accident only to be split again.
    if (size == 0) continue;
    if (auto other = resized(given, size, to)) given = std::move(*other);
  }
  return given;
}

std::string keeps_its_word(const Subject& subject, const OpDecl& op, uint64_t seed) {
  const std::vector<OpCase> cases = cases_of(op);
  bool native = false;
  for (uint64_t k = 0; k < 4; ++k) {
    const auto which = static_cast<size_t>(uniform(seed, k, 0.0, static_cast<double>(cases.size())));
    const OpCase given = random_sizes(cases[which], seed + 17 * k);
    const Instance instance = instantiate(given, seed);
    const runtime::Work work = runtime::work_of(instance.graph().outputs()[0].node());
    if (work.flops > 3e5 || work.bytes > 3e5) continue;  // the reference would take seconds
    std::string sizes;
    for (const Operand& operand : given.operands) {
      append(sizes, operand.absent ? std::string(" _") : cat(" ", operand.type.text()));
    }
    const NamedLayout& layout = all_layouts()[static_cast<size_t>(uniform(seed, 50 + k, 0.0, 5.0))];
    try {
      native = verify(subject.open(), instance.graph(), instance.inputs, layout).verdict != TRM_NO || native;
    } catch (const Finding& finding) {
      throw Finding(finding.verdict(), cat(given.text, " with the sizes", sizes, ": ", finding.what()));
    }
  }
  if (!native) throw Finding(Verdict::kUnsupported, "no such kernel");
  return "kept";
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// An asynchronous chip hands work over: the caller's own time must not grow with it.
std::string who_computes(const Subject& subject) {
  need_compute(subject);
  OpenChip& chip = subject.open();
  if (chip.has_flag(TRM_SYNC_ONLY)) {
    throw Finding(Verdict::kUnsupported, "a synchronous device: who computes inside its calls is not shown");
  }
  const auto seconds_for = [&](int64_t size) {
    const Value x = parameter(f32, {size});
    const runtime::ProgramRef program = runtime::make_program(Graph({x}, {make_node(get_op("exp"), {x}, {})}));
    const TrmAnswer answer = chip.query(program);
    if (answer.verdict != TRM_NATIVE || answer.runs_on_host != 0) throw Finding(Verdict::kUnsupported, answer.text);
    TrmKernel* kernel = nullptr;
    chip.check(chip.prepare(program, &kernel), "prepare", Verdict::kLie);
    const auto bytes = static_cast<uint64_t>(size) * 4;
    const TrmMem operands[] = {chip.allocate(bytes), chip.allocate(bytes)};
    const TrmMem workspace = answer.workspace_bytes > 0 ? chip.allocate(answer.workspace_bytes) : TrmMem{};
    const std::vector<char> zeros(bytes, 0);
    chip.write(operands[0], zeros.data(), bytes);
    const double begin = thread_seconds();
    chip.check(
        chip.compute().enqueue(chip.device(), kernel, operands, 2, answer.workspace_bytes > 0 ? &workspace : nullptr,
                               nullptr, OpenChip::next_tag(), chip.error()),
        "enqueue", Verdict::kLie);
    chip.sync();
    const double spent = thread_seconds() - begin;
    chip.compute().release(chip.device(), kernel);
    for (const TrmMem& mem : operands) chip.free(mem);
    if (workspace.handle != 0) chip.free(workspace);
    return spent;
  };
  seconds_for(1 << 10);  // the first launch may compile
  const double small = seconds_for(1 << 10), large = seconds_for(1 << 20);
  if (large > small + 5e-3) {
    throw Finding(Verdict::kLie, cat("the answer says that the chip computes, and the calling thread works ",
                                     large * 1e3, " ms on exp of 2^20 elements, ", small * 1e3, " ms on 2^10"));
  }
  return "";
}

// Constants belong to the program; a kernel that did not retain it must have copied them.
std::string constants_are_kept(const Subject& subject) {
  need_compute(subject);
  OpenChip& chip = subject.open();
  static std::vector<float> bytes(64);  // outlives the literal, so that a chip that reads them late is seen, not killed
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<float>(i) + 0.5f;
  TrmKernel* kernel = nullptr;
  TrmAnswer answer{};
  {
    const std::shared_ptr<const void> owner(bytes.data(),
                                            [](const void*) { std::fill(bytes.begin(), bytes.end(), -7e7f); });
    const auto literal = std::make_shared<const Literal>(f32, Shape{64}, owner, bytes.data());
    const Value x = parameter(f32, {64}), c = make_node(get_op("constant"), {}, {literal});
    const runtime::ProgramRef program = runtime::make_program(Graph({x}, {make_node(get_op("add"), {x, c}, {})}));
    answer = chip.query(program);
    if (answer.verdict != TRM_NATIVE) throw Finding(Verdict::kUnsupported, answer.text);
    chip.check(chip.prepare(program, &kernel), "prepare", Verdict::kLie);
  }
  std::vector<std::vector<char>> reuse;  // what was let go is somebody else's now
  for (size_t k = 0; k < 4000; ++k) reuse.emplace_back(16 + k % 600, static_cast<char>(0xEE));
  const TrmMem operands[] = {chip.allocate(256), chip.allocate(256)};
  const TrmMem workspace = answer.workspace_bytes > 0 ? chip.allocate(answer.workspace_bytes) : TrmMem{};
  const std::vector<float> ones(64, 1.0f);
  chip.write(operands[0], ones.data(), 256);
  chip.check(
      chip.compute().enqueue(chip.device(), kernel, operands, 2, answer.workspace_bytes > 0 ? &workspace : nullptr,
                             nullptr, OpenChip::next_tag(), chip.error()),
      "enqueue", Verdict::kLie);
  chip.sync();
  std::vector<float> got(64);
  chip.read(operands[1], got.data(), 256);
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] != static_cast<float>(i) + 1.5f) {
      throw Finding(Verdict::kWrong, cat("a constant changed after prepare, when the host let the program go: element ",
                                         i, " of 1 + c is ", got[i], ", expected ", static_cast<float>(i) + 1.5f));
    }
  }
  chip.compute().release(chip.device(), kernel);
  return "";
}

// A graph of what the chip says it has, without help: the ledger must put all of it there.
std::string the_ledger_agrees(const Subject& subject) {
  need_compute(subject);
  OpenChip& chip = subject.open();
  const Program program = random_program(subject.seed, 6);
  runtime::Device& device = runtime::Device::get(chip.name());
  std::shared_ptr<runtime::Plan> plan;
  try {
    plan = runtime::Plan::make(program.graph, {.target = &device, .fallback = runtime::Fallback::kError});
  } catch (const Error& refused) {
    if (refused.code() != Code::kUnsupported) throw;
    throw Finding(Verdict::kUnsupported, refused.what());
  }
  for (const runtime::LedgerRow& row : plan->ledger().rows) {
    if (!row.on_target) throw Finding(Verdict::kLie, cat("planned without help, and ", row.op, " is not on the chip"));
  }
  verify_through_runtime(chip, program.graph, program.inputs, "", true);
  return "";
}

}  // namespace

std::vector<Case> honesty_cases(uint64_t seed) {
  std::vector<Case> out;
  for (const OpDecl* op : registered_ops()) {
    if (is_host_work(*op) || op->cases.texts.empty()) continue;
    const bool mandatory = op->tier.value == Tier::kBringUp || op->tier.value == Tier::kMandatory;
    out.push_back({Part::kHonesty,
                   mandatory ? Level::kTrains : Level::kComplete,
                   cat("random tuples of ", op->id()),
                   std::string(),
                   std::string(),
                   false,
                   [op, seed](const Subject& subject) {
                     need_compute(subject);
                     return keeps_its_word(subject, *op, seed * 7919 + seed_of(op->id()));
                   },
                   {}});
  }
  const auto add = [&](const char* name, std::string (*run)(const Subject&)) {
    out.push_back({Part::kHonesty, Level::kTrains, name, "", "", false, run, {}});
  };
  add("who computes", who_computes);
  add("constants are kept", constants_are_kept);
  add("the ledger agrees", the_ledger_agrees);
  return out;
}

}  // namespace trireme::certify

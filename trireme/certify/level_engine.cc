// C6: a chip that chooses its own regions: they are legal, and what they compute is what the ops one by one mean. And
// kernels that are kept as bytes: they come back as what they were, and bytes that are stale or damaged do not.
#include <algorithm>
#include <cstring>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/certify/random_case.h"
#include "trireme/ir/registry.h"
#include "trireme/runtime/host.h"

namespace trireme::certify {
namespace {

std::string regions(const Subject& subject, uint64_t number) {
  OpenChip& chip = subject.open();
  if (chip.compute().partition == nullptr) throw Finding(Verdict::kUnsupported, "the slot partition is null");
  const Program program = random_program(subject.seed * 977 + number, 6 + static_cast<int>(number) * 3);
  const runtime::ProgramRef whole = runtime::make_program(program.graph);
  const TrmPart* parts = nullptr;
  uint32_t count = 0;
  chip.check(chip.compute().partition(chip.device(), whole.get(), &parts, &count, chip.error()), "partition");
  const chip::Program view(runtime::host_services().program, whole.get());
  std::vector<uint32_t> part_of(view.node_count(), TRM_ABSENT), maker(view.value_count(), TRM_ABSENT);
  for (uint32_t p = 0; p < count; ++p) {
    for (uint32_t k = 0; k < parts[p].node_count; ++k) {
      const uint32_t node = parts[p].nodes[k];
      if (node >= view.node_count()) throw Finding(Verdict::kWrong, cat("a part names node ", node));
      if (part_of[node] != TRM_ABSENT) throw Finding(Verdict::kWrong, cat("node ", node, " is in two parts"));
      part_of[node] = p;
    }
  }
  // A part that is left and entered again cannot run as one.
  std::vector<std::set<uint32_t>> left(view.node_count());  // parts that a path to this node has left
  for (uint32_t n = 0; n < view.node_count(); ++n) {
    const chip::NodeView node = view.node(n);
    for (const uint32_t v : node.outputs()) maker[v] = n;
    for (const uint32_t v : node.inputs()) {
      if (v == TRM_ABSENT || maker[v] == TRM_ABSENT) continue;
      left[n].insert(left[maker[v]].begin(), left[maker[v]].end());
      if (part_of[maker[v]] != TRM_ABSENT && part_of[maker[v]] != part_of[n]) left[n].insert(part_of[maker[v]]);
    }
    if (part_of[n] != TRM_ABSENT && left[n].contains(part_of[n])) {
      throw Finding(Verdict::kWrong, cat("part ", part_of[n], " is left and entered again at node ", n));
    }
  }
  verify_through_runtime(chip, program.graph, program.inputs, " of the engine's regions");
  return cat(count, " regions");
}

// ---- kernels that are kept ------------------------------------------------------------------------------------------

using Blob = std::vector<unsigned char>;

// A program, its kernel, and the kernel as bytes.
struct Kept {
  Program program;
  runtime::ProgramRef ref;
  TrmAnswer answer{};
  Blob blob;
};

// The bytes of a kernel, asked for as chip.h says.
Blob serialized(OpenChip& chip, TrmKernel* kernel, const std::string& build) {
  constexpr unsigned char kCanary = 0xC5;
  const auto serialize = chip.compute().serialize;
  uint64_t wanted = 0;
  chip.check(serialize(chip.device(), kernel, nullptr, &wanted, chip.error()), "serialize, asked for the size alone,");
  if (wanted <= build.size() + 1)
    throw Finding(Verdict::kWrong, cat("serialize wants ", wanted, " bytes for a kernel"));
  Blob blob(wanted + 64, kCanary);
  uint64_t bytes = wanted - 1;
  if (serialize(chip.device(), kernel, blob.data(), &bytes, chip.error()) == TRM_OK) {
    throw Finding(Verdict::kWrong, cat("serialize takes ", wanted - 1, " bytes of room for ", wanted));
  }
  if (blob[wanted - 1] != kCanary) throw Finding(Verdict::kWrong, "serialize writes beyond the room it is given");
  bytes = wanted;
  chip.check(serialize(chip.device(), kernel, blob.data(), &bytes, chip.error()), "serialize");
  if (bytes == 0 || bytes > wanted || blob[wanted] != kCanary) {
    throw Finding(Verdict::kWrong, cat("serialize wants ", wanted, " bytes and writes ", bytes));
  }
  blob.resize(bytes);
  if (bytes <= build.size() || std::memcmp(blob.data(), build.c_str(), build.size() + 1) != 0) {
    throw Finding(Verdict::kWrong, "a kernel's bytes do not begin with the build_id and a zero byte");
  }
  return blob;
}

// Kernels of single ops and of regions, as many of them as the chip takes; their originals are released.
std::vector<Kept> kept_kernels(const Subject& subject, OpenChip& chip) {
  if ((chip.compute().serialize == nullptr) != (chip.compute().deserialize == nullptr)) {
    throw Finding(Verdict::kWrong, "of the slots serialize and deserialize it fills one; each is of no use alone");
  }
  if (chip.compute().serialize == nullptr) {
    throw Finding(Verdict::kUnsupported, "kernels are not kept (the slot serialize is null): the host prepares again");
  }
  std::vector<Program> programs;
  for (const auto& [op, text] : {std::pair{"exp", "[37]"},
                                 {"add", "[5,7] [5,7]"},
                                 {"mul", "[5,7] [5,7]"},
                                 {"reduce_sum", "[6,9] axes=[1]"},
                                 {"dot_general", "[1,6,8] [1,8,5]"}}) {
    Instance instance = instantiate(parse_case(get_op(op), text, f32), subject.seed);
    programs.push_back({instance.graph(), std::move(instance.inputs)});
  }
  for (int nodes = 2; nodes < 8; ++nodes) {
    programs.push_back(random_program(subject.seed * 389 + static_cast<uint64_t>(nodes), nodes));
  }
  std::vector<Kept> out;
  for (Program& program : programs) {
    Kept kept{std::move(program), {}, {}, {}};
    kept.ref = runtime::make_program(kept.program.graph);
    kept.answer = chip.query(kept.ref);
    if (kept.answer.verdict != TRM_NATIVE) continue;
    TrmKernel* kernel = nullptr;
    chip.check(chip.prepare(kept.ref, &kernel), "query said native, and prepare fails", Verdict::kLie);
    kept.blob = serialized(chip, kernel, subject.chip.build_id());
    chip.compute().release(chip.device(), kernel);
    out.push_back(std::move(kept));
  }
  if (out.empty()) throw Finding(Verdict::kUnsupported, "it takes none of the programs that would be kept");
  return out;
}

int32_t load(OpenChip& chip, const Blob& blob, TrmKernel** kernel) {
  return chip.compute().deserialize(chip.device(), blob.data(), blob.size(), kernel, chip.error());
}

// Runs the kernel and releases it.
void expect_right(OpenChip& chip, TrmKernel* kernel, const Kept& kept, std::string_view what) {
  struct Release {
    OpenChip& chip;
    TrmKernel* kernel;
    ~Release() { chip.compute().release(chip.device(), kernel); }
  } const release{chip, kernel};
  std::vector<Layout> inputs;
  for (const Literal& literal : kept.program.inputs) inputs.push_back(dense(literal));
  const auto got = chip.run_kernel(kernel, kept.answer, inputs, kept.program.graph.outputs(), {}, Verdict::kWrong);
  compare_all(expect(kept.program.graph, kept.program.inputs, kept.answer.fixed_point_bits), got, what);
}

std::string come_back(const Subject& subject) {
  OpenChip& chip = subject.open();
  const std::vector<Kept> kernels = kept_kernels(subject, chip);
  OpenChip again(subject.chip);
  for (OpenChip* each : {&chip, &again}) {
    for (size_t k = kernels.size(); k-- > 0;) {
      TrmKernel* kernel = nullptr;
      each->check(load(*each, kernels[k].blob, &kernel), "deserialize of what serialize wrote");
      expect_right(*each, kernel, kernels[k], " of a kernel that was kept and loaded");
    }
  }
  return cat(kernels.size(), " kernels");
}

void expect_refused(OpenChip& chip, const Blob& blob, const std::string& what) {
  TrmKernel* kernel = nullptr;
  const int32_t code = load(chip, blob, &kernel);
  if (code == TRM_OK) {
    chip.compute().release(chip.device(), kernel);
    throw Finding(Verdict::kLie, cat("deserialize takes a kernel ", what));
  }
  if (code != TRM_INVALID)
    throw Finding(Verdict::kWrong, cat("deserialize refuses a kernel ", what, " with code ", code));
}

std::string stale_are_refused(const Subject& subject) {
  OpenChip& chip = subject.open();
  const auto build = static_cast<std::ptrdiff_t>(subject.chip.build_id().size());
  for (const Kept& kept : kept_kernels(subject, chip)) {
    Blob other = kept.blob;
    other[static_cast<size_t>(build) - 1] ^= 1;
    expect_refused(chip, other, "of another build");
    other = kept.blob;
    other.insert(other.begin() + build, 'x');
    expect_refused(chip, other, "of a build with a longer name");
    other = kept.blob;
    other.erase(other.begin() + build - 1);
    expect_refused(chip, other, "of a build with a shorter name");
  }
  return "";
}

std::string damaged_are_refused(const Subject& subject) {
  OpenChip& chip = subject.open();
  for (const Kept& kept : kept_kernels(subject, chip)) {
    const size_t size = kept.blob.size(), head = subject.chip.build_id().size() + 1;
    for (const size_t left : {size_t{0}, size_t{1}, head, head + 1, size / 2, size - 1}) {
      if (left >= size) continue;
      expect_refused(chip, Blob(kept.blob.begin(), kept.blob.begin() + static_cast<std::ptrdiff_t>(left)),
                     cat("of ", size, " bytes of which ", left, " are left"));
    }
    Blob noise(size);
    for (size_t i = 0; i < size; ++i) noise[i] = static_cast<unsigned char>((i * 2654435761u + subject.seed) >> 9);
    expect_refused(chip, noise, "of random bytes");
    std::copy_n(kept.blob.begin(), head, noise.begin());
    expect_refused(chip, noise, "of random bytes behind the build_id");
    for (size_t k = 0; k < 24; ++k) {  // a bit that says nothing may be another one
      Blob flipped = kept.blob;
      const size_t at = head + (size - head) * k / 24;
      flipped[at] ^= static_cast<unsigned char>(1u << k % 8);
      TrmKernel* kernel = nullptr;
      if (load(chip, flipped, &kernel) == TRM_OK) {
        expect_right(chip, kernel, kept,
                     cat(" of a kept kernel of which byte ", at, " was changed, and which is taken"));
      }
    }
  }
  return "";
}

}  // namespace

std::vector<Case> engine_cases(uint64_t) {
  std::vector<Case> out;
  // What a chip offers must be true on every level that asks for ops.
  const auto add = [&](const char* name, std::string (*run)(const Subject&)) {
    out.push_back({Part::kEngine, Level::kComplete, name, "", "", false, run, {}});
  };
  add("kept kernels come back", come_back);
  add("stale kernels are refused", stale_are_refused);
  add("damaged kernels are refused", damaged_are_refused);
  for (uint64_t k = 0; k < 10; ++k) {
    out.push_back({Part::kEngine,
                   Level::kEngine,
                   cat("regions of random program ", k + 1),
                   "",
                   "",
                   false,
                   [k](const Subject& subject) { return regions(subject, k); },
                   {}});
  }
  return out;
}

}  // namespace trireme::certify

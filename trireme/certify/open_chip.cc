#include "trireme/certify/open_chip.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>

#include "trireme/base/strings.h"

namespace trireme::certify {
namespace {

std::string_view code_name(int32_t code) {
  constexpr std::string_view names[] = {"ok",          "invalid", "unsupported", "out of memory", "fault",
                                        "device lost", "timeout", "not ready",   "internal"};
  return code >= 0 && static_cast<size_t>(code) < std::size(names) ? names[code] : "unknown code";
}

// Bytes that look like no value one would compute, different for each `noise`.
void scribble(std::vector<char>& bytes, uint64_t noise) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(0x5a + noise * 37 + i * 13);
}

// One operand in a chunk of its own: guard, data, guard. Memory of addressing "whole" has no room in front.
struct Operand {
  TrmMem chunk{};
  uint64_t begin = 0, bytes = 0, origin = 0;
  std::vector<char> before;           // the whole chunk as it was written
  const Layout* in_pieces = nullptr;  // of an operand too large to be written whole
};

constexpr uint64_t kGigabyte = uint64_t{1} << 30;

// What Linux can hand out without swapping; 0 when it does not say.
uint64_t available_on_host() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    uint64_t kilobytes = 0;
    if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

runtime::ProgramRef program_of(const Graph& graph, const std::vector<Layout>& inputs) {
  std::vector<Strides> strides;
  for (const Layout& input : inputs) strides.push_back(input.strides);
  return runtime::make_program(graph, strides);
}

OpenChip::OpenChip(const chip::Chip& chip, uint32_t index) : chip_(chip) {
  check(bank().open(index, nullptr, 0, &dev_, error()), cat("open of device ", index));
  props_ = chip::sized<TrmProps>();
  check(bank().props(index, &props_, error()), cat("props of device ", index));
}

OpenChip::~OpenChip() {
  if (dev_ != nullptr) bank().close(dev_);
}

uint64_t OpenChip::next_tag() {
  static std::atomic<uint64_t> last{1000};
  return ++last;
}

void OpenChip::check(int32_t code, const std::string& what, Verdict verdict) const {
  if (code == TRM_OK) return;
  throw Finding(verdict, cat(what, ": code ", code, " (", code_name(code), ")",
                             error_.text[0] != '\0' ? cat(", \"", error_.text, "\"") : std::string(", no text")));
}

TrmMem OpenChip::allocate(uint64_t bytes) {
  TrmMem mem{};
  const int32_t code = bank().chunk_alloc(dev_, space().id, bytes, 0, &mem, error());
  // A small device is no wrong one; memory that does not come back has a case of its own.
  check(code, cat("chunk_alloc of ", bytes, " bytes"),
        code == TRM_OUT_OF_MEMORY ? Verdict::kUnsupported : Verdict::kWrong);
  return mem;
}

void OpenChip::free(const TrmMem& mem) {
  error_ = chip::sized<TrmErr>();
  check(bank().chunk_free(dev_, &mem), "chunk_free");
}

int32_t OpenChip::start_copy(const TrmMem& dst, const TrmMem& src, uint64_t bytes, TrmStream* stream, uint64_t tag) {
  TrmCopy copy = chip::sized<TrmCopy>();
  copy.dst = dst;
  copy.src = src;
  copy.bytes = bytes;
  return bank().copy(dev_, &copy, stream, tag, error());
}

TrmMem OpenChip::host(const void* bytes, uint64_t count) {
  return {reinterpret_cast<uint64_t>(bytes), 0, count, TRM_HOST_SPACE, 0};
}

TrmMem OpenChip::part(const TrmMem& mem, uint64_t offset, uint64_t bytes) {
  TrmMem out = mem;
  out.offset += offset;
  out.bytes = bytes;
  return out;
}

void OpenChip::write(const TrmMem& mem, const void* bytes, uint64_t count) {
  if (count == 0) return;
  check(start_copy(mem, host(bytes, count), count, nullptr, next_tag()), "copy to the device");
  sync();
}

void OpenChip::read(const TrmMem& mem, void* bytes, uint64_t count) {
  if (count == 0) return;
  check(start_copy(host(bytes, count), mem, count, nullptr, next_tag()), "copy from the device");
  sync();
}

TrmAnswer OpenChip::query(const runtime::ProgramRef& program) {
  TrmAnswer answer = chip::sized<TrmAnswer>();
  std::fill(std::begin(answer.in_place), std::end(answer.in_place), -1);
  check(compute().query(dev_, program.get(), &answer, error()), "query");
  return answer;
}

int32_t OpenChip::prepare(const runtime::ProgramRef& program, TrmKernel** kernel) {
  return compute().prepare(dev_, program.get(), kernel, error());
}

uint64_t OpenChip::free_bytes() {
  uint64_t free = space().bytes, total = 0;
  if (bank().mem_info != nullptr) check(bank().mem_info(dev_, space().id, &free, &total, error()), "mem_info");
  if (space().kind == TRM_SPACE_UNIFIED) free = std::min(free, available_on_host());
  return free;
}

void OpenChip::need_memory(uint64_t bytes) {
  const uint64_t free = free_bytes();
  if (bytes + kGigabyte <= free) return;
  throw Finding(Verdict::kUnsupported, cat("not tried: it takes ", bytes / kGigabyte + 1,
                                           " GiB beside one to spare, and ", free / kGigabyte, " are free"));
}

std::vector<Literal> OpenChip::run(const runtime::ProgramRef& program, const TrmAnswer& answer,
                                   const std::vector<Layout>& inputs, const std::vector<Value>& outputs,
                                   const Launch& launch) {
  // Only what was promised may be held against the chip as a lie.
  const Verdict broken = launch.prepared_is_promised ? Verdict::kLie : Verdict::kWrong;
  TrmKernel* kernel = nullptr;
  check(prepare(program, &kernel), "query said native, and prepare fails", broken);
  struct Release {
    OpenChip& chip;
    TrmKernel* kernel;
    ~Release() { chip.compute().release(chip.device(), kernel); }
  } const release{*this, kernel};
  return run_kernel(kernel, answer, inputs, outputs, launch, broken);
}

std::vector<Literal> OpenChip::run_kernel(TrmKernel* kernel, const TrmAnswer& answer, const std::vector<Layout>& inputs,
                                          const std::vector<Value>& outputs, const Launch& launch, Verdict broken) {
  uint64_t reach = 0;
  for (const Layout& input : inputs) reach += input.reach;
  if (reach > 0 && space().addressing == TRM_WHOLE) {
    throw Finding(Verdict::kUnsupported,
                  "not tried: gigabytes cannot be written in pieces where memory has no offsets");
  }
  if (reach > 0) need_memory(reach);
  const uint64_t alignment = std::max<uint64_t>(space().alignment, 1);
  const uint64_t guard = space().addressing == TRM_WHOLE ? 0 : (192 / alignment | 1) * alignment, behind = 192;
  std::vector<Operand> operands;
  struct Cleanup {
    OpenChip& chip;
    std::vector<Operand>& operands;
    TrmMem workspace{};
    ~Cleanup() {
      chip.bank().sync(chip.device(), nullptr);
      for (const Operand& operand : operands) chip.bank().chunk_free(chip.device(), &operand.chunk);
      if (workspace.handle != 0) chip.bank().chunk_free(chip.device(), &workspace);
    }
  } cleanup{*this, operands};

  const auto add = [&](const std::vector<char>& data, uint64_t origin) {
    Operand operand{{}, guard, data.size(), origin, {}, nullptr};
    operand.before.resize(guard + data.size() + behind);
    scribble(operand.before, launch.noise);
    std::copy(data.begin(), data.end(), operand.before.begin() + static_cast<std::ptrdiff_t>(guard));
    operand.chunk = allocate(operand.before.size());
    operands.push_back(operand);
    write(operands.back().chunk, operands.back().before.data(), operands.back().before.size());
  };
  const auto add_pieces = [&](const Layout& input) {
    operands.push_back({allocate(guard + input.reach + behind), guard, input.reach, input.origin, {}, &input});
    for (const auto& [at, bytes] : input.pieces) {
      write(part(operands.back().chunk, guard + at, bytes.size()), bytes.data(), bytes.size());
    }
  };
  for (const Layout& input : inputs) {
    if (input.reach > 0) add_pieces(input);
    else add(input.memory, input.origin);
  }
  std::vector<size_t> home;  // the operand where each output lies
  for (size_t k = 0; k < outputs.size(); ++k) {
    int32_t taken = launch.in_place ? answer.in_place[k] : -1;
    for (size_t i = 0; i < inputs.size() && taken == TRM_ANY_INPUT; ++i) {
      const Literal& values = inputs[i].values;
      const bool fits = values.dtype() == outputs[k].dtype() && values.shape() == outputs[k].shape() &&
                        inputs[i].strides == dense_strides(values.shape()) && inputs[i].memory.size() == values.bytes();
      if (fits && std::count(home.begin(), home.end(), i) == 0) taken = static_cast<int32_t>(i);
    }
    if (taken >= 0 && static_cast<size_t>(taken) < inputs.size()) {
      home.push_back(static_cast<size_t>(taken));
      continue;
    }
    std::vector<char> noise(outputs[k].type().bytes());
    scribble(noise, launch.noise + 1);
    home.push_back(operands.size());
    add(noise, 0);
  }
  if (answer.workspace_bytes > 0) {
    cleanup.workspace = allocate(answer.workspace_bytes);
    std::vector<char> noise(answer.workspace_bytes);
    scribble(noise, launch.noise + 2);
    write(cleanup.workspace, noise.data(), noise.size());
  }
  const auto memory_of = [&](const Operand& operand) {
    const uint64_t at = operand.begin + operand.origin;
    return part(operand.chunk, at, operand.begin + operand.bytes - at);
  };
  std::vector<TrmMem> given;
  for (size_t i = 0; i < inputs.size(); ++i) given.push_back(memory_of(operands[i]));
  for (const size_t k : home) given.push_back(memory_of(operands[k]));
  check(
      compute().enqueue(dev_, kernel, given.data(), static_cast<uint32_t>(given.size()),
                        answer.workspace_bytes > 0 ? &cleanup.workspace : nullptr, launch.stream, next_tag(), error()),
      "query said native, prepare worked, and enqueue fails", broken);
  check(bank().sync(dev_, error()), "query said native, and the kernel fails", broken);

  std::vector<std::vector<char>> after;
  for (const Operand& operand : operands) {
    after.emplace_back(operand.before.size());
    read(operand.chunk, after.back().data(), after.back().size());
  }
  for (size_t k = 0; k < operands.size(); ++k) {
    const Operand& operand = operands[k];
    if (operand.in_pieces != nullptr) {
      for (const auto& [at, bytes] : operand.in_pieces->pieces) {
        std::vector<char> now(bytes.size());
        read(part(operand.chunk, guard + at, bytes.size()), now.data(), now.size());
        if (now != bytes)
          throw Finding(Verdict::kWrong, cat("input ", k, " was changed by the kernel, near byte ", at));
      }
      continue;
    }
    const bool written = std::find(home.begin(), home.end(), k) != home.end();
    for (uint64_t i = 0; i < after[k].size(); ++i) {
      const bool inside = i >= operand.begin && i < operand.begin + operand.bytes;
      if ((inside && written) || after[k][i] == operand.before[i]) continue;
      throw Finding(Verdict::kWrong,
                    inside ? cat("input ", k, " was changed by the kernel, at byte ", i - operand.begin)
                           : cat("the kernel writes outside of operand ", k, ": ",
                                 i < operand.begin ? operand.begin - i : i - operand.begin - operand.bytes + 1,
                                 i < operand.begin ? " bytes before it" : " bytes past its end"));
    }
  }
  std::vector<Literal> results;
  for (size_t k = 0; k < outputs.size(); ++k) {
    Literal literal = Literal::zeros(outputs[k].dtype(), outputs[k].shape());
    if (literal.bytes() > 0) {
      std::memcpy(literal.mutable_data(), after[home[k]].data() + operands[home[k]].begin, literal.bytes());
    }
    results.push_back(std::move(literal));
  }
  return results;
}

}  // namespace trireme::certify

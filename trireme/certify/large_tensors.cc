#include "trireme/certify/large_tensors.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>

#include "trireme/base/strings.h"
#include "trireme/ir/registry.h"

namespace trireme::certify {
namespace {

using Clock = std::chrono::steady_clock;
using Byte = unsigned char;

constexpr int64_t kElements = (int64_t{1} << 31) + 4098;
// First it is tried so much smaller, to see that it works and how long it will take.
constexpr int64_t kSmaller = 256;
constexpr double kMostSeconds = 25.0;
constexpr uint64_t kPieceBytes = uint64_t{1} << 24;

// The element i of an input: as good as random, and other than those 2^31 away.
Byte noise(int64_t i) { return static_cast<Byte>((static_cast<uint32_t>(i) * 2654435761u) >> 24); }

// The elements to look at of so many: both ends, where 32 bits end, and between.
std::vector<int64_t> samples_of(int64_t elements) {
  std::vector<int64_t> out;
  const auto add = [&](int64_t i) {
    if (i >= 0 && i < elements) out.push_back(i);
  };
  for (const int64_t around : {int64_t{0}, int64_t{1} << 31, elements - 1}) {
    for (int64_t i = around - 8; i <= around + 8; ++i) add(i);
  }
  for (int64_t k = 1; k < 400; ++k) add(elements / 400 * k + k % 7);
  return out;
}

// Writes the bytes of an input from the one with that number.
using Fill = std::function<void(int64_t, std::span<Byte>)>;
void fill_with_noise(int64_t begin, std::span<Byte> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = noise(begin + static_cast<int64_t>(i));
}

// An input of a program: what its memory holds, and how its elements lie there.
struct Input {
  Value parameter;
  Strides strides{};
  uint64_t bytes = 0;
  Fill fill;
};

Input bytes_input(const Shape& shape, Fill fill = fill_with_noise) {
  return {parameter(u8, shape), dense_strides(shape), static_cast<uint64_t>(shape.elements()), std::move(fill)};
}
Input indices_input(const std::vector<int64_t>& indices) {
  const Shape shape{static_cast<int64_t>(indices.size())};
  return {parameter(i64, shape), dense_strides(shape), indices.size() * 8,
          [indices](int64_t begin, std::span<Byte> bytes) {
            std::memcpy(bytes.data(), reinterpret_cast<const Byte*>(indices.data()) + begin, bytes.size());
          }};
}

// One op on large inputs, and what each of its elements must be.
struct Large {
  std::vector<Input> inputs;
  std::function<int64_t(int64_t)> expected;
};

class Run {
 public:
  Run(OpenChip& chip, const OpDecl& op, const Large& large) : chip_(chip), large_(large) {
    std::vector<Value> values;
    std::vector<Strides> strides;
    for (const Input& input : large.inputs) {
      values.push_back(input.parameter);
      strides.push_back(input.strides);
    }
    std::vector<Attribute> attributes;
    for (const AttributeSpec& spec : op.attributes.list) attributes.push_back(spec.fallback);
    const Graph graph(values, {make_node(op, values, attributes)});
    result_ = graph.outputs()[0].type();
    program_ = runtime::make_program(graph, strides);
  }
  ~Run() {
    chip_.bank().sync(chip_.device(), nullptr);
    if (kernel_ != nullptr) chip_.compute().release(chip_.device(), kernel_);
    for (const TrmMem& mem : operands_) chip_.bank().chunk_free(chip_.device(), &mem);
    if (workspace_.handle != 0) chip_.bank().chunk_free(chip_.device(), &workspace_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Throws Finding.
  void go() {
    const TrmAnswer answer = chip_.query(program_);
    if (answer.verdict == TRM_NO) throw Finding(Verdict::kUnsupported, answer.text);
    if (answer.verdict != TRM_NATIVE) throw Finding(Verdict::kUnsupported, "it wants its operands converted");
    uint64_t bytes = result_.bytes() + answer.workspace_bytes;
    for (const Input& input : large_.inputs) bytes += input.bytes;
    chip_.need_memory(bytes);
    chip_.check(chip_.prepare(program_, &kernel_), "query said native, and prepare fails", Verdict::kLie);
    for (const Input& input : large_.inputs) {
      operands_.push_back(chip_.allocate(input.bytes));
      write(operands_.back(), input);
    }
    operands_.push_back(chip_.allocate(result_.bytes()));
    if (answer.workspace_bytes > 0) workspace_ = chip_.allocate(answer.workspace_bytes);
    chip_.check(chip_.compute().enqueue(
                    chip_.device(), kernel_, operands_.data(), static_cast<uint32_t>(operands_.size()),
                    workspace_.handle != 0 ? &workspace_ : nullptr, nullptr, OpenChip::next_tag(), chip_.error()),
                "query said native, prepare worked, and enqueue fails", Verdict::kLie);
    chip_.check(chip_.bank().sync(chip_.device(), chip_.error()), "query said native, and the kernel fails",
                Verdict::kLie);
    compare();
  }

 private:
  void write(const TrmMem& mem, const Input& input) {
    std::vector<Byte> piece(std::min(kPieceBytes, input.bytes));
    for (uint64_t at = 0; at < input.bytes; at += piece.size()) {
      const uint64_t count = std::min<uint64_t>(piece.size(), input.bytes - at);
      input.fill(static_cast<int64_t>(at), {piece.data(), count});
      chip_.write(OpenChip::part(mem, at, count), piece.data(), count);
    }
  }

  void compare() {
    const size_t item = size_of(result_.dtype);
    for (const int64_t i : samples_of(result_.shape.elements())) {
      int64_t got = 0;  // little-endian, as all hosts of chips are
      chip_.read(OpenChip::part(operands_.back(), static_cast<uint64_t>(i) * item, item), &got, item);
      const int64_t expected = large_.expected(i);
      if (got != expected) {
        throw Finding(Verdict::kWrong, cat("of inputs of ", large_.inputs[0].parameter.type().text(), " element ", i,
                                           " of ", result_.shape.elements(), " is ", got, ", expected ", expected));
      }
    }
  }

  OpenChip& chip_;
  const Large& large_;
  TensorType result_;
  runtime::ProgramRef program_;
  TrmKernel* kernel_ = nullptr;
  std::vector<TrmMem> operands_;
  TrmMem workspace_{};
};

std::string run(const Subject& subject, const OpDecl& op, Large (*make)(int64_t)) {
  OpenChip& chip = subject.open();
  if (chip.space().addressing == TRM_WHOLE) {
    throw Finding(Verdict::kUnsupported,
                  "not tried: gigabytes cannot be written in pieces where memory has no offsets");
  }
  const auto begin = Clock::now();
  {
    const Large small = make(kElements / kSmaller / 2 * 2);
    Run(chip, op, small).go();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count() * kSmaller;
  if (seconds > kMostSeconds) {
    throw Finding(Verdict::kUnsupported,
                  cat("right on 2^23 elements; 2^31 would take ", static_cast<int>(seconds), " s"));
  }
  const Large large = make(kElements);
  Run(chip, op, large).go();
  return "native";
}

// ---- the kinds -----------------------------------------------------------------------------------------------------

Large transposed_copy(int64_t elements) {
  Large out{{bytes_input({2, elements / 2})}, {}};
  out.inputs[0].strides = {1, 2};
  const int64_t columns = elements / 2;
  out.expected = [columns](int64_t i) -> int64_t { return noise(i % columns * 2 + i / columns); };
  return out;
}

Large repeated_row(int64_t elements) {
  Large out{{bytes_input({elements / 4098 + 1, 4098})}, {}};
  out.inputs[0].strides = {0, 1};
  out.inputs[0].bytes = 4098;
  out.expected = [](int64_t i) -> int64_t { return noise(i % 4098); };
  return out;
}

Large sum_with_repeated(int64_t elements) {
  Large out{
      {bytes_input({elements}),
       bytes_input({elements}, [](int64_t, std::span<Byte> bytes) { std::fill(bytes.begin(), bytes.end(), 77); })},
      {}};
  out.inputs[1].strides = {0};
  out.inputs[1].bytes = 1;
  out.expected = [](int64_t i) -> int64_t { return static_cast<Byte>(noise(i) + 77); };
  return out;
}

// Small noise, and the largest element near the end.
Input peaked(int64_t elements) {
  return bytes_input({elements}, [elements](int64_t begin, std::span<Byte> bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = noise(begin + static_cast<int64_t>(i)) & 0x7f;
    const int64_t place = elements - 3 - begin;
    if (place >= 0 && place < static_cast<int64_t>(bytes.size())) bytes[static_cast<size_t>(place)] = 251;
  });
}

Large largest(int64_t elements) {
  return {{peaked(elements)}, [](int64_t) -> int64_t { return 251; }};
}

Large place_of_largest(int64_t elements) {
  return {{peaked(elements)}, [elements](int64_t) { return elements - 3; }};
}

Large gathered(int64_t elements) {
  const std::vector<int64_t> indices = samples_of(elements);
  return {{bytes_input({elements}), indices_input(indices)},
          [indices](int64_t i) -> int64_t { return noise(indices[static_cast<size_t>(i)]); }};
}

Large scattered(int64_t elements) {
  std::vector<int64_t> indices = samples_of(elements);
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  for (size_t i = 1; i < indices.size(); i += 2) std::swap(indices[i - 1], indices[i]);
  const auto count = static_cast<int64_t>(indices.size());
  return {{bytes_input({elements}), indices_input(indices),
           bytes_input({count},
                       [](int64_t begin, std::span<Byte> bytes) {
                         for (size_t i = 0; i < bytes.size(); ++i)
                           bytes[i] = static_cast<Byte>(begin + static_cast<int64_t>(i) + 1);
                       })},
          [indices](int64_t i) -> int64_t {
            const auto found = std::find(indices.begin(), indices.end(), i);
            const auto added = found == indices.end() ? 0 : found - indices.begin() + 1;
            return static_cast<Byte>(noise(i) + added);
          }};
}

// Plain, filling and strided copies at offsets behind 2^32, which no kernel is needed for.
std::string copies(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (chip.space().addressing == TRM_WHOLE) throw Finding(Verdict::kUnsupported, "memory without offsets");
  constexpr uint64_t kFar = (uint64_t{1} << 32) + 4096, kCount = 192;
  chip.need_memory(kFar + 4096);
  const TrmMem mem = chip.allocate(kFar + 4096);
  struct Free {
    OpenChip& chip;
    TrmMem mem;
    ~Free() { chip.bank().chunk_free(chip.device(), &mem); }
  } const free{chip, mem};
  const TrmMem near = OpenChip::part(mem, 4096, kCount), far = OpenChip::part(mem, kFar, kCount);
  std::vector<Byte> low(kCount), high(kCount), got(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    low[i] = noise(static_cast<int64_t>(i));
    high[i] = static_cast<Byte>(low[i] ^ 0x5a);
  }
  const auto expect = [&](const TrmMem& where, const std::vector<Byte>& bytes, const char* what) {
    chip.read(where, got.data(), kCount);
    if (got != bytes) throw Finding(Verdict::kWrong, cat(what, " is wrong where offsets pass 2^32"));
  };
  chip.write(near, low.data(), kCount);
  chip.write(far, high.data(), kCount);
  expect(near, low, "a copy from the host");
  expect(far, high, "a copy to the host");
  chip.check(chip.start_copy(near, far, kCount, nullptr, OpenChip::next_tag()), "copy on the device");
  chip.sync();
  expect(near, high, "a copy on the device");
  if (chip.bank().fill != nullptr) {
    const Byte item = 0x3c;
    chip.check(chip.bank().fill(chip.device(), &far, &item, 1, nullptr, OpenChip::next_tag(), chip.error()), "fill");
    chip.sync();
    expect(near, high, "fill");
    expect(far, std::vector<Byte>(kCount, item), "fill");
  }
  if (chip.bank().copy_strided != nullptr) {
    chip.write(near, low.data(), kCount);
    chip.write(far, high.data(), kCount);
    // Two rows, 2^32 bytes apart, to rows that touch.
    const TrmMem to = chip.allocate(2 * kCount);
    const Free free_to{chip, to};
    TrmCopyStrided copy = chip::sized<TrmCopyStrided>();
    copy.rank = 2;
    copy.item_bytes = 1;
    copy.dst = to;
    copy.src = OpenChip::part(mem, 4096, kFar - 4096 + kCount);
    copy.dims[0] = 2;
    copy.dims[1] = kCount;
    copy.dst_strides[0] = kCount;
    copy.src_strides[0] = int64_t{1} << 32;
    copy.dst_strides[1] = copy.src_strides[1] = 1;
    chip.check(chip.bank().copy_strided(chip.device(), &copy, nullptr, OpenChip::next_tag(), chip.error()),
               "copy_strided");
    chip.sync();
    expect(OpenChip::part(to, 0, kCount), low, "copy_strided");
    expect(OpenChip::part(to, kCount, kCount), high, "copy_strided");
  }
  return "";
}

}  // namespace

std::vector<Case> large_tensor_cases() {
  std::vector<Case> out;
  out.push_back({Part::kOps, Level::kComplete, "copies behind 2^32", "", "", false, copies, {}});
  const auto add = [&](const char* op, const char* what, Large (*make)(int64_t)) {
    const OpDecl& declaration = get_op(op);
    out.push_back({Part::kOps,
                   Level::kComplete,
                   cat(op, ", 2^31 elements, ", what),
                   op,
                   "u8",
                   false,
                   [&declaration, make](const Subject& subject) { return run(subject, declaration, make); },
                   {},
                   true});
  };
  add("strided_copy", "transposed", transposed_copy);
  add("strided_copy", "a repeated row", repeated_row);
  add("add", "one of them repeated", sum_with_repeated);
  add("reduce_max", "the largest near the end", largest);
  add("argmax", "the largest near the end", place_of_largest);
  add("gather", "from all over", gathered);
  add("scatter_add", "all over", scattered);
  return out;
}

}  // namespace trireme::certify

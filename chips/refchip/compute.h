// The compute bank of refchip: what the persona takes, at what price, and how it runs.
//
// Kernels are the host's reference evaluator over private copies of the operands, so device memory stays locked while
// the evaluator runs, and a read beyond an operand is a read beyond a private buffer (which AddressSanitizer sees).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device.h"
#include "trireme/chip/chip.hpp"

namespace trireme::refchip {

struct Kernel {
  chip::Program program;
  std::string name;
  TrmAnswer answer;
  std::vector<TrmValue> operands;  // inputs, then outputs
};

// The bytes around an operand's elements, private to one run. Where they reach far (strides may be gigabytes) they are
// pages that come when they are touched, and the elements alone are copied.
class Copy {
 public:
  // Throws kOutOfMemory.
  explicit Copy(size_t bytes);
  ~Copy();
  Copy(Copy&& other) noexcept;
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  std::byte* data() { return pages_ != nullptr ? pages_ : bytes_.data(); }
  const std::byte* data() const { return pages_ != nullptr ? pages_ : bytes_.data(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool is_sparse() const { return pages_ != nullptr; }

 private:
  size_t size_;
  std::vector<std::byte> bytes_;
  std::byte* pages_ = nullptr;
};

// One run of a kernel over private copies of its operands. Defects reach in here.
struct KernelRun {
  const Kernel& kernel;
  const TrmHost* host;
  const std::vector<Place>& places;
  Place workspace;
  std::vector<Copy> copies{};         // of operands, as far as their elements reach
  std::vector<std::byte*> origins{};  // element [0, 0, ...] of each copy
};

// Null when the host does not offer it; refchip then answers NO to everything.
const TrmEvaluate* evaluator(const TrmHost* host);

TrmAnswer answer_for(const Persona& persona, const TrmHost* host, const chip::Program& program);
// Throws kUnsupported when the answer is not a plain TRM_NATIVE.
std::unique_ptr<Kernel> prepare(const Device& device, const chip::Program& program);
void enqueue(Device& device, const Kernel& kernel, std::span<const TrmMem> operands, const TrmMem* workspace,
             Stream& stream, uint64_t tag);

// Regions for an engine: everything it can run, in as few parts as a legal cut and TRM_MAX_OPERANDS allow.
class Partition {
 public:
  Partition(const Persona& persona, const TrmHost* host, const chip::Program& graph);
  std::span<const TrmPart> parts() const { return parts_; }

 private:
  std::vector<std::vector<uint32_t>> nodes_;
  std::vector<TrmPart> parts_;
};

}  // namespace trireme::refchip

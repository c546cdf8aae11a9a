// OpenChip: one device of a chip driven through the C ABI alone, with nothing of the runtime between: what the
// certifier and tests/op_chip_test.cc hold a chip with. Every operand lies between guards, inputs are read back, and
// the workspace is filled with noise before each launch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trireme/certify/cases.h"
#include "trireme/certify/layout.h"
#include "trireme/chip/chip.hpp"
#include "trireme/chip/loader.h"
#include "trireme/ir/graph.h"
#include "trireme/runtime/program.h"

namespace trireme::certify {

// What a check found out, thrown from wherever it was seen.
class Finding : public std::exception {
 public:
  Finding(Verdict verdict, std::string text) : verdict_(verdict), text_(std::move(text)) {}
  Verdict verdict() const { return verdict_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Verdict verdict_;
  std::string text_;
};

runtime::ProgramRef program_of(const Graph& graph, const std::vector<Layout>& inputs);

class OpenChip {
 public:
  // Throws Finding when the device does not open.
  explicit OpenChip(const chip::Chip& chip, uint32_t index = 0);
  ~OpenChip();
  OpenChip(const OpenChip&) = delete;
  OpenChip& operator=(const OpenChip&) = delete;

  const std::string& name() const { return chip_.name(); }
  const chip::Chip& chip() const { return chip_; }
  const TrmDeviceBank& bank() const { return chip_.device(); }
  const TrmComputeBank& compute() const { return *chip_.compute(); }
  TrmDev* device() const { return dev_; }
  const TrmProps& props() const { return props_; }
  const TrmSpace& space() const { return props_.spaces[0]; }
  bool has_flag(TrmDeviceFlags flag) const { return (props_.flags & flag) != 0; }

  // A number that no command of this process has had.
  static uint64_t next_tag();
  // An empty error for the next call; its text is told by check.
  TrmErr* error() {
    error_ = chip::sized<TrmErr>();
    return &error_;
  }
  const TrmErr& last_error() const { return error_; }
  // Throws Finding of that verdict unless the code is TRM_OK.
  void check(int32_t code, const std::string& what, Verdict verdict = Verdict::kWrong) const;

  TrmMem allocate(uint64_t bytes);
  void free(const TrmMem& mem);
  int32_t start_copy(const TrmMem& dst, const TrmMem& src, uint64_t bytes, TrmStream* stream, uint64_t tag);
  // To or from the host; returns when done.
  void write(const TrmMem& mem, const void* bytes, uint64_t count);
  void read(const TrmMem& mem, void* bytes, uint64_t count);
  static TrmMem host(const void* bytes, uint64_t count);
  // A part of a piece of memory.
  static TrmMem part(const TrmMem& mem, uint64_t offset, uint64_t bytes);
  void sync() { check(bank().sync(dev_, error()), "sync"); }

  TrmAnswer query(const runtime::ProgramRef& program);
  // The code, so that honesty can be asked for; the error is in last_error().
  int32_t prepare(const runtime::ProgramRef& program, TrmKernel** kernel);

  // Bytes that are free for tensors; of memory that is the host's, what the system can give without swapping.
  uint64_t free_bytes();
  // Throws kUnsupported when the device has not so much memory free.
  void need_memory(uint64_t bytes);

  struct Launch {
    uint64_t noise = 1;     // of guards, outputs and workspace before the launch
    bool in_place = false;  // outputs take the inputs that the answer offers
    TrmStream* stream = nullptr;
    bool prepared_is_promised = true;  // a failure is then a lie
  };
  // Runs a program on inputs as they lie. Throws Finding: kWrong for a changed input or a write outside an operand,
  // kLie when a promised program does not run.
  std::vector<Literal> run(const runtime::ProgramRef& program, const TrmAnswer& answer,
                           const std::vector<Layout>& inputs, const std::vector<Value>& outputs, const Launch& launch);
  // The same of a kernel that is there already, and stays. A failure is of the verdict `broken`.
  std::vector<Literal> run_kernel(TrmKernel* kernel, const TrmAnswer& answer, const std::vector<Layout>& inputs,
                                  const std::vector<Value>& outputs, const Launch& launch, Verdict broken);
  std::vector<Literal> run(const runtime::ProgramRef& program, const TrmAnswer& answer,
                           const std::vector<Layout>& inputs, const std::vector<Value>& outputs) {
    return run(program, answer, inputs, outputs, Launch());
  }

 private:
  const chip::Chip& chip_;
  TrmDev* dev_ = nullptr;
  TrmProps props_{};
  TrmErr error_{};
};

}  // namespace trireme::certify

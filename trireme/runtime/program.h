// Programs: what the compute bank sees of a graph (chip.h, "programs"). A region of nodes with the strides its operands
// will have in memory. Constants, and views of constants, become known values; other views appear as nodes only in
// programs of a whole graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "trireme/chip/chip.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/view.h"

namespace trireme::runtime {

class ProgramRef {
 public:
  ProgramRef() = default;
  explicit ProgramRef(const TrmProgram* adopted) : program_(adopted) {}
  ProgramRef(const ProgramRef& other);
  ProgramRef(ProgramRef&& other) noexcept : program_(std::exchange(other.program_, nullptr)) {}
  ProgramRef& operator=(ProgramRef other) noexcept {
    std::swap(program_, other.program_);
    return *this;
  }
  ~ProgramRef();
  const TrmProgram* get() const { return program_; }
  explicit operator bool() const { return program_ != nullptr; }

 private:
  const TrmProgram* program_ = nullptr;
};

// Strides of the graph's inputs and outputs, in elements; an empty list means dense row-major.
ProgramRef make_program(const Graph& graph, std::span<const Strides> inputs = {},
                        std::span<const Strides> outputs = {});
const Graph& graph_of(const TrmProgram& program);

const TrmProgramReader& program_reader();
const TrmEvaluate& evaluate_service();

// Floating operations by the ops' cost rules (composites: of the decomposition), and bytes of distinct inputs and
// outputs of every node.
struct Work {
  double flops = 0.0, bytes = 0.0;
};
Work work_of(const Node& node);

}  // namespace trireme::runtime

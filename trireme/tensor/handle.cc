#include "trireme/tensor/handle.h"

#include "trireme/base/strings.h"
#include "trireme/ops/ops.h"
#include "trireme/tensor/state.h"
#include "trireme/tensor/tensor.h"

namespace trireme {

namespace {

const Tensor::State& checked(const std::shared_ptr<Tensor::State>& state) {
  if (!state) throw Error(Code::kInvalidArgument, "an empty Tensor was used; give it a value first");
  return *state;
}

}  // namespace

Tensor::Tensor(Value value) : state_(std::make_shared<State>()) {
  state_->value = std::move(value);
  state_->trace = detail::current_trace();
}

Tensor::Tensor(const Literal& literal) : state_(std::make_shared<State>()) {
  if (detail::current_trace() != 0) {  // a constant of the compiled function
    state_->value = ops::constant(literal);
    state_->trace = detail::current_trace();
    return;
  }
  detail::set_leaf(state_, runtime::Buffer::from(detail::target_device(), literal));
}

const Shape& Tensor::shape() const { return checked(state_).value.shape(); }
DType Tensor::dtype() const { return checked(state_).value.dtype(); }

int64_t Tensor::size(int axis) const {
  const int at = axis < 0 ? axis + rank() : axis;
  if (at < 0 || at >= rank()) {
    throw Error(Code::kInvalidArgument, cat("axis ", axis, " of a tensor of shape ", shape(), " does not exist"));
  }
  return shape()[at];
}

Literal Tensor::literal() const {
  checked(state_);
  const uint64_t trace = detail::current_trace();
  if (trace != 0 && (state_->trace == trace || detail::assigned_in_trace(state_))) {
    throw Error(Code::kInvalidArgument,
                "a value cannot be read inside a compiled function: it has not been computed "
                "yet; return it, or use where() instead of a host if");
  }
  return detail::ready_buffer(state_)->read();
}

double Tensor::item() const {
  if (checked(state_).value.shape().elements() != 1) {
    throw Error(Code::kInvalidArgument, cat("item() needs one element; this tensor is ", state_->value.type()));
  }
  return literal().at(0);
}

void Tensor::assign(const Tensor& value, std::source_location where) {
  const SourceScope scope(where.file_name(), static_cast<int>(where.line()));
  checked(value.state_);
  if (checked(state_).value.type() != value.state_->value.type()) {
    throw Error(Code::kInvalidArgument, cat("a variable of type ", state_->value.type(),
                                            " cannot take a value of type ", value.state_->value.type(), " (at ",
                                            where.file_name(), ":", where.line(), "); convert or reshape first"));
  }
  const Value next = value.value();
  if (detail::current_trace() != 0) detail::note_assignment(state_, state_->value);
  state_->value = next;
}

Tensor Tensor::detach() const { return Tensor(ops::stop_gradient(value())); }

Value Tensor::value() const {
  checked(state_);
  const uint64_t trace = detail::current_trace();
  // Inside a trace, a variable from outside must be a leaf of its own: its later values are read at each call. A value
  // assigned from another tensor is that tensor's leaf, or nobody's when the tensor is gone.
  const bool outside = trace != 0 && state_->trace != trace && !detail::assigned_in_trace(state_);
  if (outside) {
    auto buffer = detail::ready_buffer(state_);
    const auto held = std::static_pointer_cast<detail::Attachment>(state_->value.node().attachment());
    if (!held || held->owner.lock() != state_) detail::set_leaf(state_, std::move(buffer));
  }
  return state_->value;
}

Value value_of(const Tensor& tensor) { return tensor ? tensor.value() : Value{}; }

std::vector<Value> values_of(const std::vector<Tensor>& tensors) {
  std::vector<Value> out;
  for (const Tensor& t : tensors) out.push_back(value_of(t));
  return out;
}

std::vector<Tensor> tensors_of(const std::vector<Value>& values) {
  std::vector<Tensor> out;
  for (const Value& v : values) out.emplace_back(v);
  return out;
}

}  // namespace trireme

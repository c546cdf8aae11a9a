#include "trireme/optim/loss_scale.h"

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::optim {

LossScale::LossScale(double start, int64_t interval)
    : interval_(interval), scale_(start), good_steps_(Literal::zeros(i32, {})) {
  if (!(start > 0) || interval < 1) {
    throw Error(Code::kInvalidArgument,
                cat("a loss scale starts above 0 and grows after 1 or more steps; given ", start, " and ", interval));
  }
}

Tensor LossScale::scaled(const Tensor& loss) const { return scale_loss(loss, scale_); }

LossScale::Unscaled LossScale::unscaled(const std::vector<Tensor>& gradients) {
  std::vector<Tensor> parts = unscale_and_check(scale_, gradients);
  Unscaled out{parts[0], {parts.begin() + 1, parts.end()}};
  const std::vector<Tensor> next = update_loss_scale(scale_, good_steps_, out.usable, 2.0, 0.5, interval_);
  scale_.assign(next[0]);
  good_steps_.assign(next[1]);
  return out;
}

}  // namespace trireme::optim

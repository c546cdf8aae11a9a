// Optimizer steps, whole. The library keeps moments as floats.
#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

void want_floats(const Builder& b) {
  for (uint32_t i = 0; i < b.node().inputs().size(); ++i) {
    want(b.input(i).dtype == TRM_F32, TRM_REASON_DTYPE, "the library's optimizers keep f32");
  }
}

double traffic(const Builder& b) {
  double bytes = 0;
  for (uint32_t i = 0; i < b.node().inputs().size(); ++i) bytes += static_cast<double>(bytes_of(b.input(i)));
  for (uint32_t i = 0; i < b.node().outputs().size(); ++i) bytes += static_cast<double>(bytes_of(b.output(i)));
  return bytes;
}

void sgd(Builder& b) {
  want_floats(b);
  want(b.node().number("weight_decay") == 0, TRM_REASON_ATTRIBUTE, "sgd of the library has no weight decay");
  const uint32_t param = b.dense(0), grad = b.dense(1), rate = b.dense(2), out = b.result();
  const int64_t count = chip::elements(b.output());
  b.step("sgd", traffic(b), [=](const Run& run) {
    return api::sgd<float>(run.context, run.at<float>(grad), run.at<float>(param), run.at<float>(rate),
                           run.at<float>(out), count);
  });
}

void momentum(Builder& b) {
  want_floats(b);
  const uint32_t param = b.dense(0), grad = b.dense(1), velocity = b.dense(2), rate = b.dense(3);
  const uint32_t param_out = b.result(0), velocity_out = b.result(1);
  const int64_t count = chip::elements(b.output());
  const auto mu = static_cast<float>(b.node().number("momentum"));
  const auto decay = static_cast<float>(b.node().number("weight_decay"));
  const int nesterov = b.node().flag("nesterov") ? 1 : 0;
  b.step("momentum", traffic(b), [=](const Run& run) {
    return api::momentum<float>(run.context, run.at<float>(param), run.at<float>(velocity), run.at<float>(grad),
                                run.at<float>(param_out), run.at<float>(velocity_out), count, run.at<float>(rate),
                                nesterov, mu, decay);
  });
}

// beta to the power of `step`, a float on the device.
uint32_t power(Builder& b, double beta, uint32_t step) {
  const uint32_t base = b.temporary(sizeof(float)), made = b.temporary(sizeof(float));
  b.step("constant", 4, [=](const Run& run) {
    return api::constant<float>(run.context, run.at<float>(base), 1, static_cast<float>(beta));
  });
  b.step("pow", 12, [=](const Run& run) {
    return api::broadcast_pow<float>(run.context, run.at<float>(base), run.at<float>(step), run.at<float>(made), {1},
                                     {1});
  });
  return made;
}

template <bool kDecoupled>
void adam(Builder& b) {
  want_floats(b);
  const auto decay = static_cast<float>(b.node().number("weight_decay"));
  want(kDecoupled || decay == 0, TRM_REASON_ATTRIBUTE, "adam of the library has no weight decay");
  const uint32_t param = b.dense(0), grad = b.dense(1), m = b.dense(2), v = b.dense(3), step = b.dense(4),
                 rate = b.dense(5);
  const uint32_t param_out = b.result(0), m_out = b.result(1), v_out = b.result(2);
  const double beta1 = b.node().number("beta1"), beta2 = b.node().number("beta2");
  const uint32_t power1 = power(b, beta1, step), power2 = power(b, beta2, step);
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  const int64_t count = chip::elements(b.output());
  b.step(kDecoupled ? "adamw" : "adam", traffic(b), [=](const Run& run) {
    if constexpr (kDecoupled) {
      return api::adamw<float>(run.context, run.at<float>(grad), run.at<float>(m), run.at<float>(v),
                               run.at<float>(param), run.at<float>(power1), run.at<float>(power2), run.at<float>(rate),
                               run.at<float>(m_out), run.at<float>(v_out), run.at<float>(param_out),
                               static_cast<float>(beta1), static_cast<float>(beta2), epsilon, decay, count);
    } else {
      return api::adam<float>(run.context, run.at<float>(grad), run.at<float>(m), run.at<float>(v),
                              run.at<float>(param), run.at<float>(power1), run.at<float>(power2), run.at<float>(rate),
                              run.at<float>(m_out), run.at<float>(v_out), run.at<float>(param_out),
                              static_cast<float>(beta1), static_cast<float>(beta2), epsilon, count);
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"sgd_step", only(f32), sgd},
    {"momentum_step", only(f32), momentum},
    {"adam_step", only(f32), adam<false>},
    {"adamw_step", only(f32), adam<true>},
};

}  // namespace

std::span<const KernelEntry> optimizer_kernels() { return kEntries; }

}  // namespace trireme::kunlun

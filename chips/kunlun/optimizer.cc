// Optimizer steps, whole.
#include <cmath>

#include "chips/kunlun/cores.h"

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

// ---- Adam: the library takes its decays as floats, so that 1 - beta2 loses digits. This kernel gets both, from
// doubles.

constexpr int kChunk = 64;  // elements in LM at a time

struct Decays {
  float beta1, rest1, log1, beta2, rest2, log2;  // rest = 1 - beta
  float epsilon, weight_decay;
  int decoupled;  // the decay goes to the parameter, else to the gradient
};

// 1 - beta^step
float correction(float beta, float log, float step) { return beta == 0 ? 1.0f : -std::expm1(step * log); }

__global__ void adam_step(Decays d, const float* param, const float* grad, const float* m, const float* v,
                          const float* step, const float* rate, float* param_out, float* m_out, float* v_out,
                          int64_t count) {
  XTDK_LOCAL(float, p, kChunk);
  XTDK_LOCAL(float, g, kChunk);
  XTDK_LOCAL(float, mean, kChunk);
  XTDK_LOCAL(float, square, kChunk);
  XTDK_LOCAL(float, scalars, 2);
  GM2LM(step, scalars, sizeof(float));
  GM2LM(rate, scalars + 1, sizeof(float));
  const float at_step = scalars[0], lr = scalars[1];
  const float first = correction(d.beta1, d.log1, at_step);
  const float second = 1 / std::sqrt(correction(d.beta2, d.log2, at_step));
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t at = thread * kChunk; at < count; at += threads * kChunk) {
    const int64_t n = min<int64_t>(kChunk, count - at);
    GM2LM(param + at, p, n * sizeof(float));
    GM2LM(grad + at, g, n * sizeof(float));
    GM2LM(m + at, mean, n * sizeof(float));
    GM2LM(v + at, square, n * sizeof(float));
    for (int64_t i = 0; i < n; ++i) {
      float value = p[i], gradient = g[i];
      if (d.decoupled) value -= lr * d.weight_decay * value;
      else gradient += d.weight_decay * value;
      const float new_mean = d.beta1 * mean[i] + d.rest1 * gradient;
      const float new_square = d.beta2 * square[i] + d.rest2 * gradient * gradient;
      p[i] = value - lr * (new_mean / ((std::sqrt(new_square) * second + d.epsilon) * first));
      mean[i] = new_mean;
      square[i] = new_square;
    }
    LM2GM(p, param_out + at, n * sizeof(float));
    LM2GM(mean, m_out + at, n * sizeof(float));
    LM2GM(square, v_out + at, n * sizeof(float));
  }
}

template <bool kDecoupled>
void adam(Builder& b) {
  want_floats(b);
  want_cores(b);
  const double beta1 = b.node().number("beta1"), beta2 = b.node().number("beta2");
  const Decays d{static_cast<float>(beta1),
                 static_cast<float>(1 - beta1),
                 static_cast<float>(std::log(beta1)),
                 static_cast<float>(beta2),
                 static_cast<float>(1 - beta2),
                 static_cast<float>(std::log(beta2)),
                 static_cast<float>(b.node().number("epsilon")),
                 static_cast<float>(b.node().number("weight_decay")),
                 kDecoupled};
  const uint32_t param = b.dense(0), grad = b.dense(1), m = b.dense(2), v = b.dense(3), step = b.dense(4),
                 rate = b.dense(5);
  const uint32_t param_out = b.result(0), m_out = b.result(1), v_out = b.result(2);
  const int64_t count = chip::elements(b.output());
  const Grid grid = grid_for(b.card(), (count + kChunk - 1) / kChunk);
  b.step("adam_step", traffic(b), [=](const Run& run) {
    return launched(XTDK_LAUNCH(adam_step, grid.clusters, grid.cores, run.context->xpu_stream)(
        d, run.at<float>(param), run.at<float>(grad), run.at<float>(m), run.at<float>(v), run.at<float>(step),
        run.at<float>(rate), run.at<float>(param_out), run.at<float>(m_out), run.at<float>(v_out), count));
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

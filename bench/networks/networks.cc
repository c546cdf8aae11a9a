#include "bench/networks/networks.h"

#include <cstdio>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/nn/layers.h"

namespace trireme::bench {

Network product(int64_t m, int64_t n, int64_t k) {
  const Tensor x = nn::filled({m, k}, 0.0);
  nn::Linear layer(k, n, /*with_bias=*/false);
  return {capture({x}, {layer(x)}, {"x"}, {"y"}), nn::state_of(layer)};
}

Network chain(int64_t count) {
  const Tensor x = nn::filled({1, 16}, 0.0);
  Tensor y = x;
  for (int64_t i = 0; i < count; ++i) y = relu(matmul(y, nn::normal_init({16, 16}, 0.25)));
  return {capture({x}, {y}, {"x"}, {"y"}), {}};
}

Network network(const std::string& name) {
  long long a = 0, b = 0, c = 0;
  char rest = 0;
  const auto whole = [&](int wanted, int read) {
    return read == wanted && a > 0 && (wanted < 2 || b > 0) && (wanted < 3 || c > 0);
  };
  if (whole(1, std::sscanf(name.c_str(), "resnet50_%lld%c", &a, &rest))) return resnet50(a);
  if (whole(1, std::sscanf(name.c_str(), "mobilenet_v3_%lld%c", &a, &rest))) return mobilenet_v3(a);
  if (whole(1, std::sscanf(name.c_str(), "chain_%lld%c", &a, &rest))) return chain(a);
  if (whole(2, std::sscanf(name.c_str(), "bert_base_%lldx%lld%c", &a, &b, &rest))) return bert_base(a, b);
  if (whole(3, std::sscanf(name.c_str(), "product_%lldx%lldx%lld%c", &a, &b, &c, &rest))) return product(a, b, c);
  throw Error(Code::kInvalidArgument, cat("no network '", name,
                                          "'; there are resnet50_BATCH, mobilenet_v3_BATCH, bert_base_BATCHxLENGTH, "
                                          "product_MxNxK and chain_COUNT"));
}

}  // namespace trireme::bench

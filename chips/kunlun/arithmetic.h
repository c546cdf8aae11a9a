// In which arithmetic products of a type run: the library's TGEMM.
#pragma once

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {

// f32 in 16-bit fixed point with one scale for each tensor, as the library does by default; 16-bit floats without loss.
// Calls f(T{}, TGEMM{}) with the library's type of the data.
template <class F>
void by_product(Builder& b, uint32_t dtype, F&& f) {
  switch (dtype) {
    case TRM_F16: return f(api::float16{}, api::float16{});
    case TRM_BF16: return f(api::bfloat16{}, api::tfloat32{});
    default: b.fixed_point(16); return f(float{}, int16_t{});
  }
}

// The second operand of a product. A known one of f32 is made fixed-point when the kernel is prepared, which halves
// what has to stream.
struct Weight {
  uint32_t slot = TRM_ABSENT;                          // where it is not fixed-point
  uint32_t numbers = TRM_ABSENT, maxima = TRM_ABSENT;  // tables of the kernel, where it is
  double bytes = 0;

  bool is_fixed() const { return numbers != TRM_ABSENT; }
  template <class T>
  const T* at(const Run& run) const {
    return is_fixed() ? reinterpret_cast<const T*>(run.tables[numbers]) : run.at<T>(slot);
  }
  const float* maxima_at(const Run& run) const {
    return is_fixed() ? reinterpret_cast<const float*>(run.tables[maxima]) : nullptr;
  }
};
// Operand `index`, row-major and dense.
Weight weight_of(Builder& b, uint32_t index);

// What is read once more to find the maxima of operands that are made fixed-point on the way.
inline double searched_bytes(const Builder& b, const Weight& weight) {
  if (b.input(0).dtype != TRM_F32) return 0;
  return static_cast<double>(bytes_of(b.input(0))) + (weight.is_fixed() ? 0 : weight.bytes);
}

// The same with the library's type of the weight: calls f(T{}, TW{}, TGEMM{}).
template <class F>
void by_product(Builder& b, uint32_t dtype, const Weight& weight, F&& f) {
  if (weight.is_fixed()) {
    b.fixed_point(16);
    return f(float{}, int16_t{}, int16_t{});
  }
  by_product(b, dtype, [&]<class T, class TGEMM>(T, TGEMM) { f(T{}, T{}, TGEMM{}); });
}

// A slot with operand `index` as floats, which is how the library takes biases, scales and statistics; TRM_ABSENT where
// it is not given.
uint32_t as_floats(Builder& b, uint32_t index);

inline const float* floats_at(const Run& run, uint32_t slot) {
  return slot == TRM_ABSENT ? nullptr : run.at<float>(slot);
}

}  // namespace trireme::kunlun

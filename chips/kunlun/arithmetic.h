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

// A slot with operand `index` as floats, which is how the library takes biases, scales and statistics; TRM_ABSENT where
// it is not given.
uint32_t as_floats(Builder& b, uint32_t index);

inline const float* floats_at(const Run& run, uint32_t slot) {
  return slot == TRM_ABSENT ? nullptr : run.at<float>(slot);
}

}  // namespace trireme::kunlun

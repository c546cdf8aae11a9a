func.func @moves(%x: tensor<3x4xf32>, %i: tensor<i32>) -> tensor<2x2xf32> {
  %z = stablehlo.constant dense<0x7F800000> : tensor<f32>
  %p = stablehlo.pad %x, %z, low = [0, -1], high = [1, 0], interior = [0, 1] : (tensor<3x4xf32>, tensor<f32>) -> tensor<4x6xf32>
  %s = stablehlo.slice %p [0:4:2, 1:5:2] : (tensor<4x6xf32>) -> tensor<2x2xf32>
  %d = stablehlo.dynamic_slice %s, %i, %i, sizes = [1, 2] : (tensor<2x2xf32>, tensor<i32>, tensor<i32>) -> tensor<1x2xf32>
  %u = stablehlo.dynamic_update_slice %s, %d, %i, %i : (tensor<2x2xf32>, tensor<1x2xf32>, tensor<i32>, tensor<i32>) -> tensor<2x2xf32>
  %g = stablehlo.dot_general %u, %s, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %g : tensor<2x2xf32>
}

module @m attributes {a.b = 1 : i32} {
  func.func public @main(%arg0: tensor<2xf32> {x = ""}) -> (tensor<2xf32> {y = "z"}) {
    %0 = call @one() : () -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %2 = stablehlo.add %arg0, %1 : tensor<2xf32>
    return %2 : tensor<2xf32>
  }
  func.func private @one() -> tensor<f32> {
    %c = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    return %c : tensor<f32>
  }
}

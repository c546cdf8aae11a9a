#include "trireme/ops/attention/transformer_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl transformer_decoder_step_decl{
    .name = "transformer_decoder_step",
    .doc =
        "One new position of a causal transformer_encoder_layer, x [N, 1, D], with the keys and values of those before "
        "it in caches [N, H, L, D / H]: keys and values of x go to `position` of the caches, and x attends to "
        "positions 0 .. position. Shapes are the same at every step, so one plan serves all. position is clamped to "
        "0 .. L - 1; what lies behind it in the caches has to be finite and counts for nothing.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats},
               {"key_cache", same_as_first},
               {"value_cache", same_as_first},
               {"position", index_ints, {0, 3}},
               {"qkv_weight", same_as_first, {-0.5, 0.5}},
               {"qkv_bias", same_as_first, {-0.5, 0.5}},
               {"output_weight", same_as_first, {-0.5, 0.5}},
               {"output_bias", same_as_first, {-0.5, 0.5}},
               {"attention_norm_weight", same_as_first, {0.5, 1.5}},
               {"attention_norm_bias", same_as_first, {-0.5, 0.5}},
               {"up_weight", same_as_first, {-0.5, 0.5}},
               {"up_bias", same_as_first, {-0.5, 0.5}},
               {"down_weight", same_as_first, {-0.5, 0.5}},
               {"down_bias", same_as_first, {-0.5, 0.5}},
               {"feed_forward_norm_weight", same_as_first, {0.5, 1.5}},
               {"feed_forward_norm_bias", same_as_first, {-0.5, 0.5}}},
    .outputs = {"y", "next_key_cache", "next_value_cache"},
    .attributes = {{"activation", "gelu", "'gelu', 'gelu_tanh' or 'relu'"},
                   {"pre_norm", true, "norms stand before each half, else behind its sum"},
                   {"epsilon", 1e-5, "added to the variances of the norms"}},
    .coerce = Coerce::kPromote,
    .rules = {"x is [N, 1, D] with D at least 1",
              "qkv_weight is [3 D, D], qkv_bias [3 D], output_weight [D, D], output_bias [D]",
              "weights and biases of the norms are [D]",
              "up_weight is [F, D], up_bias [F], down_weight [D, F], down_bias [D]",
              "activation is 'gelu', 'gelu_tanh' or 'relu'", "epsilon is not negative",
              "key_cache and value_cache are [N, H, L, D / H] with L at least 1", "position is a scalar"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.shape(0)[1] == 1 && i.shape(0)[2] >= 1);
          const int64_t batch = i.shape(0)[0], width = i.shape(0)[2];
          require_transformer_weights(i, 4, width);
          const Shape& cache = i.shape(1);
          i.require(7, cache.rank() == 4 && i.shape(2) == cache && cache[0] == batch && cache[2] >= 1);
          i.require(7, cache[1] >= 1 && cache[1] * cache[3] == width);
          i.require(8, i.rank(3) == 0);
          i.output(i.dtype(0), i.shape(0));
          i.output(i.dtype(0), cache);
          i.output(i.dtype(0), cache);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int64_t length = d.x(1).shape()[2];
      const Value last = ops::scalar(d.x(3).dtype(), static_cast<double>(length - 1));
      const Value position = ops::reshape(ops::max(ops::min(d.x(3), last), 0.0), {1});
      const Value zero = ops::filled(position.dtype(), {1}, 0.0);
      const Value start = ops::concat({zero, zero, position, zero}, 0);
      const TransformerLayer layer(d, 4, d.x(1).shape()[1]);
      const auto [q, k, v] = layer.projected(d.x(0));
      const Value keys = ops::dynamic_update_slice(d.x(1), k, start);
      const Value values = ops::dynamic_update_slice(d.x(2), v, start);
      const Value seen = ops::compare(ops::iota({length}, position.dtype(), 0), position, "le");
      const Value mask = ops::select(seen, ops::filled(f32, {length}, 0.0), -std::numeric_limits<double>::infinity());
      const Value attended = ops::attention(q, keys, values, ops::reshape(mask, {1, 1, 1, length}));
      return {layer.result(d.x(0), attended), keys, values};
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]",
              "[1,1,4] [1,1,3,4] [1,1,3,4] i64[]:0..0 [12,4] [12] [4,4] [4] [4] [4] [5,4] [5] [4,5] [4] [4] [4] "
              "pre_norm=false activation=\"gelu_tanh\"",
              "[1,1,4] [1,4,3,1] [1,4,3,1] i32[]:7..7 [12,4] [12] [4,4] [4] [4] [4] [4,4] [4] [4,4] [4] [4] [4] "
              "activation=\"relu\" epsilon=0.1",
              "[0,1,4] [0,2,3,2] [0,2,3,2] i32[]:1..1 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]"},
    .rejects = {"1: [2,2,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]",
                "2: [2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,3] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]",
                "3: [2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [3] [4]",
                "4: [2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [5] [4,6] [4] [4] [4]",
                "5: [2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] "
                "activation=\"silu\"",
                "6: [2,1,4] [2,2,5,2] [2,2,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] "
                "epsilon=-1.0",
                "7: [2,1,4] [2,2,5,2] [2,2,4,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]",
                "7: [2,1,4] [2,3,5,2] [2,3,5,2] i32[]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]",
                "8: [2,1,4] [2,2,5,2] [2,2,5,2] i32[1]:2..2 [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4]"},
};

}  // namespace trireme

#include "trireme/ops/attention/transformer_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl transformer_encoder_layer_decl{
    .name = "transformer_encoder_layer",
    .doc =
        "One layer of a Transformer encoder (Vaswani et al. 2017) on x [N, T, D]. With pre_norm h = x + "
        "output(attention(qkv(norm1(x)))), y = h + down(activation(up(norm2(h)))); else h = norm1(x + "
        "output(attention(qkv(x)))), y = norm2(h + down(activation(up(h)))). The rows of qkv_weight give the queries, "
        "then the keys, then the values of all heads; mask and causal are those of attention, causal makes it a layer "
        "of a decoder without cross attention.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats},
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
               {"feed_forward_norm_bias", same_as_first, {-0.5, 0.5}},
               {"mask", floats | bools, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"heads", required_int, "number of heads"},
                   {"activation", "gelu", "'gelu', 'gelu_tanh' or 'relu'"},
                   {"pre_norm", true, "norms stand before each half, else behind its sum"},
                   {"causal", false, "no position sees those after it"},
                   {"epsilon", 1e-5, "added to the variances of the norms"}},
    .coerce = Coerce::kPromote,
    .rules = {"x is [N, T, D] with T and D at least 1, heads is at least 1 and divides D",
              "qkv_weight is [3 D, D], qkv_bias [3 D], output_weight [D, D], output_bias [D]",
              "weights and biases of the norms are [D]",
              "up_weight is [F, D], up_bias [F], down_weight [D, F], down_bias [D]",
              "activation is 'gelu', 'gelu_tanh' or 'relu'", "epsilon is not negative",
              "mask broadcasts to [N, heads, T, T]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.shape(0)[1] >= 1 && i.shape(0)[2] >= 1);
          const int64_t batch = i.shape(0)[0], time = i.shape(0)[1], width = i.shape(0)[2], heads = i.integer("heads");
          i.require(1, heads >= 1 && width % heads == 0);
          require_transformer_weights(i, 1, width);
          if (i.has(13)) {
            const Shape full{batch, heads, time, time};
            Shape joined;
            i.require(7, broadcast_shapes(i.shape(13), full, &joined) && joined == full);
          }
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const TransformerLayer layer(d, 1, d.integer("heads"));
      const auto [q, k, v] = layer.projected(d.x(0));
      return layer.result(d.x(0), ops::attention(q, k, v, d.has(13) ? d.x(13) : Value(), d.flag("causal")));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2",
              "[1,3,4] [12,4] [12] [4,4] [4] [4] [4] [5,4] [5] [4,5] [4] [4] [4] heads=1 pre_norm=false causal=true",
              "[1,2,4] [12,4] [12] [4,4] [4] [4] [4] [4,4] [4] [4,4] [4] [4] [4] bool[2,2] heads=4 "
              "activation=\"gelu_tanh\" epsilon=0.1",
              "[2,2,4] [12,4] [12] [4,4] [4] [4] [4] [7,4] [7] [4,7] [4] [4] [4] [2,1,1,2] heads=2 "
              "activation=\"relu\" pre_norm=false",
              "[0,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2"},
    .rejects = {"1: [3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2",
                "1: [2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=3",
                "2: [2,3,4] [12,4] [4] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2",
                "3: [2,3,4] [12,4] [12] [4,4] [4] [4] [3] [6,4] [6] [4,6] [4] [4] [4] heads=2",
                "4: [2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [6,4] [4] [4] [4] heads=2",
                "5: [2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2 activation=\"tanh\"",
                "6: [2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] heads=2 epsilon=-1.0",
                "7: [2,3,4] [12,4] [12] [4,4] [4] [4] [4] [6,4] [6] [4,6] [4] [4] [4] bool[2,3] heads=2"},
};

}  // namespace trireme

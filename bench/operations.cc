#include "bench/operations.h"

#include <memory>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/optim/optimizer.h"

namespace trireme::bench {
namespace {

using Body = Compiled::Body;

Operation compiled(const Body& body, const std::vector<Literal>& inputs) {
  const auto function = std::make_shared<Compiled>(body);
  const auto tensors = std::make_shared<std::vector<Tensor>>();
  for (const Literal& each : inputs) tensors->emplace_back(each);
  const auto iterate = [=] { eval((*function)(*tensors)); };
  const auto run = [=] {
    std::vector<Literal> results;
    for (const Tensor& each : (*function)(*tensors)) results.push_back(each.literal());
    return results;
  };
  return {run, iterate, [=]() -> const Graph& { return function->graph(); }};
}

// A graph in which w is a constant, so that it can be packed ahead.
Operation product(const std::string& type, const Literal& x, const Literal& w) {
  const bool integers = type == "int8";
  if (!integers && type != "f32" && type != "bf16") {
    throw Error(Code::kInvalidArgument, cat("no products of type '", type, "'; there are f32, bf16 and int8"));
  }
  const auto as = [](DType to, const Literal& given, const Shape& shape) {
    return Literal::from_doubles(to, shape, given.to_doubles());
  };
  const DType x_type = integers ? u8 : type == "bf16" ? bf16 : f32, w_type = integers ? i8 : x_type;
  const Tensor a(as(x_type, x, {1, x.shape()[0], x.shape()[1]})), b(as(w_type, w, {1, w.shape()[0], w.shape()[1]}));
  const Tensor y = integers ? integer_dot_general(a, b) : dot_general(a, b);
  const Graph graph = capture({a}, {reshape(convert(y, f32), {x.shape()[0], w.shape()[1]})});
  return compiled([graph](const std::vector<Tensor>& list) { return trireme::run(graph, list); }, {a.literal()});
}

Operation adamw(const Literal& parameter, const Literal& gradient) {
  const auto p = std::make_shared<Tensor>(parameter);
  const Tensor g(gradient);
  const auto optimizer = std::make_shared<optim::Optimizer>(
      optim::Method::kAdamW, std::vector<nn::NamedTensor>{{"p", *p}}, optim::Options{.learning_rate = 1e-3});
  const auto step = std::make_shared<Compiled>([=](const std::vector<Tensor>& list) {
    optimizer->step(list);
    return std::vector<Tensor>{narrow(*p, 0, 0, 1)};
  });
  const auto iterate = [=] { eval((*step)({g})); };
  return {[=] {
            iterate();
            return std::vector<Literal>{p->literal()};
          },
          iterate, [=]() -> const Graph& { return step->graph(); }};
}

Tensor add_often(Tensor x, const Tensor& y) {
  for (int i = 0; i < 100; ++i) x = x + y;
  return x;
}

Operation adds_lazy(const Literal& x, const Literal& y) {
  const auto last = std::make_shared<Tensor>();
  const Tensor b(y);
  const auto iterate = [=] {
    *last = add_often(Tensor(x), b);
    last->item();
  };
  return {[=] {
            iterate();
            return std::vector<Literal>{last->literal()};
          },
          iterate, [graph = capture({Tensor(x), b}, {add_often(Tensor(x), b)})]() -> const Graph& { return graph; }};
}

}  // namespace

Operation operation(const std::string& name, const std::vector<Literal>& inputs) {
  const auto words = split(name, '_');
  if (words[0] == "product" && words.size() == 3) return product(words[1], inputs.at(0), inputs.at(1));
  if (name == "adamw") return adamw(inputs.at(0), inputs.at(1));
  if (name == "adds_lazy") return adds_lazy(inputs.at(0), inputs.at(1));
  using List = std::vector<Tensor>;
  const std::pair<const char*, Body> bodies[] = {
      {"bias_gelu", [](const List& in) { return List{gelu(in[0] + in[1])}; }},
      {"add_layer_norm", [](const List& in) { return List{layer_norm(in[0] + in[1], in[2], in[3], 1)}; }},
      {"scale_softmax", [](const List& in) { return List{softmax(in[0] * 0.125)}; }},
      {"attention", [](const List& in) { return List{attention(in[0], in[1], in[2])}; }},
      {"attention_step", [](const List& in) { return grad(sum(attention(in[0], in[1], in[2])), in); }},
      {"adds_compiled", [](const List& in) { return List{add_often(in[0], in[1])}; }},
  };
  for (const auto& [known, body] : bodies) {
    if (name == known) return compiled(body, inputs);
  }
  throw Error(Code::kInvalidArgument, cat("no operation '", name, "'; bench/operations.h lists them"));
}

}  // namespace trireme::bench

// Branches and loops.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

constexpr int64_t kMaxRounds = 10000;

bool truth(const Literal& literal) { return literal.elements() > 0 && literal.at(0) != 0.0; }

void branch(Call& c) {
  const Subgraph yes = c.subgraph("then_branch"), no = c.subgraph("else_branch");
  const auto take = [&](bool condition) {
    const auto results = c.build(condition ? yes : no, {});
    for (size_t k = 0; k < results.size(); ++k) c.result(static_cast<int>(k), results[k]);
  };
  if (const auto condition = c.constant(c.x(0))) {
    take(truth(*condition));
    return;
  }
  // Both branches as graphs, when they give the same types; else the condition decides at import.
  const auto then_graph = c.close(yes, {}), else_graph = c.close(no, {});
  bool alike = then_graph && else_graph && then_graph->elems == else_graph->elems && !then_graph->elems.empty();
  for (size_t k = 0; alike && k < then_graph->elems.size(); ++k) {
    alike = then_graph->graph.outputs()[k].type() == else_graph->graph.outputs()[k].type();
  }
  std::vector<Value> operands;
  if (alike) {
    operands = then_graph->captured;
    operands.insert(operands.end(), else_graph->captured.begin(), else_graph->captured.end());
    alike = !operands.empty();  // cond takes an operand at least
  }
  if (!alike) {
    take(truth(c.known(0)));
    return;
  }
  // Each graph takes the operands of both.
  std::vector<Value> spare_then, spare_else;
  for (const Value& v : else_graph->captured) spare_then.push_back(parameter(v.dtype(), v.shape()));
  for (const Value& v : then_graph->captured) spare_else.push_back(parameter(v.dtype(), v.shape()));
  std::vector<Value> then_inputs = then_graph->graph.inputs(), else_inputs = spare_else;
  then_inputs.insert(then_inputs.end(), spare_then.begin(), spare_then.end());
  else_inputs.insert(else_inputs.end(), else_graph->graph.inputs().begin(), else_graph->graph.inputs().end());
  const Values results = ops::cond(ops::reshape(c.x(0), {}), operands, Graph(then_inputs, then_graph->graph.outputs()),
                                   Graph(else_inputs, else_graph->graph.outputs()));
  for (size_t k = 0; k < results.size(); ++k) c.result(static_cast<int>(k), Item(then_graph->elems[k], results[k]));
}

// One tensor of the slices gathered in the rounds.
Item stacked(const Call& c, const std::vector<Item>& slices, int64_t axis) {
  std::vector<Value> parts;
  for (const Item& each : slices) {
    if (each.kind != Kind::kTensor) c.invalid("what a loop gathers is no tensor");
    const Shape& shape = each.value.shape();
    parts.push_back(
        ops::reshape(each.value, shape.inserted(static_cast<int>(c.axis(axis, shape.rank() + 1)), 1).vector()));
  }
  const int64_t at = c.axis(axis, slices[0].value.shape().rank() + 1);
  return {slices[0].elem, parts.size() == 1 ? parts[0] : ops::concat(parts, at)};
}

// Rounds are written out one after the other: how many there are is known when the model is imported.
void loop(Call& c) {
  const Subgraph body = c.subgraph("body");
  const int carried = c.inputs() - 2, gathered = body.outputs - 1 - carried;
  c.require(carried >= 0 && gathered >= 0 && body.inputs == carried + 2, "the body's inputs and outputs do not fit");
  const int64_t limit = c.has(0) ? c.known_int(0) : kMaxRounds;
  std::vector<Item> state;
  for (int i = 0; i < carried; ++i) state.push_back(c.item(i + 2));
  std::vector<std::vector<Item>> slices(static_cast<size_t>(gathered));
  bool go_on = c.has(1) ? truth(c.known(1)) : true;
  int64_t round = 0;
  for (; go_on && round < limit; ++round) {
    if (round == kMaxRounds) c.unsupported(cat("a loop of more than ", kMaxRounds, " rounds"));
    std::vector<Item> inputs = {Item(ops::constant(Literal::scalar<int64_t>(round))),
                                Item(ops::constant(Literal::scalar<bool>(true)))};
    inputs.insert(inputs.end(), state.begin(), state.end());
    const auto outputs = c.build(body, inputs);
    for (int i = 0; i < carried; ++i) state[static_cast<size_t>(i)] = outputs[static_cast<size_t>(i) + 1];
    for (int i = 0; i < gathered; ++i) {
      slices[static_cast<size_t>(i)].push_back(outputs[static_cast<size_t>(carried + 1 + i)]);
    }
    if (round + 1 < limit) go_on = truth(c.known(outputs[0].value));
  }
  for (int i = 0; i < carried; ++i) c.result(i, state[static_cast<size_t>(i)]);
  for (int i = 0; i < gathered; ++i) {
    if (!c.wants(carried + i)) continue;
    if (slices[static_cast<size_t>(i)].empty()) c.unsupported("a loop of no rounds gathers something of unknown shape");
    c.result(carried + i, stacked(c, slices[static_cast<size_t>(i)], 0));
  }
}

void scan(Call& c) {
  const Subgraph body = c.subgraph("body");
  const bool batched = c.opset() == 8;  // a first input of lengths, and a batch axis in front
  const int first = batched ? 1 : 0;
  const int64_t sequences = c.integer("num_scan_inputs");
  const int64_t states = c.inputs() - first - sequences;
  const int64_t outputs = body.outputs - states;
  c.require(sequences >= 1 && states >= 0 && outputs >= 0 && body.inputs == states + sequences,
            "the body does not fit");
  if (batched && c.has(0)) c.unsupported("sequence_lens");
  const auto list = [&](std::string_view name, int64_t count) {
    return c.integers(name, Ints(static_cast<size_t>(count), 0));
  };
  const Ints directions = list(batched ? "directions" : "scan_input_directions", sequences),
             axes = list("scan_input_axes", sequences);
  const Ints out_directions = list("scan_output_directions", outputs), out_axes = list("scan_output_axes", outputs);
  const auto run = [&](const std::vector<Item>& start, const std::vector<Item>& inputs) {
    std::vector<Item> state = start;
    std::vector<std::vector<Item>> slices(static_cast<size_t>(outputs));
    int64_t rounds = -1;
    for (size_t k = 0; k < inputs.size(); ++k) {
      const Shape& shape = inputs[k].value.shape();
      const int64_t size = shape[static_cast<int>(c.axis(axes[k], shape.rank()))];
      c.require(rounds < 0 || rounds == size, "the scanned inputs differ in length");
      rounds = size;
    }
    if (rounds == 0) c.unsupported("a scan of no rounds");
    if (rounds > kMaxRounds) c.unsupported(cat("a scan of more than ", kMaxRounds, " rounds"));
    for (int64_t round = 0; round < rounds; ++round) {
      std::vector<Item> arguments = state;
      for (size_t k = 0; k < inputs.size(); ++k) {
        const Value& x = inputs[k].value;
        const int axis = static_cast<int>(c.axis(axes[k], x.shape().rank()));
        const int64_t at = directions[k] == 0 ? round : rounds - 1 - round;
        arguments.emplace_back(inputs[k].elem,
                               ops::reshape(ops::slice_axis(x, axis, at, at + 1), x.shape().without(axis).vector()));
      }
      const auto results = c.build(body, arguments);
      for (int64_t i = 0; i < states; ++i) state[static_cast<size_t>(i)] = results[static_cast<size_t>(i)];
      for (int64_t i = 0; i < outputs; ++i)
        slices[static_cast<size_t>(i)].push_back(results[static_cast<size_t>(states + i)]);
    }
    for (int64_t i = 0; i < outputs; ++i) {
      auto& each = slices[static_cast<size_t>(i)];
      if (out_directions[static_cast<size_t>(i)] != 0) std::reverse(each.begin(), each.end());
      state.push_back(stacked(c, each, out_axes[static_cast<size_t>(i)]));
    }
    return state;
  };
  std::vector<Item> start, inputs;
  for (int i = first; i < c.inputs(); ++i) {
    c.x(i);  // a tensor
    (i - first < states ? start : inputs).push_back(c.item(i));
  }
  if (!batched) {
    const auto results = run(start, inputs);
    for (size_t k = 0; k < results.size(); ++k) c.result(static_cast<int>(k), results[k]);
    return;
  }
  const int64_t batch = inputs[0].value.shape()[0];
  std::vector<std::vector<Item>> rows(static_cast<size_t>(body.outputs));
  for (int64_t b = 0; b < batch; ++b) {
    const auto row = [&](std::vector<Item> items) {
      for (Item& item : items) {
        item.value = ops::reshape(ops::slice_axis(item.value, 0, b, b + 1), item.value.shape().without(0).vector());
      }
      return items;
    };
    const auto results = run(row(start), row(inputs));
    for (size_t k = 0; k < results.size(); ++k) rows[k].push_back(results[k]);
  }
  for (size_t k = 0; k < rows.size(); ++k) c.result(static_cast<int>(k), stacked(c, rows[k], 0));
}

}  // namespace

std::span<const Mapping> control_mappings() {
  static constexpr Mapping table[] = {
      {"If", branch},
      {"Loop", loop},
      {"Scan", scan, 8},
  };
  return table;
}

}  // namespace trireme::formats::onnx

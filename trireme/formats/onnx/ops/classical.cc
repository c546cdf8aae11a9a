// The domain ai.onnx.ml: features, labels and trees.
#include <cmath>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

void array_feature_extractor(Call& c) {
  const Value& x = c.x(0);
  c.require(x.shape().rank() >= 1, "X has an axis");
  const Value places = ops::reshape(c.x(1), {c.shape(1).elements()});
  const Value picked = ops::gather(x, ops::as_type(places, i64), x.shape().rank() - 1);
  c.result_like(0, x.shape().rank() == 1 ? ops::reshape(picked, {1, picked.shape()[0]}) : picked);
}

void binarizer(Call& c) { c.result(ops::convert(ops::compare(c.x(0), c.number("threshold", 0.0), "gt"), c.dtype(0))); }

void scaler(Call& c) {
  const Value x = ops::as_type(c.x(0), f32);
  const auto row = [&](std::string_view name, double missing) {
    std::vector<double> list = c.numbers(name);
    if (list.empty()) list.push_back(missing);
    return broadcast(ops::float_vector(f32, list), x.shape());
  };
  c.result((x - row("offset", 0.0)) * row("scale", 1.0));
}

// --- LabelEncoder ---

struct Column {  // keys or values: numbers, or strings
  std::vector<double> numbers;
  std::vector<std::string> strings;
  DType type = f32;
  bool text = false;
  size_t size() const { return text ? strings.size() : numbers.size(); }
};

Column column(Call& c, const std::string& kind) {
  Column out;
  if (c.given(kind + "_strings")) {
    out.strings = c.strings(kind + "_strings");
    out.text = true;
  } else if (c.given(kind + "_int64s")) {
    for (int64_t v : c.integers(kind + "_int64s")) out.numbers.push_back(static_cast<double>(v));
    out.type = i64;
  } else if (c.given(kind + "_floats")) {
    out.numbers = c.numbers(kind + "_floats");
  } else {
    const HostValue tensor = c.tensor(kind + "_tensor");
    out.text = tensor.kind == Kind::kText;
    if (out.text) {
      out.strings = tensor.text->strings;
    } else {
      out.numbers = tensor.tensor.to_doubles();
      out.type = tensor.tensor.dtype();
    }
  }
  return out;
}

void label_encoder(Call& c) {
  const Column keys = column(c, "keys"), values = column(c, "values");
  c.require(keys.size() == values.size(), "as many keys as values");
  Column missing;
  missing.numbers = {values.type == i64 ? -1.0 : is_float(values.type) ? -0.0 : -1.0};
  missing.strings = {"_Unused"};
  if (c.given("default_tensor")) {
    const HostValue tensor = c.tensor("default_tensor");
    if (tensor.kind == Kind::kText) missing.strings = tensor.text->strings;
    else missing.numbers = tensor.tensor.to_doubles();
  } else if (c.given("default_string")) {
    missing.strings = {c.string("default_string", "")};
  } else if (values.type == i64) {
    missing.numbers = {static_cast<double>(c.integer("default_int64", -1))};
  } else if (c.given("default_float")) {
    missing.numbers = {c.number("default_float")};
  }
  c.require(!missing.strings.empty() && !missing.numbers.empty(), "the default has no element");
  if (keys.text || values.text) {  // text is worked on here
    std::vector<size_t> found;
    Shape shape;
    if (keys.text) {
      c.require(c.item(0).kind == Kind::kText, "the input is no text");
      shape = c.item(0).text->shape;
      for (const std::string& word : c.item(0).text->strings) {
        found.push_back(
            static_cast<size_t>(std::find(keys.strings.begin(), keys.strings.end(), word) - keys.strings.begin()));
      }
    } else {
      shape = c.shape(0);
      for (double v : c.known_numbers(0)) {
        const auto same = [&](double k) { return k == v || (k != k && v != v); };
        found.push_back(
            static_cast<size_t>(std::find_if(keys.numbers.begin(), keys.numbers.end(), same) - keys.numbers.begin()));
      }
    }
    if (values.text) {
      Text out{shape, {}};
      for (size_t at : found) out.strings.push_back(at < values.size() ? values.strings[at] : missing.strings[0]);
      c.result(0, Item::of_text(std::move(out)));
    } else {
      std::vector<double> out;
      for (size_t at : found) out.push_back(at < values.size() ? values.numbers[at] : missing.numbers[0]);
      c.result(ops::constant(Literal::from_doubles(values.type, shape, out)));
    }
    return;
  }
  const Value& x = c.x(0);
  Value y = ops::filled(values.type, x.shape(), missing.numbers[0]);
  for (size_t k = 0; k < keys.size(); ++k) {
    const Value hit = std::isnan(keys.numbers[k]) ? ops::compare(x, x, "ne") : ops::compare(x, keys.numbers[k], "eq");
    y = ops::select(hit, ops::filled_like(y, values.numbers[k]), y);
  }
  c.result(y);
}

// --- TreeEnsemble ---

// All rows walk down together: each holds the number of its node, leaves stay where they are.
void tree_ensemble(Call& c) {
  const Value& x = c.x(0);
  c.require(x.shape().rank() == 2, "X is [N, F]");
  const int64_t rows = x.shape()[0], features = x.shape()[1], targets = c.integer("n_targets");
  const Ints roots = c.integers("tree_roots"), feature = c.integers("nodes_featureids"),
             yes = c.integers("nodes_truenodeids"), no = c.integers("nodes_falsenodeids"),
             yes_leaf = c.integers("nodes_trueleafs"), no_leaf = c.integers("nodes_falseleafs"),
             leaf_target = c.integers("leaf_targetids");
  Ints track = c.integers("nodes_missing_value_tracks_true");
  const std::vector<double> modes = c.tensor("nodes_modes").tensor.to_doubles(),
                            splits = c.tensor("nodes_splits").tensor.to_doubles(),
                            leaf_weight = c.tensor("leaf_weights").tensor.to_doubles();
  const size_t count = feature.size(), leaves = leaf_target.size();
  track.resize(count, 0);
  c.require(count >= 1 && yes.size() == count && no.size() == count && yes_leaf.size() == count &&
                no_leaf.size() == count && modes.size() == count && splits.size() == count &&
                leaf_weight.size() == leaves && leaves >= 1 && targets >= 1,
            "the lists of nodes and leaves have equal lengths");
  for (size_t i = 0; i < count; ++i) {
    c.require(feature[i] >= 0 && feature[i] < features, cat("feature ", feature[i], " of ", features));
    const auto sound = [&](int64_t at, bool leaf) {
      return at >= 0 && at < static_cast<int64_t>(leaf ? leaves : count);
    };
    c.require(sound(yes[i], yes_leaf[i] != 0) && sound(no[i], no_leaf[i] != 0),
              cat("a branch of node ", i, " leads nowhere"));
  }
  for (int64_t target : leaf_target)
    c.require(target >= 0 && target < targets, cat("target ", target, " of ", targets));
  // Members of the set tests, one list after the other, ended by nan.
  std::vector<std::set<double>> members(count);
  if (c.given("membership_values")) {
    const std::vector<double> list = c.tensor("membership_values").tensor.to_doubles();
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) {
      if (modes[i] != 6) continue;
      while (at < list.size() && !std::isnan(list[at])) members[i].insert(list[at++]);
      ++at;
    }
  }
  // Leaves count on behind the nodes. Depth: no walk without a circle is longer than the number of nodes.
  const auto child = [&](int64_t at, bool leaf) { return leaf ? at + static_cast<int64_t>(count) : at; };
  int64_t depth = 0;
  for (int64_t root : roots) {
    c.require(root >= 0 && root < static_cast<int64_t>(count), cat("root ", root, " of ", count));
    std::set<int64_t> level{root};
    for (int64_t reached = 1; !level.empty(); ++reached) {
      c.require(reached <= static_cast<int64_t>(count), "the tree has a circle");
      depth = std::max(depth, reached);
      std::set<int64_t> below;
      for (int64_t node : level) {
        const auto i = static_cast<size_t>(node);
        if (yes_leaf[i] == 0) below.insert(yes[i]);
        if (no_leaf[i] == 0) below.insert(no[i]);
      }
      level = std::move(below);
    }
  }
  const auto trees = static_cast<int64_t>(roots.size());
  const DType type = x.dtype();
  std::vector<double> threshold = splits, weight(count, 0.0);
  threshold.resize(count + leaves, 0.0);
  weight.insert(weight.end(), leaf_weight.begin(), leaf_weight.end());
  Ints column = feature, next_yes, next_no, follow = track, target(count, 0);
  column.resize(count + leaves, 0);
  follow.resize(count + leaves, 0);
  target.insert(target.end(), leaf_target.begin(), leaf_target.end());
  for (size_t i = 0; i < count; ++i) {
    next_yes.push_back(child(yes[i], yes_leaf[i] != 0));
    next_no.push_back(child(no[i], no_leaf[i] != 0));
  }
  for (size_t i = count; i < count + leaves; ++i) {
    next_yes.push_back(static_cast<int64_t>(i));
    next_no.push_back(static_cast<int64_t>(i));
  }
  const Ints grid = {rows, trees};
  Value node = ops::broadcast_to(int64s(roots), grid);
  const Value row = ops::iota(grid, i64, 0) * static_cast<double>(features);
  const Value flat = ops::reshape(x, {rows * features});
  const auto of_node = [&](const Value& table) { return ops::gather(table, node, 0); };
  for (int64_t level = 0; level < depth; ++level) {
    const Value value = ops::gather(flat, row + of_node(int64s(column)), 0);
    const Value split = of_node(ops::float_vector(type, threshold));
    Value taken = ops::filled(boolean, Shape(grid), 0.0);
    constexpr std::string_view kinds[] = {"le", "lt", "ge", "gt", "eq", "ne"};
    for (int mode = 0; mode <= 6; ++mode) {
      std::vector<double> is_mode(count + leaves, 0.0);
      bool any = false;
      for (size_t i = 0; i < count; ++i) {
        is_mode[i] = modes[i] == mode;
        any = any || is_mode[i] != 0.0;
      }
      if (!any) continue;
      const Value here =
          of_node(ops::constant(Literal::from_doubles(boolean, Shape{static_cast<int64_t>(is_mode.size())}, is_mode)));
      Value holds;
      if (mode < 6) {
        holds = ops::compare(value, split, kinds[mode]);
      } else {
        holds = ops::filled(boolean, Shape(grid), 0.0);
        for (size_t i = 0; i < count; ++i) {
          for (double member : members[i]) {
            holds = ops::or_(
                holds, ops::and_(ops::compare(node, static_cast<double>(i), "eq"), ops::compare(value, member, "eq")));
          }
        }
      }
      taken = ops::or_(taken, ops::and_(here, holds));
    }
    const Value lost = ops::and_(ops::compare(value, value, "ne"), ops::compare(of_node(int64s(follow)), 0.0, "ne"));
    node = ops::select(ops::or_(taken, lost), of_node(int64s(next_yes)), of_node(int64s(next_no)));
  }
  const Value score = of_node(ops::float_vector(type, weight)), where = of_node(int64s(target));  // [N, trees]
  const Ints wide = {rows, trees, targets};
  const Value hit =
      ops::compare(ops::broadcast_to(ops::reshape(where, {rows, trees, 1}), wide), ops::iota(wide, i64, 2), "eq");
  const Value each = ops::broadcast_to(ops::reshape(score, {rows, trees, 1}), wide);
  Value y;
  switch (c.integer("aggregate_function", 1)) {
    case 0:
      y = ops::reduce_sum(ops::select(hit, each, 0.0), {1}) * (1.0 / static_cast<double>(std::max<int64_t>(trees, 1)));
      break;
    case 1: y = ops::reduce_sum(ops::select(hit, each, 0.0), {1}); break;
    case 2: y = ops::reduce_min(ops::select(hit, each, ops::highest_like(each)), {1}); break;
    case 3: y = ops::reduce_max(ops::select(hit, each, ops::lowest_like(each)), {1}); break;
    default: c.invalid("aggregate_function is 0 .. 3");
  }
  switch (c.integer("post_transform", 0)) {
    case 0: break;
    case 1: y = ops::softmax(y, 1); break;
    case 2: y = ops::logistic(y); break;
    default: c.unsupported(cat("post_transform ", c.integer("post_transform", 0)));
  }
  c.result(y);
}

}  // namespace

std::span<const Mapping> classical_mappings() {
  static constexpr std::string_view ml = "ai.onnx.ml";
  static constexpr Mapping table[] = {
      {"ArrayFeatureExtractor", array_feature_extractor, 1, 5, ml},
      {"Binarizer", binarizer, 1, 5, ml},
      {"LabelEncoder", label_encoder, 2, 5, ml},
      {"Scaler", scaler, 1, 5, ml},
      {"TreeEnsemble", tree_ensemble, 5, 5, ml},
  };
  return table;
}

}  // namespace trireme::formats::onnx

// Gathers and scatters. Trireme reads the nearest element where an index is out of range, and ignores what would be
// written there; ONNX leaves that open, so indices that are not known to be right are limited first.
#include <algorithm>

#include "trireme/formats/onnx/emit.h"
#include "trireme/ops/declare.h"

namespace trireme::formats::onnx {

namespace {

std::string limited(Emit& e, int operand, int64_t size) {
  const DType type = e.x(operand).dtype();
  if (e.known_within(operand, 0, static_cast<double>(size - 1))) return e.in(operand);
  return e.add("Clip", {e.in(operand), e.scalar(type, 0), e.scalar(type, static_cast<double>(size - 1))});
}

bool gather(Emit& e) {
  const auto axis = static_cast<int>(normal_axis(e.integer("axis"), e.shape(0).rank()));
  if (e.shape(0)[axis] == 0) return false;
  e.give("Gather", {e.in(0), limited(e, 1, e.shape(0)[axis])}, {{"axis", int64_t{axis}}});
  return true;
}

bool embedding(Emit& e) {
  e.give("Gather", {e.in(0), limited(e, 1, e.shape(0)[0])}, {{"axis", int64_t{0}}});
  return true;
}

bool take_along_axis(Emit& e) {
  const auto axis = static_cast<int>(normal_axis(e.integer("axis"), e.shape(0).rank()));
  for (int a = 0; a < e.shape(0).rank(); ++a) {
    if (a != axis && e.shape(1)[a] != e.shape(0)[a]) return false;
  }
  if (e.shape(0)[axis] == 0) return false;
  e.give("GatherElements", {e.in(0), limited(e, 1, e.shape(0)[axis])}, {{"axis", int64_t{axis}}});
  return true;
}

// x with its axis at the front, the slices at `indices` combined with the updates, and back. A row behind the last
// takes what has no place.
bool scatter(Emit& e, const char* reduction) {
  const int rank = e.shape(0).rank(), places = e.shape(1).rank();
  if (e.shape(1).elements() == 0 || e.shape(0).elements() == 0) {
    e.give(e.in(0));
    return true;
  }
  const auto axis = static_cast<int>(normal_axis(e.integer("axis"), rank));
  const int64_t size = e.shape(0)[axis];
  const DType index_type = e.x(1).dtype();

  // Axes of the updates: those before `axis`, those of the indices, the rest.
  Ints front = {axis}, back, updates_front;
  for (int a = 0; a < rank; ++a) {
    if (a != axis) front.push_back(a);
  }
  for (int a = 0; a < rank; ++a) back.push_back(std::find(front.begin(), front.end(), a) - front.begin());
  for (int a = 0; a < places; ++a) updates_front.push_back(axis + a);
  for (int a = 0; a < axis; ++a) updates_front.push_back(a);
  for (int a = axis + places; a < rank + places - 1; ++a) updates_front.push_back(a);

  std::string x = e.in(0), updates = e.in(2), indices = e.in(1);
  if (axis != 0) {
    x = e.add("Transpose", {x}, {{"perm", front}});
    updates = e.add("Transpose", {updates}, {{"perm", updates_front}});
  }
  const bool inside = e.known_within(1, 0, static_cast<double>(size - 1));
  Ints row = {1};
  for (int a = 1; a < rank; ++a) row.push_back(e.shape(0)[static_cast<int>(front[static_cast<size_t>(a)])]);
  if (!inside) {
    x = e.add("Concat", {x, e.constant(Literal::zeros(e.type(), row))}, {{"axis", int64_t{0}}});
    const std::string last = e.scalar(index_type, static_cast<double>(size));
    indices = e.add("Where", {e.add("Less", {indices, e.scalar(index_type, 0)}), last, e.add("Min", {indices, last})});
  }
  if (index_type != i64) indices = e.cast(indices, index_type, i64);
  indices = e.reshape(indices, e.shape(1).inserted(places, 1));
  std::string y = e.add("ScatterND", {x, indices, updates}, {{"reduction", std::string(reduction)}});
  if (!inside) y = e.add("Slice", {y, e.list({0}), e.list({size}), e.list({0})});
  if (axis != 0) y = e.add("Transpose", {y}, {{"perm", back}});
  e.give(y);
  return true;
}
bool scatter_add(Emit& e) { return scatter(e, "add"); }
bool scatter_max(Emit& e) { return scatter(e, "max"); }
bool scatter_min(Emit& e) { return scatter(e, "min"); }
bool scatter_set(Emit& e) { return scatter(e, "none"); }

bool dynamic_slice(Emit& e) {
  const Ints& sizes = e.integers("sizes");
  if (sizes.empty()) {
    e.give(e.in(0));
    return true;
  }
  const DType type = e.x(1).dtype();
  const auto in_type = [&](const Ints& values) {
    return type == i64 ? e.list(values) : e.cast(e.list(values), i64, type);
  };
  Ints furthest;
  for (size_t a = 0; a < sizes.size(); ++a) furthest.push_back(e.shape(0)[static_cast<int>(a)] - sizes[a]);
  const std::string start = e.add("Min", {e.add("Max", {e.in(1), in_type(Ints(sizes.size(), 0))}), in_type(furthest)});
  e.give("Slice", {e.in(0), start, e.add("Add", {start, in_type(sizes)}),
                   in_type(ops::iota_axes(static_cast<int>(sizes.size())))});
  return true;
}

}  // namespace

std::span<const ExportRule> indexing_export_rules() {
  static const ExportRule rules[] = {
      {"dynamic_slice", {}, any_dtype, dynamic_slice},
      {"embedding", {}, any_dtype, embedding},
      {"gather", {}, any_dtype, gather},
      {"scatter_add", {}, numbers, scatter_add},
      {"scatter_max", {}, numbers, scatter_max},
      {"scatter_min", {}, numbers, scatter_min},
      {"scatter_set", {}, any_dtype, scatter_set},
      {"take_along_axis", {}, any_dtype, take_along_axis},
  };
  return rules;
}

}  // namespace trireme::formats::onnx

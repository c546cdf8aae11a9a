// Programs as a chip sees them: values, nodes, attributes, known constants, strides, bodies, hash, lifetime; and the
// evaluator offered as a service over strided memory.
#include "trireme/runtime/program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "trireme/chip/chip.hpp"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"

namespace trireme::runtime {
namespace {

const TrmProgramReader& reader() { return program_reader(); }

TrmValue value_of(const ProgramRef& program, uint32_t number) {
  TrmValue out = chip::sized<TrmValue>();
  EXPECT_EQ(reader().value(program.get(), number, &out), TRM_OK);
  return out;
}
TrmNode node_of(const ProgramRef& program, uint32_t number) {
  TrmNode out = chip::sized<TrmNode>();
  EXPECT_EQ(reader().node(program.get(), number, &out), TRM_OK);
  return out;
}

TEST(Program, ShowsTheGraph) {
  const Value x = parameter(f32, {2, 3}), y = parameter(bf16, {2, 3});
  const Graph graph({x, y}, {ops::sum(ops::add(x, y), {1}, true)});
  const ProgramRef program = make_program(graph);
  const TrmProgram* p = program.get();
  ASSERT_EQ(reader().input_count(p), 2u);
  ASSERT_EQ(reader().output_count(p), 1u);
  ASSERT_EQ(reader().node_count(p), 3u) << "convert, add, sum";
  const TrmValue first = value_of(program, reader().input(p, 0));
  EXPECT_EQ(first.dtype, static_cast<uint32_t>(TRM_F32));
  ASSERT_EQ(first.rank, 2u);
  EXPECT_EQ(first.dims[0], 2);
  EXPECT_EQ(first.dims[1], 3);
  EXPECT_EQ(first.strides[0], 3);
  EXPECT_EQ(first.strides[1], 1);
  EXPECT_EQ(first.known, 0u);
  EXPECT_STREQ(node_of(program, 0).op, "convert");
  EXPECT_STREQ(node_of(program, 1).op, "add");
  const TrmNode sum = node_of(program, 2);
  EXPECT_STREQ(sum.op, "sum");
  EXPECT_EQ(sum.outputs[0], reader().output(p, 0));
  EXPECT_EQ(sum.inputs[0], node_of(program, 1).outputs[0]);
  TrmAttr axes = chip::sized<TrmAttr>(), keep = chip::sized<TrmAttr>(), none = chip::sized<TrmAttr>();
  ASSERT_EQ(reader().attr(p, 2, "axes", &axes), TRM_OK);
  EXPECT_EQ(axes.kind, static_cast<uint32_t>(TRM_ATTR_INTS));
  ASSERT_EQ(axes.count, 1u);
  EXPECT_EQ(axes.ints[0], 1);
  ASSERT_EQ(reader().attr(p, 2, "keepdims", &keep), TRM_OK);
  EXPECT_EQ(keep.i, 1);
  EXPECT_EQ(reader().attr(p, 2, "no_such", &none), TRM_INVALID);
  EXPECT_EQ(reader().attr_count(p, 2), 2u);
  EXPECT_EQ(reader().attr_at(p, 2, 2, &none), TRM_INVALID);
}

TEST(Program, AttributesOfEveryKind) {
  const Value x = parameter(f32, {2});
  const Graph inner({x}, {ops::exp(x)});
  const Value p = parameter(boolean, {}), z = parameter(f32, {2});
  const Graph graph({p, z}, {ops::cond(p, {z}, inner, inner)[0], ops::compare(z, z, "lt"), ops::convert(z, i8),
                             ops::fill({2}, f32, 0.25)});
  const ProgramRef program = make_program(graph);
  const auto find = [&](const std::string& op) {
    for (uint32_t n = 0; n < reader().node_count(program.get()); ++n) {
      if (node_of(program, n).op == op) return n;
    }
    ADD_FAILURE() << "no node " << op;
    return 0u;
  };
  TrmAttr a = chip::sized<TrmAttr>();
  ASSERT_EQ(reader().attr(program.get(), find("compare"), "kind", &a), TRM_OK);
  EXPECT_STREQ(a.s, "lt");
  ASSERT_EQ(reader().attr(program.get(), find("convert"), "dtype", &a), TRM_OK);
  EXPECT_EQ(a.i, TRM_I8);
  ASSERT_EQ(reader().attr(program.get(), find("fill"), "value", &a), TRM_OK);
  EXPECT_EQ(a.f, 0.25);
  ASSERT_EQ(reader().attr(program.get(), find("cond"), "then_graph", &a), TRM_OK);
  ASSERT_NE(a.program, nullptr);
  EXPECT_EQ(reader().node_count(a.program), 1u);
  TrmAttr again = chip::sized<TrmAttr>();
  ASSERT_EQ(reader().attr(program.get(), find("cond"), "then_graph", &again), TRM_OK);
  EXPECT_EQ(again.program, a.program) << "asked twice, made once";
}

TEST(Program, ConstantsAndTheirViewsAreKnown) {
  const Value x = parameter(f32, {3, 2});
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  const Value c = ops::constant(Literal::from(std::span<const float>(numbers), Shape{2, 3}));
  const Graph graph({x}, {ops::add(x, ops::transpose(c, {1, 0})), ops::mul(x, ops::filled_like(x, 0.5))});
  const ProgramRef program = make_program(graph);
  EXPECT_EQ(reader().node_count(program.get()), 2u) << "no node makes what is known";
  const TrmValue t = value_of(program, node_of(program, 0).inputs[1]);
  ASSERT_EQ(t.known, 1u);
  EXPECT_EQ(t.strides[0], 1);
  EXPECT_EQ(t.strides[1], 3);
  EXPECT_EQ(static_cast<const float*>(t.constant_data)[2 * t.strides[0] + 1 * t.strides[1]], 6.0f);
  const TrmValue half = value_of(program, node_of(program, 1).inputs[1]);
  ASSERT_EQ(half.known, 1u);
  EXPECT_EQ(half.strides[0], 0);
  EXPECT_EQ(half.strides[1], 0);
  EXPECT_EQ(*static_cast<const float*>(half.constant_data), 0.5f);
}

TEST(Program, ViewsThatStridesCannotExpressAreKnownToo) {
  const Value x = parameter(f32, {6});
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  const Value c = ops::constant(Literal::from(std::span<const float>(numbers), Shape{2, 3}));
  const Value turned = ops::reverse(ops::reshape(ops::transpose(c, {1, 0}), {6}), {0});
  const ProgramRef program = make_program(Graph({x}, {ops::add(x, turned)}));
  ASSERT_EQ(reader().node_count(program.get()), 1u) << "a chip that takes one op takes this";
  const TrmValue t = value_of(program, node_of(program, 0).inputs[1]);
  ASSERT_EQ(t.known, 1u);
  const auto* first = static_cast<const float*>(t.constant_data);
  const float expected[] = {6, 3, 5, 2, 4, 1};
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(first[i * t.strides[0]], expected[i]) << i;
}

TEST(Program, BodyOfACompositeKeepsStridesAndConstants) {
  const Value x = parameter(f32, {4, 3});
  const Graph graph({x}, {ops::sum(x, {0})});
  const Strides columns{1, 4};
  const ProgramRef program = make_program(graph, std::vector<Strides>{columns});
  const TrmProgram* body = reader().body(program.get(), 0);
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(body, reader().body(program.get(), 0));
  EXPECT_EQ(reader().input_count(body), 1u);
  TrmValue input = chip::sized<TrmValue>();
  ASSERT_EQ(reader().value(body, reader().input(body, 0), &input), TRM_OK);
  EXPECT_EQ(input.strides[0], 1);
  EXPECT_EQ(input.strides[1], 4);
  EXPECT_EQ(reader().body(body, 0), nullptr) << "a primitive has no parts";
  EXPECT_EQ(reader().body(program.get(), 99), nullptr);
}

TEST(Program, HashTellsProgramsApart) {
  const auto build = [](const Shape& shape, double factor) {
    const Value x = parameter(f32, shape);
    return Graph({x}, {x * factor});
  };
  const auto hash = [&](const ProgramRef& p) { return reader().hash(p.get()); };
  const uint64_t base = hash(make_program(build({2, 3}, 2)));
  EXPECT_EQ(base, hash(make_program(build({2, 3}, 2)))) << "other parameters, same program";
  EXPECT_NE(base, hash(make_program(build({2, 3}, 3))));
  EXPECT_NE(base, hash(make_program(build({3, 2}, 2))));
  const Graph graph = build({2, 3}, 2);
  EXPECT_NE(base, hash(make_program(graph, std::vector<Strides>{Strides{1, 2}})));
}

TEST(Program, SmallerAndLargerStructs) {
  const Value x = parameter(f32, {2, 3});
  const ProgramRef program = make_program(Graph({x}, {ops::exp(x)}));
  // A chip built against an older header: fields beyond its size are not written.
  TrmValue old;
  std::memset(static_cast<void*>(&old), 0x77, sizeof old);
  old.struct_size = offsetof(TrmValue, dims);
  ASSERT_EQ(reader().value(program.get(), 0, &old), TRM_OK);
  EXPECT_EQ(old.rank, 2u);
  EXPECT_EQ(old.dims[0], 0x7777777777777777);
  struct {
    TrmValue value;
    char beyond[64];
  } larger;
  std::memset(static_cast<void*>(&larger), 0x77, sizeof larger);
  larger.value.struct_size = sizeof larger;
  ASSERT_EQ(reader().value(program.get(), 0, &larger.value), TRM_OK);
  EXPECT_EQ(larger.value.dims[1], 3);
  EXPECT_EQ(larger.beyond[0], 0x77);
  EXPECT_EQ(larger.value.struct_size, sizeof(TrmValue)) << "what was filled";
  TrmValue none{};
  EXPECT_EQ(reader().value(program.get(), 0, &none), TRM_INVALID) << "a struct without a size";
  EXPECT_EQ(reader().value(program.get(), 99, &old), TRM_INVALID);
  EXPECT_EQ(reader().input(program.get(), 5), TRM_ABSENT);
}

TEST(Program, LivesAsLongAsItIsHeld) {
  const size_t before = live_nodes();
  {
    const TrmProgram* held = nullptr;
    {
      const Value x = parameter(f32, {2});
      const ProgramRef program = make_program(Graph({x}, {ops::sum(ops::exp(x))}));
      const ProgramRef copy = program;
      held = program.get();
      reader().retain(held);
      reader().body(held, 1);
    }
    EXPECT_GT(live_nodes(), before);
    EXPECT_EQ(reader().node_count(held), 2u);
    reader().release(held);
  }
  EXPECT_EQ(live_nodes(), before);
}

TEST(Program, EvaluatesOverStridedMemory) {
  const Value x = parameter(f32, {2, 3}), y = parameter(i16, {3});
  const Value wide = ops::broadcast_to(ops::convert(y, f32), {2, 3});
  const Graph graph({x, y}, {ops::mul(x, wide), ops::reduce_sum(x, {0})});
  // x is seen column-major and reversed along its rows; the first output is written with gaps.
  const ProgramRef program = make_program(graph, std::vector<Strides>{Strides{-1, 2}, Strides{2}},
                                          std::vector<Strides>{Strides{10, 2}, Strides{1}});
  const std::vector<float> memory{1, 2, 3, 4, 5, 6};  // x[i][j] = memory[1 - i + 2 j]
  const std::vector<int16_t> numbers{10, -1, 20, -1, 30};
  std::vector<float> product(20, -7.0f), sum(3, -7.0f);
  const void* inputs[] = {memory.data() + 1, numbers.data()};
  void* outputs[] = {product.data(), sum.data()};
  TrmErr err = chip::sized<TrmErr>();
  ASSERT_EQ(evaluate_service().can_run(program.get()), 1);
  ASSERT_EQ(evaluate_service().run(program.get(), inputs, outputs, &err), TRM_OK) << err.text;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      const float seen = memory[static_cast<size_t>(1 - i + 2 * j)];
      EXPECT_EQ(product[static_cast<size_t>(10 * i + 2 * j)], seen * numbers[static_cast<size_t>(2 * j)]);
      EXPECT_EQ(product[static_cast<size_t>(10 * i + 2 * j + 1)], -7.0f) << "gaps stay";
    }
  }
  EXPECT_EQ(sum, (std::vector<float>{3, 7, 11}));
  double flops = 0, bytes = 0;
  ASSERT_EQ(evaluate_service().cost(program.get(), &flops, &bytes), TRM_OK);
  EXPECT_GE(flops, 12.0);
  EXPECT_GT(bytes, 0.0);
}

// Doubles of what has gigabytes of elements would take the machine's memory.
TEST(Program, WhatIsTooLargeIsNotEvaluated) {
  const auto can_run = [](int64_t elements) {
    const Value x = parameter(u8, {elements});
    return evaluate_service().can_run(make_program(Graph({x}, {ops::add(x, x)})).get());
  };
  EXPECT_EQ(can_run(int64_t{1} << 28), 1);
  EXPECT_EQ(can_run((int64_t{1} << 28) + 1), 0);
  EXPECT_EQ(can_run(int64_t{1} << 33), 0);
}

TEST(Program, SameValueReturnedTwice) {
  const Value x = parameter(f32, {2});
  const Value y = ops::exp(x);
  const ProgramRef program = make_program(Graph({x}, {y, y, x}));
  EXPECT_EQ(reader().output_count(program.get()), 3u);
  const std::vector<float> in{0, 1};
  std::vector<float> a(2), b(2), c(2);
  const void* inputs[] = {in.data()};
  void* outputs[] = {a.data(), b.data(), c.data()};
  ASSERT_EQ(evaluate_service().run(program.get(), inputs, outputs, nullptr), TRM_OK);
  EXPECT_EQ(a, b);
  EXPECT_EQ(c, in);
}

}  // namespace
}  // namespace trireme::runtime

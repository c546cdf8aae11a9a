#!/usr/bin/env python3
"""Writes trireme/ops/FAMILY/NAME.op.cc: a declaration that compiles, to be filled with the op's own answers.

usage: new_op.py NAME FAMILY
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = '''#include "trireme/ops/declare.h"

namespace trireme {

OpDecl NAME_decl{
    .name = "NAME",
    .doc = "Twice each element, y = scale 2 x.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"scale", 1.0, "factor"}},
    .coerce = Coerce::kNone,
    .rules = {"scale is not 0"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("scale") != 0.0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return (d.x(0) + d.x(0)) * d.number("scale"); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[2,3] scale=0.5"},
    .rejects = {"1: [2,3] scale=0.0"},
};

}  // namespace trireme
'''


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    name, family = sys.argv[1:]
    families = sorted(p.name for p in (ROOT / "trireme/ops").iterdir() if p.is_dir())
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SystemExit(f"new-op: '{name}' is no name for an op: lower case letters, digits and _, a letter first")
    if family not in families:
        raise SystemExit(f"new-op: no family '{family}'; there are {', '.join(families)}.\n"
                         "A new family is a new folder in trireme/ops; make it if none of these fits.")
    there = sorted((ROOT / "trireme/ops").glob(f"*/{name}.op.cc"))
    if there:
        raise SystemExit(f"new-op: there is an op '{name}' already: {there[0].relative_to(ROOT)}")
    path = ROOT / "trireme/ops" / family / f"{name}.op.cc"
    path.write_text(TEMPLATE.replace("NAME", name))
    print(f"{path.relative_to(ROOT)} written. Answer each question in it (docs/guide/add-an-op.md), then\n"
          f"  ./dev build && GTEST_FILTER='*/{name}' ./dev test op_")


if __name__ == "__main__":
    main()

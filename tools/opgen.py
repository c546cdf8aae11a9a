#!/usr/bin/env python3
"""Writes the typed functions and the registry of ops from their declarations.

usage: opgen.py OPS_FOLDER OUT_FOLDER

Reads every *.op.cc below OPS_FOLDER and, of each, only the name, doc, tier, kind, inputs, outputs and attributes. Writes
    OUT/ops/ops.h      Value functions for rules          OUT/tensor/ops.h      Tensor functions for users
    OUT/ops/ops.gen.cc their bodies and the registry      OUT/tensor/ops.gen.cc their bodies
and touches a file only when its text changes, so that editing the body of an op rebuilds that op alone.
"""
import pathlib
import re
import sys

KEYWORDS = {"and", "or", "not", "xor"}  # alternative tokens of C++: the function gets a trailing underscore

TYPES = {  # attribute kind -> (parameter type, wrapping into Attribute)
    "int": ("int64_t", "{}"),
    "float": ("double", "{}"),
    "bool": ("bool", "{}"),
    "string": ("std::string_view", "std::string({})"),
    "dtype": ("DType", "{}"),
    "ints": ("const Ints&", "{}"),
    "literal": ("const Literal&", "std::make_shared<const Literal>({})"),
    "graph": ("const Graph&", "std::make_shared<const Graph>({})"),
}


class Op:
    def __init__(self, path, text, folder):
        self.path = path
        match = re.search(r"^OpDecl (\w+)_decl\{", text, re.M)
        if not match:
            raise SystemExit(f"{path}: no line 'OpDecl <name>_decl{{' found")
        self.name = match.group(1)
        self.function = self.name + "_" if self.name in KEYWORDS else self.name
        self.family = folder
        self.body = strip_comments(text[match.end():])
        if self.string("name") != self.name:
            raise SystemExit(f"{path}: .name differs from the variable {self.name}_decl")
        self.doc = self.string("doc")
        self.tier = self.word("tier")
        self.kind = self.word("kind")
        self.inputs = [self.input(e) for e in entries(self.braces("inputs"))]
        self.outputs = [e.strip().strip('"') for e in split_top(self.braces("outputs"))]
        self.attributes = [self.attribute(e) for e in entries(self.braces("attributes"))]

    def field(self, name):
        match = re.search(r"\." + name + r"\s*=\s*", self.body)
        if not match:
            raise SystemExit(f"{self.path}: question .{name} is left out")
        return match.end()

    def string(self, name):
        parts = re.match(r'((?:\s*"(?:[^"\\]|\\.)*")+)', self.body[self.field(name):])
        if not parts:
            raise SystemExit(f"{self.path}: .{name} must be a string literal")
        return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', parts.group(1)))

    def word(self, name):
        return re.match(r"[\w:]+", self.body[self.field(name):]).group(0).split("::")[-1]

    def braces(self, name):
        start = self.field(name)
        if self.body[start] != "{":
            raise SystemExit(f"{self.path}: .{name} must be a list in braces")
        return self.body[start + 1:closing(self.body, start)]

    def input(self, text):
        parts = split_top(text)
        arity = "one"
        if "kOptional" in text:
            arity = "optional"
        if "kVariadic" in text:
            arity = "variadic"
        return parts[0].strip().strip('"'), arity

    def attribute(self, text):
        parts = [p.strip() for p in split_top(text)]
        name, value = parts[0].strip('"'), parts[1]
        if value.startswith("required_"):
            kind, default = value[len("required_"):], None
        elif value in ("true", "false"):
            kind, default = "bool", value
        elif re.fullmatch(r"-?\d+", value):
            kind, default = "int", value
        elif value.startswith('"'):
            kind, default = "string", value
        elif value.startswith("Ints{"):
            kind, default = "ints", value
        elif re.fullmatch(r"[a-z]+\d*", value):
            kind, default = "dtype", value
        else:
            kind, default = "float", value
        return name, kind, default

    def single(self):
        return len(self.outputs) == 1 and not self.outputs[0].endswith("...")

    def user_facing(self):
        hidden_source = self.tier == "kHost" and self.kind == "kSource"
        return not hidden_source and all(kind != "graph" for _, kind, _ in self.attributes)

    def parameters(self, tensor, defaults):
        """Required inputs, required attributes, optional inputs, optional attributes."""
        required, optional = [], []
        for name, arity in self.inputs:
            if arity == "one":
                required.append(f"const {tensor}& {name}")
            elif arity == "variadic":
                required.append(f"const std::vector<{tensor}>& {name}")
            else:
                optional.append(f"const {tensor}& {name}" + (" = {}" if defaults else ""))
        for name, kind, default in self.attributes:
            parameter = f"{TYPES[kind][0]} {name}"
            if default is None:
                required.append(parameter)
            else:
                optional.append(parameter + (f" = {default}" if defaults else ""))
        return required + optional

    def attribute_values(self):
        return ", ".join(TYPES[kind][1].format(name) for name, kind, _ in self.attributes)

    def input_list(self, element):
        """Statements that build `inputs` from the parameters; element(name) converts one."""
        lines = ["  std::vector<Value> inputs;", f"  inputs.reserve({len(self.inputs)});"]
        for name, arity in self.inputs:
            if arity == "variadic":
                lines.append(f"  for (const auto& each : {name}) inputs.push_back({element('each')});")
            else:
                lines.append(f"  inputs.push_back({element(name)});")
        if any(arity == "optional" for _, arity in self.inputs):
            lines.append("  while (!inputs.empty() && !inputs.back()) inputs.pop_back();")
        return lines


def strip_comments(text):
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*', lambda m: m.group(1) or "", text)


def closing(text, start):
    depth, i = 0, start
    while i < len(text):
        if text[i] == '"':
            i = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, i).end()
            continue
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
        i += 1
    raise SystemExit("unbalanced braces in a declaration")


def split_top(text):
    parts, depth, last, i = [], 0, 0, 0
    while i < len(text):
        if text[i] == '"':
            i = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, i).end()
            continue
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(text[i], 0)
        if text[i] == "," and depth == 0:
            parts.append(text[last:i])
            last = i + 1
        i += 1
    parts.append(text[last:])
    return [p for p in parts if p.strip()]


def entries(text):
    return [p.strip()[1:-1] for p in split_top(text)]


def comment(op):
    words, lines, line = op.doc.replace('\\"', '"').split(), [], "//"
    for word in words:
        if len(line) + len(word) > 110:
            lines.append(line)
            line = "//"
        line += " " + word
    return "\n".join(lines + [line])


BANNER = "// Generated by tools/opgen.py from the declarations in trireme/ops; do not edit.\n"


def value_header(ops):
    out = [BANNER + "#pragma once\n", "#include <string_view>", "#include <vector>\n",
           '#include "trireme/ir/graph.h"\n#include "trireme/ir/node.h"\n', "namespace trireme::ops {\n"]
    for op in ops:
        result = "Value" if op.single() else "Values"
        out.append(f"{comment(op)}\n{result} {op.function}({', '.join(op.parameters('Value', True))});")
    return "\n".join(out + ["\n}  // namespace trireme::ops\n"])


def value_source(ops):
    out = [BANNER + '#include "trireme/ops/ops.h"\n', '#include "trireme/ir/registry.h"\n', "namespace trireme {\n"]
    out += [f"extern OpDecl {op.name}_decl;" for op in ops]
    out.append("\nnamespace {\nOpDecl* const kOps[] = {")
    out += [f"    &{op.name}_decl," for op in ops]
    out.append("};\nconstexpr std::string_view kFamilies[] = {")
    out += [f'    "{op.family}",' for op in ops]
    out.append("};\n}  // namespace\n")
    # A name the linker is told to look for (cmake/trireme.cmake): a program that calls no op still has them all.
    out.append('extern "C" {\nextern const bool trireme_ops_installed;')
    out.append("const bool trireme_ops_installed = install_ops(kOps, kFamilies);\n}\n")
    out.append("namespace ops {\n")
    for op in ops:
        result = "Value" if op.single() else "Values"
        call = f"make_coerced({op.name}_decl, std::move(inputs), {{{op.attribute_values()}}})"
        out.append(f"{result} {op.function}({', '.join(op.parameters('Value', False))}) {{")
        out += op.input_list(lambda name: name)
        out.append(f"  return {call if op.single() else f'all_outputs({call})'};\n}}")
    return "\n".join(out + ["\n}  // namespace ops\n}  // namespace trireme\n"])


def tensor_header(ops):
    out = [BANNER + "#pragma once\n", "#include <source_location>", "#include <string_view>", "#include <vector>\n",
           '#include "trireme/tensor/handle.h"\n', "namespace trireme {\n"]
    for op in ops:
        if not op.user_facing():
            continue
        result = "Tensor" if op.single() else "std::vector<Tensor>"
        parameters = op.parameters("Tensor", True) + ["std::source_location where = std::source_location::current()"]
        out.append(f"{comment(op)}\n{result} {op.function}({', '.join(parameters)});")
    return "\n".join(out + ["\n}  // namespace trireme\n"])


def tensor_source(ops):
    out = [BANNER + '#include "trireme/tensor/ops.h"\n', '#include "trireme/ops/ops.h"\n', "namespace trireme {\n"]
    for op in ops:
        if not op.user_facing():
            continue
        result = "Tensor" if op.single() else "std::vector<Tensor>"
        parameters = op.parameters("Tensor", False) + ["std::source_location where"]
        out.append(f"{result} {op.function}({', '.join(parameters)}) {{")
        out.append("  const SourceScope scope(where.file_name(), static_cast<int>(where.line()));")
        arguments = []
        for name, arity in op.inputs:
            if arity != "optional":
                arguments.append(f"values_of({name})" if arity == "variadic" else f"value_of({name})")
        arguments += [name for name, _, default in op.attributes if default is None]
        arguments += [f"value_of({name})" for name, arity in op.inputs if arity == "optional"]
        arguments += [name for name, _, default in op.attributes if default is not None]
        wrap = "Tensor" if op.single() else "tensors_of"
        out.append(f"  return {wrap}(ops::{op.function}({', '.join(arguments)}));\n}}")
    return "\n".join(out + ["\n}  // namespace trireme\n"])


def write_if_changed(path, text):
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    root, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    ops = [Op(path, path.read_text(), str(path.parent.relative_to(root))) for path in sorted(root.rglob("*.op.cc"))]
    ops.sort(key=lambda op: op.name)
    for first, second in zip(ops, ops[1:]):
        if first.name == second.name:
            raise SystemExit(f"op {first.name} is declared twice: {first.path} and {second.path}")
    for op in ops:
        if op.path.name != op.name + ".op.cc":
            raise SystemExit(f"{op.path}: the file of op {op.name} must be called {op.name}.op.cc")
    write_if_changed(out / "ops" / "ops.h", value_header(ops))
    write_if_changed(out / "ops" / "ops.gen.cc", value_source(ops))
    write_if_changed(out / "tensor" / "ops.h", tensor_header(ops))
    write_if_changed(out / "tensor" / "ops.gen.cc", tensor_source(ops))


main()

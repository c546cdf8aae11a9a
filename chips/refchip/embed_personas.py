#!/usr/bin/env python3
"""Writes a C++ file holding the text of each persona: embed_personas.py OUTPUT PERSONA.json..."""
import json
import pathlib
import sys

output, files = pathlib.Path(sys.argv[1]), sorted(pathlib.Path(name) for name in sys.argv[2:])
rows = []
for file in files:
    text = file.read_text(encoding="utf-8")
    given = json.loads(text)["name"]
    if given != file.stem:
        sys.exit(f"{file}: the persona is called \"{given}\"; expected \"{file.stem}\", the name of the file")
    rows.append(f'    {{"{file.stem}", R"json({text})json"}},')
output.write_text(
    "// Generated from chips/refchip/personas/.\n"
    '#include "chips/refchip/persona.h"\n\n'
    "namespace trireme::refchip {\n"
    "std::span<const BuiltinPersona> builtin_personas() {\n"
    "  static constexpr BuiltinPersona table[] = {\n" + "\n".join(rows) + "\n  };\n"
    "  return table;\n}\n}  // namespace trireme::refchip\n", encoding="utf-8")

#!/usr/bin/env python3
"""The layout of trireme/chip/chip.h, and the rule that it only grows.

  chip_abi.py print            every size, offset, enumerator and number, as the C compiler sees them
  chip_abi.py check [GOLDEN [LAYOUT]]
                               fails when something in GOLDEN (tests/golden/chip_abi.txt) moved or went; LAYOUT is
                               what `print` said, the header as it is unless given
  chip_abi.py update [GOLDEN]  writes GOLDEN; refuses when `check` would fail
  chip_abi.py symbols FILE...  each plug-in exports what tests/golden/chip_symbols.txt lists, nothing else, and wants no
                               symbol of Trireme

Appending is fine: new enumerators, and new fields at the end of a struct that starts with struct_size.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "chip_abi.txt"
SYMBOLS = ROOT / "tests" / "golden" / "chip_symbols.txt"
COMMENT = re.compile(r"/\*.*?\*/", re.S)
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} \w+;", re.S)
ENUM = re.compile(r"typedef enum (\w+) \{(.*?)\n?\} \w+;", re.S)
NUMBER = re.compile(r"^#define (TRM_(?:ABI_MAJOR|MAX_\w+|ABSENT|HOST_SPACE)) ", re.M)


def fields_of(body):
    """Names of the fields of a struct, in order: plain, several in one declaration, arrays, pointers to functions."""
    names = []
    for declaration in re.sub(r"\s+", " ", body).split(";"):
        pointer = re.search(r"\(\*\s*(\w+)\)\s*\(", declaration)
        if pointer:
            names.append(pointer.group(1))
            continue
        for part in declaration.split(","):
            name = re.search(r"(\w+)\s*(\[[^\]]*\])*\s*$", part)
            if name:
                names.append(name.group(1))
    return names


def layout():
    """Lines "what value", from a small C program that includes the header."""
    header = COMMENT.sub("", (ROOT / "trireme/chip/chip.h").read_text(encoding="utf-8"))
    lines = []

    def tell(label, expression):
        lines.append(f'  printf("{label} %lld\\n", (long long)({expression}));')

    for name in NUMBER.findall(header):
        tell(name, name)
    for name, body in ENUM.findall(header):
        for word in re.findall(r"\b(TRM_\w+)\s*=", body):
            tell(f"{name}.{word}", word)
    for name, body in STRUCT.findall(header):
        for field in fields_of(body):
            tell(f"{name}.{field} offset", f"offsetof({name}, {field})")
            tell(f"{name}.{field} size", f"sizeof((({name}*)0)->{field})")
        tell(f"{name} size", f"sizeof({name})")
    program = '#include <stdio.h>\n#include "trireme/chip/chip.h"\nint main(void) {\n' + "\n".join(lines) + "\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder) / "layout.c", pathlib.Path(folder) / "layout"
        source.write_text(program)
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I", str(ROOT), "-o", str(binary), str(source)], check=True)
        return subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout.splitlines()


def breaks(golden, now):
    """What of the golden layout no longer holds."""
    table = dict(line.rsplit(" ", 1) for line in now)
    grows = {label.split(".")[0] for label in table if label.endswith(".struct_size offset") and table[label] == "0"}
    for line in golden:
        label, value = line.rsplit(" ", 1)
        given = table.get(label)
        struct_size = label.endswith(" size") and "." not in label
        if given is None:
            yield f"{label} is gone (was {value})"
        elif given != value and not (struct_size and label.split()[0] in grows and int(given) > int(value)):
            yield f"{label} is {given}, was {value}"


def check(golden, now):
    found = list(breaks(golden.read_text().splitlines(), now))
    if found:
        sys.exit("chip.h broke the ABI of version 1; put things back and append instead:\n  " + "\n  ".join(found))


def names(file, which):
    output = subprocess.run(["nm", "-D", which, str(file)], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1].split("@")[0] for line in output.splitlines() if line.split()]


def check_symbols(files):
    if not files:
        sys.exit("no plug-in given")
    allowed = SYMBOLS.read_text(encoding="utf-8").split()
    for file in files:
        given = sorted(names(file, "--defined-only"))
        if given != allowed:
            sys.exit(f"{file} exports {', '.join(given) or 'nothing'}; expected {', '.join(allowed)} alone")
        wanted = [name for name in names(file, "--undefined-only") if re.search(r"7trireme|^trm_|^Trm", name)]
        if wanted:
            sys.exit(f"{file} wants symbols of the host: {', '.join(wanted)}; a chip gets services through TrmHost")


def main(arguments):
    command, rest = (arguments[0], [pathlib.Path(a) for a in arguments[1:]]) if arguments else ("", [])
    if command == "print":
        print("\n".join(layout()))
    elif command == "check":
        check(rest[0] if rest else GOLDEN, rest[1].read_text().splitlines() if len(rest) > 1 else layout())
    elif command == "update":
        golden, now = rest[0] if rest else GOLDEN, layout()
        if golden.exists():
            check(golden, now)
        golden.write_text("\n".join(now) + "\n")
    elif command == "symbols":
        check_symbols(rest)
    else:
        sys.exit(__doc__.strip())


if __name__ == "__main__":
    main(sys.argv[1:])

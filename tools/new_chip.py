#!/usr/bin/env python3
"""Makes a new chip from chips/template: new_chip.py NAME [FOLDER].

FOLDER is where the chip's own folder appears, chips/ of this checkout unless given. The house finds it by itself; no
other file changes.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORD = "newchip"  # stands for the name in the template


def make(name, folder):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        sys.exit(f"'{name}' is not a chip name: lower case, a letter first, then letters, digits and '_'")
    target = folder / name
    if target.exists():
        sys.exit(f"{target} is there already; choose another name or remove it")
    target.mkdir(parents=True)
    for source in sorted((ROOT / "chips" / "template").iterdir()):
        text = source.read_text(encoding="utf-8").replace(WORD, name)
        (target / source.name.removesuffix(".in")).write_text(text, encoding="utf-8")
    return target


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    made = make(sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "chips")
    print(f"made {made}; next: docs/guide/plug-in-a-chip.md")

#!/usr/bin/env python3
"""Checks the floors of the house (floors.toml): includes go down, chips see only the ABI, and no string or include in
trireme/ names a chip. Prints each break with its line and exits 1; silent when all is well.

usage: check_floors.py [ROOT]
"""
import json
import pathlib
import re
import sys

SUFFIXES = {".h", ".hpp", ".cc", ".c", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
# Comments go, strings stay: whichever starts first wins.
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\((.*?)\)\1"|"((?:[^"\\\n]|\\.)*)"|\'(?:[^\'\\\n]|\\.)\'', re.S)


def read_config(text):
    """The part of TOML that floors.toml uses: [sections] of `"key" = value`, values as in JSON."""
    config, section = {}, None
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            section = config.setdefault(line.strip("[]"), {})
        elif line:
            key, value = line.split("=", 1)
            section[key.strip().strip('"')] = json.loads(value)
    return config


def strings(text):
    """(line, content) of every string literal outside comments and includes."""
    for match in TOKEN.finditer(text):
        content = match.group(2) if match.group(2) is not None else match.group(3)
        start = text.rfind("\n", 0, match.start()) + 1
        if content is not None and not re.match(r"\s*#\s*include", text[start:match.start()]):
            yield text.count("\n", 0, match.start()) + 1, content


def folder_of(path, known):
    """The folder of floors.toml, or the chip ("chips/<name>"), that holds a path; None for anything else."""
    parts = path.split("/")
    if parts[0] == "chips":
        return "/".join(parts[:2])
    return next((f for f in ("/".join(parts[:2]), parts[0]) if f in known), None)


def check(root):
    config = read_config((root / "floors.toml").read_text())
    floors, sideways, allowed = config["floors"], config["sideways"], config["names"]
    for entry, reason in {**sideways, **allowed}.items():
        if not reason:
            yield f'floors.toml: "{entry}" needs a reason'
    chips = sorted(p.parent.name for p in (root / "chips").glob("*/CMakeLists.txt"))
    named = re.compile(r"(?<![A-Za-z0-9_])(" + "|".join(map(re.escape, chips)) + r")(?![A-Za-z0-9_])")
    used = set()
    for top in ("trireme", "chips", "cli", "python", "suites", "examples", "bench"):
        for path in sorted(p for p in (root / top).rglob("*") if p.suffix in SUFFIXES):
            here = path.relative_to(root).as_posix()
            home, text = folder_of(here, floors), path.read_text(errors="replace")
            if home is None and here.count("/") > 1:
                yield f"{here}: its folder stands on no floor; add it to floors.toml"
                continue
            for number, line in enumerate(text.splitlines(), 1):
                include = INCLUDE.match(line)
                target = include and folder_of(include.group(1), floors)
                if not target or target == home:
                    continue
                if target.startswith("chips/"):
                    fine = False
                elif here.startswith("chips/"):
                    fine = target in config["chips"]["may_include"]
                else:
                    fine = floors[target] < floors[home] or f"{home} -> {target}" in sideways
                if not fine:
                    yield f"{here}:{number}: {home} may not include {include.group(1)} ({target})"
            if not here.startswith("trireme/") or not chips:
                continue
            for number, content in strings(text):
                for name in set(named.findall(content)):
                    used.add(f"{here}: {name}")
                    if f"{here}: {name}" not in allowed:
                        yield f'{here}:{number}: "{content[:60]}" names the chip {name}; chips are found, never named'
    for entry in sorted(set(allowed) - used):
        yield f'floors.toml: "{entry}" allows a name that is not there any more; take it out'


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    breaks = list(check(root))
    for line in breaks:
        print(line)
    return 1 if breaks else 0


if __name__ == "__main__":
    sys.exit(main())

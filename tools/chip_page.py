#!/usr/bin/env python3
"""Writes a chip's page of docs/chips from what was measured: its card and, where there is one, its table of models.

    build/trireme certify xpu --json > card.json
    build/trireme tipc examples/tipc/table.yaml --chip xpu --page models.md
    tools/chip_page.py card.json --models models.md --published chips/kunlun/published_ops.txt --output docs/chips/xpu.md

Nothing on the page is written by hand, so a page is as true as the run it was made from.
"""

import argparse
import collections
import datetime
import json
import pathlib
import sys

TYPES = ["f32", "f16", "bf16", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"]
CODES = {"f": "f32", "h": "f16", "d": "f64", "i": "i32", "l": "i64", "s": "i16", "c": "i8", "u": "u8", "o": "bool"}
RUNS = ("native", "after conversion", "converted")  # verdict phrases of a kernel of the chip's own


def native_types(outcomes):
    """The element types for which the chip has a kernel of its own for an op of the card."""
    return [t for t in TYPES if any(phrase.startswith(RUNS) for phrase in outcomes.get(t, {}))]


def ops_section(card):
    ops = {name: native_types(outcomes) for name, outcomes in card["ops"].items()}
    own = {name: types for name, types in ops.items() if types}
    by_type = collections.Counter(t for types in own.values() for t in types)
    lines = [
        "## Ops",
        "",
        f"{len(own)} of {len(ops)} ops that a chip can compute have a kernel of their own, in the element types below. The "
        "others are computed by their parts, on the chip where it has those, else on the CPU.",
        "",
        "| element type | ops |",
        "|---|---|",
    ]
    lines += [f"| {t} | {by_type[t]} |" for t in TYPES if by_type[t]]
    groups = collections.defaultdict(list)
    for name, types in own.items():
        groups[tuple(types)].append(name)
    lines += ["", "| types | ops |", "|---|---|"]
    for types, names in sorted(groups.items(), key=lambda group: -len(group[1])):
        lines.append(f"| {' '.join(types)} | {', '.join(sorted(names))} |")
    lines += ["", "By their parts or on the CPU: " + ", ".join(sorted(set(ops) - set(own))) + ".", ""]
    return lines


def published_section(card, path):
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    lacking, narrower, own, parts = [], [], 0, []
    for name, codes, ours in rows:
        if ours == "-":
            lacking.append(name)
            continue
        types = native_types(card["ops"].get(ours, {}))
        if not types:
            parts.append(name)
            continue
        own += 1
        missing = [CODES[c] for c in codes if CODES[c] not in types and CODES[c] in ("f32", "f16", "i32", "i64")]
        if missing:
            narrower.append(f"{name} ({' '.join(missing)})")
    return [
        "## Beside the published list",
        "",
        f"Of {len(rows)} operators that are published for the chip's second generation ({path.as_posix()} names list and "
        f"types), {own} are a kernel of the chip here, {len(parts)} are computed by their parts, and {len(lacking)} have no "
        "op of Trireme that says the same.",
        "",
        "- By parts: " + (", ".join(parts) or "none") + ".",
        "- Without counterpart: " + (", ".join(lacking) or "none") + ".",
        "- With a kernel, but not in a published type (of f32, f16, i32, i64): " + (", ".join(narrower) or "none") + ".",
        "",
    ]


def speed_section(card):
    figures = card.get("figures", {})
    lines = ["## Speed", "", "Of the host's clock, as the certifier measured it; a virtual device is as slow as its emulation.", ""]
    if "launch latency" in figures:
        lines += [f"- launch latency: {figures['launch latency']['ns'] / 1e3:.2f} us", ""]
    roofline = figures.get("roofline", {})
    if roofline:
        lines += ["| op | time, us | share of the roofline |", "|---|---|---|"]
        lines += [f"| {op} | {row['ns'] / 1e3:.1f} | {100 * row['roofline_share']:.1f} % |" for op, row in roofline.items()]
        lines.append("")
    return lines


def page(card, models, published, today):
    level = card["level"]
    lines = [
        f"# {card['chip']}",
        "",
        f"{card['vendor']}, {card['device']}. Made on {today} by `tools/chip_page.py` from a run of `trireme certify`.",
        "",
        f"**Certified: {level}.** " + (card.get("why_not_more") and f"Not more because: {card['why_not_more']}." or ""),
        "",
        "| part | " + " | ".join(card["parts"]) + " |",
        "|---" * (1 + len(card["parts"])) + "|",
    ]
    for verdict in ("pass", "unsupported"):
        lines.append(f"| {verdict} | " + " | ".join(str(part.get(verdict, 0)) for part in card["parts"].values()) + " |")
    lines.append("")
    lines += ops_section(card)
    if published:
        lines += published_section(card, published)
    if models:
        # The page of `trireme tipc` without its title, one heading lower.
        rows = models.read_text().splitlines()
        lines += ["## Models", ""] + [("#" + row if row.startswith("#") else row) for row in rows if not row.startswith("# ")]
        lines.append("")
    lines += speed_section(card)
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", type=pathlib.Path, help="what `trireme certify CHIP --json` printed")
    parser.add_argument("--models", type=pathlib.Path, help="what `trireme tipc ... --page` wrote")
    parser.add_argument("--published", type=pathlib.Path, help="a list of published operators to compare with")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the page")
    arguments = parser.parse_args()
    try:
        card = json.loads(arguments.card.read_text())
        text = page(card, arguments.models, arguments.published, datetime.date.today().isoformat())
    except (OSError, json.JSONDecodeError, KeyError) as error:
        sys.exit(f"chip_page: {error!r}: {arguments.card} must be a card of `trireme certify --json`, the others must exist")
    temporary = arguments.output.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(arguments.output)


if __name__ == "__main__":
    main()

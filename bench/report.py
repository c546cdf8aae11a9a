"""The rows of bench/compare.py as Markdown, and as a bar chart in SVG."""
import html
import json
import math

COLUMNS = ("workload", "precision", "threads", "peer", "version", "ratio", "p10 .. p90", "ours ms", "peer ms",
           "of the limit", "pairs used")


def times(ratio):
    """Two digits that count: 12.34, 0.56, 0.0078."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def line(row):
    """One comparison in one line."""
    if row["ratio"] is None:
        return f"{row['workload']} | {row['peer']}: {row['error']}"
    return (f"{row['workload']} | {row['peer']}: {times(row['ratio'])} ({times(row['p10'])} .. {times(row['p90'])}), "
            f"ours {row['ours_ms']:.3f} ms, peer {row['peer_ms']:.3f} ms, pairs {used(row['state'])}")


def used(state):
    """"20 of 31", or "all 31, disturbed" where the filter left too few."""
    dropped = state["dropped_foreign_load"] + state["dropped_state_changed"]
    if state["used"] == "all":
        return f"all {state['pairs']}, of which {dropped} disturbed"
    return f"{state['pairs'] - dropped} of {state['pairs']}"


def markdown(rows, about):
    text = [f"# Trireme and its peers, {about['date']}", "",
            f"{about['processor']}, {about['processors']} processors, Linux {about['kernel']}, "
            f"commit {about['commit']}.",
            "**ratio**: the peer's time over ours, median of pairs; above 1 Trireme is faster, below 1 slower.", "",
            "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        names = [row["workload"], row["precision"], str(row["threads"]), row["peer"], row["version"]]
        if row["ratio"] is None:
            cells = [row["error"], *[""] * 5]
        else:
            cells = [f"**{times(row['ratio'])}**", f"{times(row['p10'])} .. {times(row['p90'])}",
                     f"{row['ours_ms']:.3f}", f"{row['peer_ms']:.3f}", f"{row['limit_share']:.1%}", used(row["state"])]
        text.append("| " + " | ".join(cell.replace("|", "/") for cell in names + cells) + " |")
    measured = [row for row in rows if row["ratio"] is not None]
    if measured:
        faster = sum(row["ratio"] > 1 for row in measured)
        load = sorted(row["state"]["foreign_load"] for row in measured)[len(measured) // 2]
        text += ["", f"Faster in {faster} of {len(measured)} comparisons. Other work took {load:.2f} processors during "
                 "the median slice" + (": the machine was shared, so take small differences for noise." if load > 0.1
                                       else ".")]
    return "\n".join(text)


def svg(rows):
    """A bar per comparison on a logarithmic axis: to the right of the middle Trireme is faster. The thin line is the
    tenth to ninetieth percentile."""
    measured = [row for row in rows if row["ratio"] is not None]
    reach = max([2.0, *(max(row["p90"], 1 / max(row["p10"], 1e-9)) for row in measured)])
    left, half, step = 300, 260, 22
    middle, height = left + half, step * len(measured) + 50

    def at(ratio):
        return middle + half * max(-1.0, min(1.0, math.log(max(ratio, 1e-9)) / math.log(reach)))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{middle + half + 70}" height="{height}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{middle - 8}" y="18" text-anchor="end" fill="#666">peer faster</text>',
             f'<text x="{middle + 8}" y="18" fill="#666">Trireme faster</text>']
    for i, row in enumerate(measured):
        y, x = 28 + i * step, at(row["ratio"])
        colour = "#2a7f4f" if row["ratio"] >= 1 else "#b5532a"
        name = html.escape(f"{row['workload']} / {row['peer']}")
        parts += [f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>',
                  f'<rect x="{min(x, middle):.1f}" y="{y + 2}" width="{abs(x - middle):.1f}" height="14" '
                  f'fill="{colour}"/>',
                  f'<line x1="{at(row["p10"]):.1f}" x2="{at(row["p90"]):.1f}" y1="{y + 9}" y2="{y + 9}" '
                  'stroke="#222"/>',
                  f'<text x="{middle + half + 8}" y="{y + 13}">{times(row["ratio"])}</text>']
    parts += [f'<line x1="{middle}" x2="{middle}" y1="24" y2="{height - 16}" stroke="#222"/>', "</svg>"]
    return "\n".join(parts) + "\n"


def write(rows, about, stem):
    """stem.json, stem.md and stem.svg."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = {".json": json.dumps(rows, indent=1), ".md": markdown(rows, about) + f"\n\n![chart]({stem.name}.svg)",
             ".svg": svg(rows)}
    for suffix, text in files.items():
        (stem.parent / (stem.name + suffix)).write_text(text.rstrip("\n") + "\n", encoding="utf-8")

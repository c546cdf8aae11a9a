"""The rows of bench/compare.py as Markdown, and as a bar chart in SVG."""
import html
import json
import math

from workloads import ONE_THREAD

NAMES = ("workload", "precision", "threads")
AFTERWARDS = ("of the limit", "memory MB", "over the least", "pairs used")
COLUMNS = (*NAMES, "peer", "version", "ratio", "p10 .. p90", "ours ms", "peer ms", *AFTERWARDS)
BEST_COLUMNS = (*NAMES, "peer", "ratio")
SCALING_COLUMNS = (*NAMES, "ratio", "p10 .. p90", "all threads ms", "one thread ms", *AFTERWARDS)


def times(ratio):
    """Two digits that count: 12.34, 0.56, 0.0078."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def line(row):
    """One comparison in one line."""
    what = f"{row['workload']} | {row['precision']} | {row['peer']}"
    if row["ratio"] is None:
        return f"{what}: {row['error']}"
    return (f"{what}: {times(row['ratio'])} ({times(row['p10'])} .. {times(row['p90'])}), "
            f"ours {row['ours_ms']:.3f} ms, peer {row['peer_ms']:.3f} ms, pairs {used(row['state'])}")


def used(state):
    """"20 of 31", or "all 31, disturbed" where the filter left too few."""
    dropped = state["dropped_foreign_load"] + state["dropped_state_changed"]
    if state["used"] == "all":
        return f"all {state['pairs']}, of which {dropped} disturbed"
    return f"{state['pairs'] - dropped} of {state['pairs']}"


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]


def names(row):
    return [row["workload"], row["precision"], str(row["threads"])]


def figures(row):
    """The cells behind a row's names."""
    if row["ratio"] is None:
        return [row["error"], *[""] * (len(AFTERWARDS) + 3)]
    return [f"**{times(row['ratio'])}**", f"{times(row['p10'])} .. {times(row['p90'])}", f"{row['ours_ms']:.3f}",
            f"{row['peer_ms']:.3f}", f"{row['limit_share']:.1%}",
            f"{row['memory_mb']:.2f}", f"{row['memory_plan_ratio']:.2f}", used(row["state"])]


def against_peers(rows):
    """The rows with figures that compare with another framework."""
    return [row for row in rows if row["ratio"] is not None and row["peer"] != ONE_THREAD]


def best_peers(rows):
    """Of each workload the row of the peer that does best."""
    best = {}
    for row in against_peers(rows):
        key = tuple(names(row))
        if key not in best or row["ratio"] < best[key]["ratio"]:
            best[key] = row
    return list(best.values())


def summary(rows):
    measured, best = against_peers(rows), best_peers(rows)
    faster, first = sum(row["ratio"] > 1 for row in measured), sum(row["ratio"] > 1 for row in best)
    load = sorted(row["state"]["foreign_load"] for row in measured)[len(measured) // 2]
    return (f"Faster in {faster} of {len(measured)} comparisons, and than the best peer in {first} of {len(best)} "
            f"workloads. Other work took {load:.2f} processors during the median slice" +
            (": the machine was shared, so take small differences for noise." if load > 0.1 else "."))


def markdown(rows, about):
    text = [f"# Trireme and its peers, {about['date']}", "",
            f"{about['processor']}, {about['processors']} processors, Linux {about['kernel']}, "
            f"commit {about['commit']}.",
            "**ratio**: the peer's time over ours, median of pairs; above 1 Trireme is faster, below 1 slower."]
    compared, scaling = ([row for row in rows if (row["peer"] == ONE_THREAD) == alone] for alone in (False, True))
    if compared:
        text += ["", *table(COLUMNS, [[*names(row), row["peer"], row["version"], *figures(row)] for row in compared])]
    best = best_peers(rows)
    if best:
        text += ["", summary(rows), "", "## Against the best peer", "",
                 *table(BEST_COLUMNS, [[*names(row), row["peer"], f"**{times(row['ratio'])}**"] for row in best])]
    if scaling:
        text += ["", "## All threads against one", "",
                 *table(SCALING_COLUMNS, [[*names(row), *figures(row)] for row in scaling])]
    return "\n".join(text)


def svg(rows):
    """A bar per comparison on a logarithmic axis: to the right of the middle Trireme is faster. The thin line is the
    tenth to ninetieth percentile."""
    measured = against_peers(rows)
    reach = max([2.0, *(max(row["p90"], 1 / max(row["p10"], 1e-9)) for row in measured)])
    left, half, step = 340, 260, 22
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
        name = html.escape(f"{row['workload']} {row['precision']} / {row['peer']}")
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

"""Slices of time measured in pairs, ours and a peer's: which pairs count, and what they say.

A slice is a few iterations of one side. Around it two things are noted that would make it a lie: what other processes
took of the processors, and how fast the first-level cache is read (it halves while somebody else computes on the same
physical core). A pair counts when both of its slices were undisturbed and saw the machine in the same state.
"""
import dataclasses
import os
import statistics

FOREIGN_LIMIT = 0.1   # processors
STATE_LIMIT = 0.75    # a probe below this share of the run's best is "slow"
LEAST_PAIRS = 5       # fewer undisturbed pairs than this and all are used, which the report says


@dataclasses.dataclass
class Slice:
    ms: float       # of an iteration, the mean
    foreign: float  # processors' worth of work by others, and stolen from the machine
    probe: float    # bytes per second, the lower of before and after


@dataclasses.dataclass
class Pair:
    ours: Slice
    peer: Slice

    def ratio(self):
        """Above 1 where ours is faster."""
        return self.peer.ms / self.ours.ms


def quantile(values, share):
    """Linear between the two nearest values."""
    values = sorted(values)
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def is_slow(piece, best_probe):
    return piece.probe < STATE_LIMIT * best_probe


def summarise(pairs):
    """The figures of a comparison: `state` says how many pairs there were, how many the filter dropped and why, and
    whether the figures are of the rest ("undisturbed") or, for want of enough of those, of all of them ("all")."""
    best = max(piece.probe for pair in pairs for piece in (pair.ours, pair.peer))
    loaded = [pair for pair in pairs if max(pair.ours.foreign, pair.peer.foreign) > FOREIGN_LIMIT]
    mixed = [pair for pair in pairs if pair not in loaded and is_slow(pair.ours, best) != is_slow(pair.peer, best)]
    kept = [pair for pair in pairs if pair not in loaded and pair not in mixed]
    enough = len(kept) >= LEAST_PAIRS
    used = kept if enough else pairs
    ratios = [pair.ratio() for pair in used]
    slow = sum(is_slow(pair.ours, best) for pair in used)
    return {
        "ratio": statistics.median(ratios),
        "p10": quantile(ratios, 0.1),
        "p90": quantile(ratios, 0.9),
        "ours_ms": statistics.median(pair.ours.ms for pair in used),
        "peer_ms": statistics.median(pair.peer.ms for pair in used),
        "state": {
            "pairs": len(pairs),
            "dropped_foreign_load": len(loaded),
            "dropped_state_changed": len(mixed),
            "used": "undisturbed" if enough else "all",
            "slow_share": slow / len(used),
            "foreign_load": statistics.median(max(p.ours.foreign, p.peer.foreign) for p in pairs),
        },
    }


def foreign_load(busy_ticks, stolen_ticks, own_ticks, seconds, ticks_per_second):
    """Processors' worth of work that was not ours. Ticks are coarse, so a slice should last 10 of them and more."""
    return max(0.0, busy_ticks + stolen_ticks - own_ticks) / (seconds * ticks_per_second)


def parse_processors(text, processors):
    """Busy and stolen ticks of the given processors, from the text of /proc/stat."""
    busy = stolen = 0
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in {f"cpu{i}" for i in processors}:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, words[1:9])
            busy += user + nice + system + irq + softirq
            stolen += steal
    return busy, stolen


def parse_process(text):
    """Ticks that a process has run, from the text of /proc/<pid>/stat; its name may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class LoadMeter:
    """What others do on `processors` while the processes `own` run."""

    def __init__(self, processors, own):
        self.processors, self.own = processors, own

    def read(self):
        with open("/proc/stat", encoding="ascii") as file:
            busy, stolen = parse_processors(file.read(), self.processors)
        ticks = 0
        for pid in self.own:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                ticks += parse_process(file.read())
        return busy, stolen, ticks

    @staticmethod
    def between(before, after, seconds):
        busy, stolen, own = (b - a for a, b in zip(before, after))
        return foreign_load(busy, stolen, own, seconds, os.sysconf("SC_CLK_TCK"))

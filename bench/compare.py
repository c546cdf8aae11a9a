#!/usr/bin/env python3
"""Trireme against other frameworks: the same work, in the same run, in slices that take turns.

usage: bench/compare.py --peers onnxruntime,torch [--workload NAME] [--json] [--output FILES [--resume]]

Both sides run as processes of their own on the same processors with as many threads; the one whose turn it is not is
stopped. Slices go ours, peer, peer, ours, ... so that a drift of the machine favours nobody. What is reported is the
median of the ratios of the pairs, with the tenth and ninetieth percentile; bench/pairs.py says which pairs count. The
peer `one-thread` is ours with a single thread: its ratio says what the other threads bring.
Before anything counts, both must give the same outputs on the same inputs. `limit_share` is the part of our time that
the machine's arithmetic and memory could not do without, at the speeds that bench/ours.cc measures in the same run.
"""
import argparse
import contextlib
import datetime
import functools
import importlib.util
import json
import os
import pathlib
import platform
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import pairs
import report
import workloads

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "bench/peers"))
OURS = ROOT / "build/bench/ours"
PEERS = ROOT / "bench/peers"
LIBTORCH = ROOT / "build/peers/bin/libtorch_peer"  # made by bench/peers/install.sh
COMMANDS = {name: [sys.executable, PEERS / f"{name}_peer.py"]
            for name in ("onnxruntime", "openvino", "torch", "paddle", "onednn", "openblas")}
COMMANDS["torch-compile"] = COMMANDS["torch"]
COMMANDS["libtorch"] = [LIBTORCH]
COMMANDS["llama.cpp"] = []
COMMANDS[workloads.ONE_THREAD] = [OURS]
MODULES = {"torch-compile": "torch", "onednn": "torch", "openblas": "scipy_openblas32"}
# These build a network of bench/networks/ themselves and load its parameters; the others read its ONNX file.
BUILDERS = ("torch", "torch-compile", "paddle")


class Failed(Exception):
    """A side that cannot do the workload, with its reason."""


class Side:
    """One process that obeys the lines of bench/ours.cc."""

    def __init__(self, command, processors, folder, patience):
        threads = str(len(processors))
        self.patience = patience
        self.errors = open(folder / "errors.txt", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, "TRIREME_THREADS": threads, "OMP_NUM_THREADS": threads},
            preexec_fn=lambda: os.sched_setaffinity(0, processors))
        self.folder = folder
        self.version = self.answer().removeprefix("ready").strip()
        self.stop()

    def answer(self):
        if not select.select([self.process.stdout], [], [], self.patience)[0]:
            self.process.kill()
            raise Failed(f"no answer within {self.patience:g} s (--patience)")
        line = self.process.stdout.readline()
        if line:
            return line.strip()
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        raise Failed(said[-1] if said else f"ended with {self.process.returncode} and said nothing")

    def ask(self, order):
        """The answer to one order; the process runs only until it is given."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            return self.answer()
        except BrokenPipeError:
            return self.answer()
        finally:
            self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def run(self, iterations):
        """Milliseconds of an iteration, the mean of so many. (Not the median: on a busy machine that spares the side
        whose iterations are shorter than a time slice of the scheduler.)"""
        return statistics.fmean(map(int, self.ask(f"run {iterations}").split())) * 1e-6

    def outputs(self):
        import numpy as np
        self.ask("save")
        paths = (self.folder / f"output_{i}.npy" for i in range(1000))
        return [np.load(path) for path in paths if path.exists()]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


def difference(ours, peer):
    """The largest difference of two lists of outputs, as a share of the largest value of its output."""
    import numpy as np
    if [value.size for value in ours] != [value.size for value in peer]:
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, peer):
        a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return float("inf")
        if a.size:
            worst = max(worst, np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
    return float(worst)


def measure_pairs(ours, peer, processors, options):
    """Pairs of slices of about options.slice seconds each, until there are enough or the time is up."""
    sides = (ours, peer)
    iterations = [max(1, round(options.slice * 1e3 / side.run(1))) for side in sides]
    meter = pairs.LoadMeter(processors, [side.process.pid for side in sides])
    result = []
    begin = time.monotonic()
    while len(result) < options.pairs and (len(result) < pairs.LEAST_PAIRS or time.monotonic() - begin < options.seconds):
        slices = [None, None]
        for i in (0, 1) if len(result) % 2 == 0 else (1, 0):
            probe = float(ours.ask("probe"))
            load, since = meter.read(), time.monotonic()
            ms = sides[i].run(iterations[i])
            seconds = time.monotonic() - since
            foreign = meter.between(load, meter.read(), seconds)
            slices[i] = pairs.Slice(ms, foreign, min(probe, float(ours.ask("probe"))))
        result.append(pairs.Pair(*slices))
    return result


def model_file(workload, folder):
    """The ONNX file of a model or network, None for other kinds. A network's parameters go to FOLDER/state."""
    if workload.kind == "model":
        file = workloads.find_data(workload.source)
        if file is None:
            raise Failed(f"no {workload.source} in the data folders; set TRIREME_DATA")
        return file
    if workload.kind == "network":
        done = subprocess.run([OURS, "export", workload.source, folder], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return folder / "model.onnx"
    return None


@functools.cache
def reduces_range():
    """Whether weights get 7 bits, as ONNX Runtime advises where a processor adds two products in 16 bits."""
    return "vnni" not in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")


def our_command(workload, file, folder):
    if workload.kind == "op":  # its type is in its name
        return [OURS, "op", workload.source, folder]
    # f16 is the model's own type.
    precision = "f32" if workload.precision == "f16" else workload.precision
    precision += "-reduced" if precision.startswith("int8") and reduces_range() else ""
    return [OURS, *(("train", workload.source) if file is None else ("model", file)), folder, precision]


def peer_command(workload, peer_name, file, folder, options):
    if peer_name == workloads.ONE_THREAD:
        return our_command(workload, file, folder / "peer")
    kind, source = workload.kind, workload.source
    if kind == "model" and peer_name == "paddle":
        source = workloads.find_data(workload.paddle)
        if source is None:
            raise Failed(f"no {workload.paddle} in the data folders; set TRIREME_DATA")
    elif file is not None and peer_name not in BUILDERS:
        kind, source = "model", file
        if workload.precision.startswith("int8"):
            import quantized
            try:
                source = quantized.write(file, folder, workload.precision == "int8-dynamic", reduces_range())
            except Exception as failure:  # whatever the peer's tools throw is the peer's failure
                raise Failed(f"ONNX Runtime's tools cannot quantise it: {failure}") from failure
    command = [*COMMANDS[peer_name], kind, source, folder / "peer", str(options.threads), workload.precision]
    return [*command, "compile"] if peer_name == "torch-compile" else command


def why_missing(peer_name):
    """Why a peer cannot be measured here, or None."""
    if peer_name == "llama.cpp":
        return "PyPI has it as source only; no package that could be pinned and installed"
    if peer_name in (workloads.ONE_THREAD, "libtorch"):
        return None if pathlib.Path(COMMANDS[peer_name][0]).exists() else "not built"
    return None if importlib.util.find_spec(MODULES.get(peer_name, peer_name)) else "not installed"


def compare(workload, peer_name, processors, options):
    """One row of the report. Whatever fails is said in `error`, and there is no ratio then."""
    row = {"workload": workload.name, "precision": workload.precision, "threads": options.threads, "peer": peer_name,
           "version": "missing", "ratio": None, "p10": None, "p90": None, "ours_ms": None, "peer_ms": None,
           "limit_share": None, "memory_mb": None, "memory_plan_ratio": None, "state": {}}
    missing = why_missing(peer_name)
    if missing:
        return {**row, "error": missing}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as started:
        try:
            folder = pathlib.Path(name)
            (folder / "peer").mkdir()
            workloads.write_inputs(workload, folder)
            file = model_file(workload, folder)
            ours = Side(our_command(workload, file, folder), processors, folder, options.patience)
            started.callback(ours.close)
            for path in [*folder.glob("input_*.npy"), *folder.glob("state")]:
                (folder / "peer" / path.name).symlink_to(path)
            command = peer_command(workload, peer_name, file, folder, options)
            peer = Side(command, processors[:1] if peer_name == workloads.ONE_THREAD else processors, folder / "peer",
                        options.patience)
            started.callback(peer.close)
            row["version"] = peer.version
            off = difference(ours.outputs(), peer.outputs())
            if off > workload.tolerance:
                return {**row, "error": f"outputs differ by {off:.1e}, more than {workload.tolerance:.0e}"}
            row.update(pairs.summarise(measure_pairs(ours, peer, processors, options)))
            limit, flops, bandwidth = map(float, ours.ask("limit").split())
            row["limit_share"] = limit * 1e3 / row["ours_ms"]
            planned, needed = map(int, ours.ask("memory").split())
            row.update(memory_mb=planned * 1e-6, memory_plan_ratio=planned / needed if needed else 1.0)
            row["state"].update(outputs_differ_by=off, peak_gflops=flops * 1e-9, read_gb_per_s=bandwidth * 1e-9)
            return row
        except Failed as failure:
            return {**row, "error": str(failure)}


def machine():
    """What the figures belong to."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return {"processor": names[0] if names else platform.processor(), "processors": len(names),
            "kernel": platform.release(), "date": datetime.date.today().isoformat(), "commit": commit}


def read_rows(stem):
    """The rows that an earlier run wrote, by what they measure."""
    file = stem.parent / (stem.name + ".json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return {(row["workload"], row["precision"], row["threads"], row["peer"]): row for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help=f"comma-separated, of {', '.join(COMMANDS)}; or all")
    parser.add_argument("--workload", default="", help="only workloads whose name contains this")
    parser.add_argument("--precision", choices=sorted({each.precision for each in workloads.WORKLOADS}),
                        help="only workloads in this one")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    parser.add_argument("--output", type=pathlib.Path, help="also write OUTPUT.json, OUTPUT.md and OUTPUT.svg")
    parser.add_argument("--resume", action="store_true", help="keep what OUTPUT.json has measured, do the rest")
    parser.add_argument("--threads", type=int, default=2, help="of each side, on as many processors (2)")
    parser.add_argument("--pairs", type=int, default=31, help="pairs of slices (31)")
    parser.add_argument("--slice", type=float, default=0.2, help="seconds of a slice, at least one iteration (0.2)")
    parser.add_argument("--seconds", type=float, default=30, help="no further pair after so long (30)")
    parser.add_argument("--patience", type=float, default=600,
                        help="seconds that a side may take to start or for a slice; then it is given up (600)")
    options = parser.parse_args()
    chosen = list(COMMANDS) if options.peers == "all" else options.peers.split(",")
    unknown = [name for name in chosen if name not in COMMANDS]
    if unknown:
        parser.error(f"no peer '{unknown[0]}'; there are {', '.join(COMMANDS)}")
    wanted = [each for each in workloads.WORKLOADS if options.workload.lower() in each.name.lower()
              and options.precision in (None, each.precision)]
    if not wanted:
        in_it = f" in {options.precision}" if options.precision else ""
        parser.error(f"no workload '{options.workload}'{in_it}; there are {', '.join(w.name for w in workloads.WORKLOADS)}")
    if options.threads == 1:
        chosen = [name for name in chosen if name != workloads.ONE_THREAD]
    processors = sorted(os.sched_getaffinity(0))[:options.threads]
    if options.resume and not options.output:
        parser.error("--resume goes on from the files of --output")
    if options.threads < 1 or len(processors) < options.threads:
        parser.error(f"--threads {options.threads}: this process may use {len(processors)} processors, and 1 is least")
    work = [(workload, peer) for workload in wanted for peer in chosen if peer in workload.peers]
    if not work:
        parser.error("none of these workloads has one of these peers")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt: both sides are ended
    about, rows = machine(), []
    earlier = read_rows(options.output) if options.resume else {}
    for workload, peer in work:
        row = earlier.pop((workload.name, workload.precision, options.threads, peer), None)
        is_measured = row is not None and row["ratio"] is not None
        rows.append(row if is_measured else compare(workload, peer, processors, options))
        print(f"[{len(rows)}/{len(work)}] {report.line(rows[-1])}", file=sys.stderr, flush=True)
        if options.output:  # after each row: a run that is cut short leaves what it has
            report.write(rows + list(earlier.values()), about, options.output)
    print(json.dumps(rows) if options.json else report.markdown(rows, about))
    sys.exit(1 if any("differ" in row.get("error", "") for row in rows) else 0)


if __name__ == "__main__":
    main()

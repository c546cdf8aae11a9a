"""The peer's side of bench/compare.py: the same lines that bench/ours.cc obeys.

After the workload has run until it is warm, "ready VERSION" is printed; then "run N" is answered by the nanoseconds of
N iterations, and "save" by writing FOLDER/output_<i>.npy.
"""
import os
import pathlib
import sys
import time

import numpy as np

WARM_UP = 8          # iterations; training also compares so many losses (bench/ours.cc)
WARM_UP_SECONDS = 1  # a model is warm after so long, too

# What libraries print goes to the errors, and answers to where the standard output went.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def load_inputs(folder):
    """input_0.npy, input_1.npy, ..."""
    paths = (pathlib.Path(folder) / f"input_{i}.npy" for i in range(100))
    return [np.load(path) for path in paths if path.exists()]


def serve(version, iterate, folder, outputs=None, least=2):
    """iterate() is one iteration; it returns the outputs as arrays, unless outputs() gives them. At least `least` of
    them come before it is warm."""
    start = time.monotonic()
    for i in range(WARM_UP):
        if i < least or time.monotonic() - start < WARM_UP_SECONDS:
            result = iterate()
    print("ready", version, file=ANSWERS, flush=True)
    for line in sys.stdin:
        order = line.split()
        if order[0] == "run":
            times = []
            for _ in range(int(order[1])):
                begin = time.perf_counter_ns()
                result = iterate()
                times.append(time.perf_counter_ns() - begin)
            print(*times, file=ANSWERS, flush=True)
        elif order[0] == "save":
            for i, value in enumerate(outputs() if outputs else result):
                np.save(pathlib.Path(folder) / f"output_{i}.npy", np.asarray(value))
            print("saved", file=ANSWERS, flush=True)
        else:
            raise SystemExit(f"'{line.strip()}' is no order; there are run N and save")


def operation(version, run, folder):
    """run() gives its results as arrays; those of the first time are compared."""
    first = [np.array(each) for each in run()]
    serve(version, run, folder, lambda: first)


def train(version, step, folder):
    """step() is one training step and returns its loss."""
    losses = []

    def iterate():
        loss = step()
        if len(losses) < WARM_UP:
            losses.append(loss)

    serve(version, iterate, folder, lambda: [np.array(losses, np.float32)], WARM_UP)

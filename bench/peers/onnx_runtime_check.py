#!/usr/bin/env python3
"""Runs exported ONNX models in ONNX Runtime and compares with what Trireme says they give.

usage: onnx_runtime_check.py FOLDER [--json]      needs onnxruntime, onnx and numpy

FOLDER holds one folder per case: model.onnx, input_0.npy ..., output_0.npy ... (written by
`TRIREME_EXPORT=FOLDER build/tests/onnx_export_test`). Each model is checked against the ONNX schema and run on the CPU.
A case is `invalid` when the checker refuses it, `missing` when the runtime has no kernel for an element type, `wrong`
when an output is off by more than the type allows after a chain of a few operations, else `pass`. Exit code 1 when
something is invalid or wrong.
"""
import argparse
import collections
import json
import pathlib
import re
import sys

import numpy as np
import onnx
import onnxruntime

# Relative and absolute: a few roundings of the type. Decompositions of special functions multiply them.
TOLERANCE = {"float64": (1e-9, 1e-12), "float32": (2e-4, 1e-5), "float16": (2e-2, 2e-3)}


def run(folder):
    model = onnx.load(folder / "model.onnx")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's own classes differ between versions
        return "invalid", str(error)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    inputs = {declared.name: np.load(folder / f"input_{i}.npy") for i, declared in enumerate(model.graph.input)}
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        results = session.run(None, inputs)
    except Exception as error:
        text = str(error)
        missing = re.search(r"NOT_IMPLEMENTED|Could not find an implementation|not supported|unsupported", text)
        return ("missing" if missing else "wrong"), text
    for k, got in enumerate(results):
        expected = np.load(folder / f"output_{k}.npy")
        if got.shape != expected.shape:
            return "wrong", f"output {k} has shape {got.shape}, expected {expected.shape}"
        relative, absolute = TOLERANCE.get(got.dtype.name, (0, 0))
        if not np.allclose(got, expected, rtol=relative, atol=absolute, equal_nan=True):
            off = np.flatnonzero(~np.isclose(got, expected, rtol=relative, atol=absolute, equal_nan=True))
            at = off[0]
            return "wrong", (f"output {k}: {len(off)} of {got.size} elements, element {at} is "
                             f"{got.reshape(-1)[at]}, expected {expected.reshape(-1)[at]}")
    return "pass", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    given = parser.parse_args()
    counts, failures = collections.Counter(), []
    for folder in sorted(p for p in given.folder.iterdir() if (p / "model.onnx").exists()):
        verdict, why = run(folder)
        counts[verdict] += 1
        if verdict in ("invalid", "wrong"):
            failures.append((folder.name, verdict, why))
        if not given.json and verdict in ("invalid", "wrong"):
            print(f"{verdict} {folder.name}: {why[:300]}")
    report = {key: counts[key] for key in ("pass", "wrong", "invalid", "missing")}
    report["peer"] = f"onnxruntime {onnxruntime.__version__}"
    print(json.dumps(report))
    sys.exit(1 if failures else 0)


main()

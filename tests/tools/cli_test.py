"""The command `trireme` on small models: what it prints, its exit codes, and what it says to wrong input."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("TRIREME_BINARY_DIR", ROOT / "build"))
COMMAND = BUILD / "trireme"

GRAPH = """graph trireme/1 {
  %0 = parameter f32[2, 3] "x"
  %1 = parameter f32[3, 4] "w"
  %2 = matmul(%0, %1)
  %3 = softmax(%2)
  return %3 "y"
}
"""


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npy(shape, values, descr="<f4"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}f", *values)


WEIGHT = {"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}
IDENTITY = struct.pack("<12f", *(1.0 if i % 5 == 0 else 0.0 for i in range(12)))


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.model = self.root / "model"
        self.model.mkdir()
        (self.model / "model.graph").write_text(GRAPH)
        (self.model / "model.safetensors").write_bytes(safetensors(WEIGHT, IDENTITY))
        (self.root / "x.npy").write_bytes(npy((2, 3), [0, 0, 0, 1, 2, 3]))

    def run_command(self, *arguments, **environment):
        return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, **environment})

    def good(self, *arguments, **environment):
        run = self.run_command(*arguments, **environment)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def refused(self, words, *arguments, code=2, **environment):
        """Exit code, and an error that has every one of `words`."""
        run = self.run_command(*arguments, **environment)
        self.assertEqual(run.returncode, code, f"{arguments}: {run.stdout}{run.stderr}")
        for word in words:
            self.assertIn(word, run.stderr, f"{arguments}")
        return run

    # --- what it reports

    def test_ops(self):
        names = json.loads(self.good("ops", "--json"))
        self.assertEqual(sorted(names), ["composites", "primitives"])
        self.assertIn("dot_general", names["primitives"])
        self.assertIn("softmax", names["composites"])
        self.assertGreaterEqual(len(names["composites"]), 120)
        page = self.good("ops", "matmul")
        self.assertIn("matmul_c2", page)
        self.refused(["softmax"], "ops", "sofmax")

    def test_chips(self):
        listed = json.loads(self.good("chips", "--json"))
        self.assertLessEqual({"cpu", "reference", "refchip"}, {chip["chip"] for chip in listed["chips"]})
        self.assertEqual(listed["failures"], [])

    def test_run(self):
        for chip in ("cpu", "reference", "refchip"):
            out = self.root / chip
            line = json.loads(self.good("run", self.model, "--input", f"x={self.root / 'x.npy'}", "--chip", chip,
                                        "--save", out, "--json"))
            self.assertAlmostEqual(line["outputs"][0]["sum"], 2.0, places=5)  # two rows of probabilities
            self.assertIn(chip, line["chip"])
            data = (out / "y.npy").read_bytes()[-32:]
            row = struct.unpack("<8f", data)[4:]
            powers = [2.718281828459045**v for v in (1, 2, 3, 0)]
            for got, power in zip(row, powers):
                self.assertAlmostEqual(got, power / sum(powers), places=6)

    def test_trace(self):
        trace = self.root / "trace.json"
        self.good("trace", self.model, "--trace", trace)
        rows = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
        self.assertIn("softmax", {row["name"] for row in rows})
        for row in rows:
            self.assertGreaterEqual(row["dur"], 0)

    def test_explain(self):
        report = json.loads(self.good("explain", self.model, "--chip", "refchip", "--json",
                                      TRIREME_REFCHIP_PERSONA="minimal-8"))
        self.assertIn("gains", report)
        table = self.good("explain", self.model, "--chip", "cpu")
        self.assertIn("softmax", table)

    def test_fallback_error_names_the_ops(self):
        self.refused(["--fallback=error", "dot_general", "no compute bank"], "run", self.model, "--chip", "refchip", "--fallback", "error",
                     TRIREME_REFCHIP_PERSONA="minimal-8")

    # --- quantize

    def quantize(self, *arguments):
        return ("quantize", self.model, "--output", self.root / "small", *arguments)

    def test_quantize(self):
        samples = self.root / "samples.npy"  # three samples of two rows
        samples.write_bytes(npy((6, 3), [0, 0, 0, 1, 2, 3, -1, 2, 0.5, 3, 3, 3, 0, 1, 0, 2, -3, 1]))
        for method in ("minmax", "percentile", "entropy", "dynamic"):
            report = json.loads(self.good(*self.quantize("--method", method, "--calibration", samples, "--json")))
            self.assertEqual((report["products"], report["samples"], report["method"]), (1, 3, method))
            self.assertLess(report["bytes_after"], report["bytes_before"])
            (output,) = report["outputs"]
            self.assertEqual(output["name"], "y")
            self.assertLess(output["relative_error"], 0.2 if method == "entropy" else 0.02)
            self.assertEqual(output["top1_agreement"], 1.0)
            graph = (self.root / "small" / "model.graph").read_text()
            self.assertIn("integer_dot_general", graph)
            self.assertNotIn("matmul", graph)
        # What was written runs, on the chip and by its parts on another.
        for chip in ("cpu", "refchip"):
            line = json.loads(self.good("run", self.root / "small", "--input", f"x={self.root / 'x.npy'}", "--chip",
                                        chip, "--json"))
            self.assertAlmostEqual(line["outputs"][0]["sum"], 2.0, places=5)
        self.assertIn("best class agrees", self.good(*self.quantize("--calibration", f"x={samples}", "--limit", "1")))
        report = json.loads(self.good(*self.quantize("--calibration", samples, "--reduce-range", "--json")))
        self.assertTrue(report["reduce_range"])
        self.assertLess(report["outputs"][0]["relative_error"], 0.04)
        self.assertIn("not compared", self.good(*self.quantize("--method", "dynamic")))

    def test_quantize_takes_folders(self):
        folder = self.root / "folder"
        folder.mkdir()
        for i in range(4):
            (folder / f"{i}.npy").write_bytes(npy((2, 3), [i, 1, -2, 0.5, i, 3]))
        report = json.loads(self.good(*self.quantize("--calibration", f"x={folder}", "--json")))
        self.assertEqual(report["samples"], 4)

    def test_quantize_refuses_wrong_samples(self):
        def given(data, *more):
            (self.root / "bad.npy").write_bytes(data)
            return self.quantize("--calibration", f"x={self.root / 'bad.npy'}", *more)

        nan = float("nan")
        self.refused(["give --calibration", "dynamic"], *self.quantize())
        self.refused(["--method"], *self.quantize("--method", "max"))
        self.refused(["sample 1", "nan"], *given(npy((4, 3), [1] * 9 + [nan, 1, 1])))
        self.refused(["2 along the first axis"], *given(npy((0, 3), [])))
        self.refused(["2 along the first axis"], *given(npy((1, 3), [1, 2, 3])))
        self.refused(["f32[2, 4]", "[2, 3]"], *given(npy((2, 4), [0] * 8)))
        self.refused(["no input 'z'", "x"], *self.quantize("--calibration", "z=bad.npy"))
        self.refused(["nowhere.npy"], *self.quantize("--calibration", "x=nowhere.npy"))
        (self.root / "empty").mkdir()
        self.refused(["has no files"], *self.quantize("--calibration", f"x={self.root / 'empty'}"))
        self.refused(["--percentile"], *given(npy((2, 3), [0] * 6), "--method", "percentile", "--percentile", "40"))
        self.assertFalse((self.root / "small").exists())
        self.refused(["small.txt"], "quantize", self.model, "--method", "dynamic", "--output", self.root / "small.txt")
        self.good(*given(npy((2, 3), [0] * 6)))  # zeros are samples
        (self.model / "model.graph").write_text(GRAPH.replace("matmul(%0, %1)", "add(%0, %0)"))
        self.refused(["nothing to quantise"], *self.quantize("--method", "dynamic"))

    # --- wrong use

    def test_wrong_use(self):
        self.refused([], "no-such-command")
        self.refused([], "run")
        self.refused(["cpu"], "run", self.model, "--chip", "cpuu")
        self.refused([], "run", self.model, "--fallback", "perhaps")
        self.refused(["did you mean 'x'"], "run", self.model, "--input", f"xx={self.root / 'x.npy'}")
        self.refused(["name=file"], "run", self.model, "--input", "x")

    def test_wrong_inputs(self):
        def given(data):
            (self.root / "bad.npy").write_bytes(data)
            return "run", self.model, "--input", f"x={self.root / 'bad.npy'}"

        self.refused(["nowhere.npy"], "run", self.model, "--input", "x=nowhere.npy")
        self.refused(["f32[2, 3]"], *given(npy((3, 2), [0] * 6)))
        self.refused(["bad.npy"], *given(npy((2, 3), [0] * 5)))
        self.refused(["bad.npy"], *given(npy((2, 3), [0] * 6, "<c8")))
        self.refused(["bad.npy"], *given(b"PK\x03\x04"))
        self.refused(["bad.npy"], *given(npy((1 << 40, 1 << 40), [])))

    # --- damaged models

    def test_damaged_graphs(self):
        for text, words in [
            (GRAPH.replace("softmax", "sofmax"), ["softmax", "line 5"]),
            (GRAPH.replace("softmax(%2)", "softmax(%2) {axes = [1]}"), ["axis"]),
            (GRAPH.replace("f32[2, 3]", "f33[2, 3]"), ["f33"]),
            (GRAPH.replace("matmul(%0, %1)", "matmul(%1, %0)"), ["matmul_c2"]),
            (GRAPH.replace("f32[2, 3]", "f32[2, -3]"), []),
            (GRAPH.replace("f32[2, 3]", "f32[4611686018427387904, 4611686018427387904]"), []),
            (GRAPH.replace("%3 \"y\"", "%7 \"y\""), ["%7"]),
            (GRAPH[: len(GRAPH) // 2], []),
            ("", []),
            ("\0" * 100, []),
        ]:
            (self.model / "model.graph").write_text(text)
            self.refused(words, "run", self.model)

    def test_damaged_weights(self):
        good = safetensors(WEIGHT, IDENTITY)
        two = {"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
               "v": {"dtype": "F32", "shape": [3, 4], "data_offsets": [24, 72]}}
        for data in [
            b"",
            good[:4],
            good[:-1],
            good + b"x",
            struct.pack("<Q", 1 << 62) + good[8:],  # the header's length lies
            struct.pack("<Q", 3) + good[8:],
            safetensors({"w": {**WEIGHT["w"], "shape": [1 << 40, 1 << 40]}}, IDENTITY),
            safetensors({"w": {**WEIGHT["w"], "shape": [3, 5]}}, IDENTITY),
            safetensors({"w": {**WEIGHT["w"], "shape": [3, -4]}}, IDENTITY),
            safetensors({"w": {**WEIGHT["w"], "dtype": "Q7"}}, IDENTITY),
            safetensors({"w": {**WEIGHT["w"], "data_offsets": [48, 0]}}, IDENTITY),
            safetensors(two, IDENTITY + IDENTITY[:24]),  # overlapping ranges
            safetensors(b"[" * 100000, IDENTITY),
            safetensors({"other": WEIGHT["w"]}, IDENTITY),
        ]:
            (self.model / "model.safetensors").write_bytes(data)
            self.refused(["model.safetensors"], "run", self.model)
        (self.model / "model.safetensors").unlink()
        self.refused(["model.safetensors"], "run", self.model)

    def test_nothing_is_written_on_failure(self):
        (self.model / "model.safetensors").write_bytes(b"")
        self.refused([], "run", self.model, "--save", self.root / "out", "--trace", self.root / "trace.json")
        self.assertFalse((self.root / "out").exists())
        self.assertFalse((self.root / "trace.json").exists())


if __name__ == "__main__":
    unittest.main()

"""`trireme convert` against Python's own zipfile and pickle: archives they make, and malice they would run."""
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = pathlib.Path(os.environ.get("TRIREME_BINARY_DIR", ROOT / "build")) / "trireme"


def npy(shape, values, descr="<f4", letter="f"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}{letter}",
                                                                                      *values)


def archive(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return out.getvalue()


def read_safetensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    facts = header.pop("__metadata__", {})
    return {name: (entry["dtype"], entry["shape"], data[8 + length:][slice(*entry["data_offsets"])])
            for name, entry in header.items()}, facts


class Evil:
    """What pickle.loads would run."""

    def __init__(self, function, *arguments):
        self.made_of = (function, arguments)

    def __reduce__(self):
        return self.made_of


class Convert(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def convert(self, source, target, *more):
        return subprocess.run([COMMAND, "convert", self.root / source, self.root / target, *more], capture_output=True,
                              text=True, timeout=60)

    def good(self, *arguments):
        run = self.convert(*arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def refused(self, words, *arguments):
        run = self.convert(*arguments)
        self.assertEqual(run.returncode, 2, run.stdout + run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
        self.assertFalse((self.root / arguments[1]).exists(), "nothing is written after an error")

    def test_archives_of_zipfile(self):
        numbers = [i / 4 for i in range(3000)]
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            (self.root / "a.npz").write_bytes(archive({"w.npy": npy("(3, 1000)", numbers), "layer/n.npy":
                                                       npy("()", [-7], "<i8", "q")}, method))
            summary = json.loads(self.good("a.npz", "a.safetensors", "--json"))
            self.assertEqual([summary[key] for key in ("tensors", "elements", "bytes")], [2, 3001, 12008])
            tensors, _ = read_safetensors(self.root / "a.safetensors")
            self.assertEqual(tensors["w"], ("F32", [3, 1000], struct.pack("<3000f", *numbers)))
            self.assertEqual(tensors["layer/n"], ("I64", [], struct.pack("<q", -7)))

    def test_zipfile_reads_ours(self):
        content = npy("(1000,)", [0.5] * 1000)
        (self.root / "a.npz").write_bytes(archive({"w.npy": content}))
        for flags, method in (((), zipfile.ZIP_STORED), (("--compress",), zipfile.ZIP_DEFLATED)):
            self.good("a.npz", "b.npz", *flags)
            with zipfile.ZipFile(self.root / "b.npz") as file:
                self.assertIsNone(file.testzip())
                self.assertEqual([entry.compress_type for entry in file.infolist()], [method])
                self.assertEqual(file.read("w.npy")[-4000:], content[-4000:])

    def test_types(self):
        arrays = {"w.npy": npy("(2,)", [1.0, 1e30]), "n.npy": npy("(1,)", [3], "<i4", "i")}
        (self.root / "a.npz").write_bytes(archive(arrays))
        self.good("a.npz", "a.safetensors", "--dtype", "bf16")
        tensors, _ = read_safetensors(self.root / "a.safetensors")
        self.assertEqual([tensors["w"][0], tensors["n"][0]], ["BF16", "I32"])
        self.refused(["NumPy has no bf16", "f32"], "a.safetensors", "b.npz")
        self.good("a.safetensors", "b.npz", "--dtype", "f32")
        os.remove(self.root / "b.npz")
        self.refused(["--dtype i32", "floating"], "a.npz", "b.npz", "--dtype", "i32")
        self.refused(["compressed", ".npz"], "a.npz", "b.safetensors", "--compress")

    def test_names_of_files(self):
        self.refused(["a.bin", ".safetensors", ".pth"], "a.bin", "b.npz")
        self.refused(["only read", ".safetensors or .npz"], "a.npz", "b.pt")
        self.refused(["no-such.npz"], "no-such.npz", "b.safetensors")

    def test_malice_of_pickle(self):
        owned = self.root / "owned"
        for protocol in (2, 3, 4, 5):
            for evil, name in ((Evil(os.system, f"touch {owned}"), "system"), (Evil(eval, f"open({str(owned)!r}, 'w')"),
                               "eval"), (Evil(owned.touch), "getattr"), (Evil(exec, "1"), "exec")):
                body = pickle.dumps({"w": evil}, protocol)
                (self.root / "a.pt").write_bytes(archive({"a/data.pkl": body}))
                self.refused(["a.pt", name, "nothing was run"], "a.pt", "b.npz")
                (self.root / "old.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) +
                                                   pickle.dumps({}, 2) + body)
                self.refused(["old.pt", name], "old.pt", "b.npz")
        self.assertFalse(owned.exists())

    def test_plain_values_of_every_protocol(self):
        values = {"epoch": 3, "rate": 0.25, "name": "net \u00e9", "big": 2**70, "flag": True, "none": None,
                  "deep": {"x": -5, "list": [1, 2, {"inside": 6}], "set": {1, 2}, "raw": b"abc"}, 4: "four"}
        for protocol in (2, 3, 4, 5):
            # A file without tensors is refused, but only after all of it was understood.
            (self.root / "a.pt").write_bytes(archive({"a/data.pkl": pickle.dumps(values, protocol)}))
            self.refused(["holds no tensor"], "a.pt", "b.safetensors")

    def test_models(self):
        model = ROOT / "tests/fuzz/corpus/onnx/convolution"
        (self.root / "model.onnx").write_bytes(model.read_bytes())
        outputs = []
        for source, target in [("model.onnx", "folder"), ("folder", "again.onnx"), ("again.onnx", "twice")]:
            done = subprocess.run([COMMAND, "convert", source, target, "--json"], cwd=self.root, capture_output=True,
                                  text=True, check=True)
            self.assertGreater(json.loads(done.stdout)["nodes"], 0)
            ran = subprocess.run([COMMAND, "run", target, "--json"], cwd=self.root, capture_output=True, text=True,
                                 check=True)
            outputs.append([(each["type"], round(each["sum"], 4)) for each in json.loads(ran.stdout)["outputs"]])
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0], outputs[2])
        self.refused(["cannot write the model", ".onnx file or a folder"], "model.onnx", "model.txt")
        self.refused(["--dtype", "keeps its types"], "model.onnx", "other", "--dtype", "f16")
        (self.root / "cut.onnx").write_bytes(model.read_bytes()[:-20])
        self.refused(["no ONNX model"], "cut.onnx", "other")


if __name__ == "__main__":
    unittest.main()

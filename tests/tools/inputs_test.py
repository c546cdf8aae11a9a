"""`trireme run --input`: pictures, sounds and tables that Python's standard library wrote, and the best classes."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
import wave
import zlib

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = pathlib.Path(os.environ.get("TRIREME_BINARY_DIR", ROOT / "build")) / "trireme"
DATA = pathlib.Path(os.environ.get("TRIREME_DATA", ROOT.parent / "shared" / "data"))


def png(width, height, pixels):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + bytes(pixels[y * width * 3:(y + 1) * width * 3]) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def read_npy(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:start])  # ours
    letter = {"<f4": "f", "|u1": "B", "<i4": "i"}[header["descr"]]
    count = len(data[start:]) // struct.calcsize(letter)
    return list(header["shape"]), list(struct.unpack(f"<{count}{letter}", data[start:]))


class Inputs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.pixels = [(7 * i + i // 3) % 256 for i in range(4 * 5 * 3)]
        (self.root / "a.png").write_bytes(png(5, 4, self.pixels))

    def run_model(self, kind, *arguments):
        """A model that gives back its input, of this type."""
        model = self.root / "model"
        model.mkdir(exist_ok=True)
        (model / "model.graph").write_text(f'graph trireme/1 {{\n  %0 = parameter {kind} "x"\n'
                                           '  %1 = max(%0, %0)\n  return %1 "y"\n}\n')
        (model / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
        return subprocess.run([COMMAND, "run", model, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def values(self, kind, file, *arguments):
        run = self.run_model(kind, "--input", f"x={self.root / file}", "--save", self.root / "out", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return read_npy(self.root / "out" / "y.npy")

    def refused(self, words, kind, file, *arguments):
        run = self.run_model(kind, "--input", f"x={self.root / file}", *arguments)
        self.assertEqual(run.returncode, 2, run.stdout + run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def assert_near(self, got, expected, tolerance=1e-5):
        self.assertEqual(len(got), len(expected))
        for a, b in zip(got, expected):
            self.assertAlmostEqual(a, b, delta=tolerance)

    def test_pictures(self):
        planes = [self.pixels[3 * i + c] for c in range(3) for i in range(20)]
        shape, got = self.values("f32[1, 3, 4, 5]", "a.png")
        self.assertEqual(shape, [1, 3, 4, 5])
        self.assert_near(got, [v / 255 for v in planes])
        _, got = self.values("f32[1, 3, 4, 5]", "a.png", "--mean", "0.5,0.25,0", "--std", "2")
        self.assert_near(got, [(v / 255 - (0.5, 0.25, 0)[i // 20]) / 2 for i, v in enumerate(planes)])
        _, got = self.values("f32[1, 3, 4, 5]", "a.png", "--range", "255", "--channels", "bgr")
        self.assert_near(got, planes[40:] + planes[20:40] + planes[:20], 1e-3)
        _, got = self.values("f32[1, 4, 5, 3]", "a.png", "--layout", "nhwc")
        self.assert_near(got, [v / 255 for v in self.pixels])
        _, got = self.values("u8[1, 4, 5, 3]", "a.png", "--layout", "nhwc")
        self.assertEqual(got, self.pixels)
        _, got = self.values("f32[1, 3, 2, 3]", "a.png", "--crop", "2x3", "--range", "255")
        self.assert_near(got, [planes[c * 20 + y * 5 + x] for c in range(3) for y in (1, 2) for x in (1, 2, 3)], 1e-3)
        # Halving by a triangle two pixels wide weighs four pixels 1 3 3 1, those beyond the border left out.
        _, got = self.values("f32[1, 1, 2, 5]", "a.png", "--resize", "2x5", "--channels", "grey", "--range", "255")
        grey = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in zip(*(planes[20 * c:20 * c + 20] for c in range(3)))]
        self.assert_near(got[:5], [(3 * grey[x] + 3 * grey[5 + x] + grey[10 + x]) / 7 for x in range(5)], 1e-3)

    def test_pictures_refused(self):
        self.refused(["[1, 3, 4, 5]", "[1, 3, 8, 8]", "--resize"], "f32[1, 3, 8, 8]", "a.png")
        self.refused(["--resize 'big'"], "f32[1, 3, 8, 8]", "a.png", "--resize", "big")
        self.refused(["--mean 'a,b'"], "f32[1, 3, 4, 5]", "a.png", "--mean", "a,b")
        self.refused(["cannot crop 9 x 9"], "f32[1, 3, 4, 5]", "a.png", "--crop", "9")
        (self.root / "b.png").write_bytes((self.root / "a.png").read_bytes()[:60])
        self.refused(["b.png", "cut short"], "f32[1, 3, 4, 5]", "b.png")
        self.refused(["a.gif", ".png", ".wav"], "f32[1, 3, 4, 5]", "a.gif")
        self.refused(["none.png"], "f32[1, 3, 4, 5]", "none.png")

    def test_sounds(self):
        for width, scale in ((1, 128), (2, 32768), (3, 1 << 23), (4, 1 << 31)):
            numbers = [0, scale // 2, -scale, -scale // 4]
            offset = 128 if width == 1 else 0
            with wave.open(str(self.root / "a.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(width)
                file.setframerate(16000)
                file.writeframes(b"".join((v + offset).to_bytes(width, "little", signed=width > 1) for v in numbers))
            shape, got = self.values("f32[1, 4]", "a.wav")
            self.assertEqual((shape, got), ([1, 4], [0, 0.5, -1, -0.25]))

    def test_tables(self):
        (self.root / "a.csv").write_text("width,height\n1,2.5\n-3,4e2\n")
        self.assertEqual(self.values("f32[2, 2]", "a.csv"), ([2, 2], [1, 2.5, -3, 400]))
        self.assertEqual(self.values("i32[1, 4, 1]", "a.csv"), ([1, 4, 1], [1, 2, -3, 400]))
        (self.root / "b.csv").write_text("1,2\n3\n")
        self.refused(["b.csv", "line 2", "1 cells"], "f32[2, 2]", "b.csv")
        (self.root / "b.csv").write_text("1,2\n3,x\n")
        self.refused(["line 2", "column 2", "'x'"], "f32[2, 2]", "b.csv")
        (self.root / "b.csv").write_text("a,b\n")
        self.refused(["no row of numbers"], "f32[2, 2]", "b.csv")

    def test_best_classes(self):
        (self.root / "a.csv").write_text("0.1,0.6,0.3\n")
        (self.root / "labels.txt").write_text("cat\ndog\n")
        arguments = ("--input", f"x={self.root / 'a.csv'}", "--top", "2", "--labels", self.root / "labels.txt")
        run = self.run_model("f32[1, 3]", *arguments)
        self.assertEqual(run.stdout, "y:\n   60.00%  dog\n   30.00%  class 2\n")
        top = json.loads(self.run_model("f32[1, 3]", *arguments, "--json").stdout)["outputs"][0]["top"]
        self.assertEqual([(each["class"], each["label"]) for each in top[0]], [(1, "dog"), (2, "class 2")])
        self.assertEqual(self.run_model("f32[1, 3]", "--labels", "x").returncode, 2)
        self.assertEqual(self.run_model("f32[1, 3]", "--top", "0").returncode, 2)

    def test_a_real_classifier(self):
        folder = DATA / "onnx-models" / "squeezenet_fp16"
        if not folder.exists():
            self.skipTest(f"no {folder}; set TRIREME_DATA")
        run = subprocess.run([COMMAND, "run", folder / "SqueezeNet_fp16.onnx", "--input", f"data_0={folder / 'fish.csv'}",
                              "--top", "5", "--labels", folder / "Labels.json", "--json"], capture_output=True, text=True,
                             timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        top = json.loads(run.stdout)["outputs"][0]["top"][0]
        rows = [line.split(",") for line in (folder / "expected/Squeezenet_fish_input_CPU.csv").read_text().split()[1:]]
        truth = sorted(((float(value), int(index)) for index, value in rows), reverse=True)[:5]
        self.assertEqual([each["class"] for each in top], [index for _, index in truth])
        for each, (probability, _) in zip(top, truth):
            self.assertAlmostEqual(each["probability"], probability, delta=0.01)  # f16 against f32
        self.assertEqual(top[0]["label"], "tench, Tinca tinca")


if __name__ == "__main__":
    unittest.main()

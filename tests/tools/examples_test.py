"""The examples, unchanged, on the cpu and on the cards of the virtual xpu: they end well and reach the same."""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = pathlib.Path(os.environ.get("TRIREME_BINARY_DIR", ROOT / "build")) / "examples"
sys.path.insert(0, str(ROOT / "bench"))
from workloads import find_data  # noqa: E402

CARDS = ("R200", "P800")


class Examples(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def run_example(self, name, *arguments, card=None):
        device = ["--device", "xpu:0" if card else "cpu"]
        environment = {**os.environ, **({"XPUSIM_DEVICE_MODEL": card} if card else {})}
        done = subprocess.run([EXAMPLES / name, *map(str, arguments), *device, "--output", self.path / f"{name}-{card}"],
                              capture_output=True, text=True, env=environment, check=False)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        summary = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(summary["chip"], "xpu:0" if card else "cpu:0")
        return summary, done.stdout

    def data(self, relative):
        found = find_data(relative)
        if found is None:
            self.skipTest(f"no {relative} in the data folders; set TRIREME_DATA")
        return found

    # Fixed point moves the losses of these few steps by less than a hundredth (docs/guide/kunlun.md has the bands of
    # longer trainings); a product that is wrong moves them by far more.
    def trains_alike(self, name, *arguments):
        cpu, _ = self.run_example(name, *arguments)
        for card in CARDS:
            with self.subTest(card=card):
                xpu, _ = self.run_example(name, *arguments, card=card)
                self.assertEqual(xpu["steps"], cpu["steps"])
                self.assertAlmostEqual(xpu["loss"] / cpu["loss"], 1.0, delta=0.01)

    def test_iris(self):
        self.data("datasets/iris")
        self.trains_alike("iris", "--epochs", 10)

    def test_mnist(self):
        self.data("datasets/mnist")
        self.trains_alike("mnist", "--epochs", 1, "--rows", 500)

    def test_char_gpt(self):
        self.data("datasets/text")
        self.trains_alike("char_gpt", "--steps", 2, "--batch", 4, "--context", 32)

    def test_resnet18_cifar(self):
        self.data("datasets/cifar10")
        self.trains_alike("resnet18_cifar", "--epochs", 1, "--rows", 100, "--width", 8)

    def test_lprnet(self):
        weights = self.data("ocr/lprnet/Final_LPRNet_model.pth")
        with tarfile.open(weights.parent / "images.tar") as archive:
            archive.extractall(self.path / "plates")
        labels = self.path / "labels.tsv"
        rows = (weights.parent / "labels.tsv").read_text(encoding="utf-8").splitlines()[:101]
        labels.write_text("\n".join(rows) + "\n", encoding="utf-8")
        arguments = ("--weights", weights, "--pictures", self.path / "plates", "--labels", labels)
        cpu, _ = self.run_example("lprnet", *arguments)
        for card in CARDS:
            xpu, _ = self.run_example("lprnet", *arguments, card=card)
            self.assertAlmostEqual(xpu["accuracy"], cpu["accuracy"], delta=0.02)

    def test_find_text(self):
        model = self.data("paddle-models/ppocr_v3_det")
        arguments = ("--model", model, "--picture", self.data("ocr/mmocr_demo/demo_text_det.jpg"), "--side", 320,
                     "--drawn", self.path / "found.png")
        _, expected = self.run_example("find_text", *arguments)
        self.assertIn("rectangles", expected)
        for card in CARDS:
            _, found = self.run_example("find_text", *arguments, card=card)
            self.assertEqual(found.splitlines()[0], expected.splitlines()[0])


if __name__ == "__main__":
    unittest.main()

"""What `./dev new-op` writes is a declaration that opgen.py reads and the compiler takes."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]


class NewOp(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        shutil.copytree(ROOT / "tools", self.root / "tools")
        shutil.copytree(ROOT / "trireme/ops", self.root / "trireme/ops")

    def new_op(self, *arguments):
        return subprocess.run([sys.executable, self.root / "tools/new_op.py", *arguments], capture_output=True, text=True)

    def test_compiles(self):
        run = self.new_op("a_new_op", "linear")
        self.assertEqual(run.returncode, 0, run.stderr)
        generated = self.root / "generated/trireme"
        subprocess.run([sys.executable, self.root / "tools/opgen.py", self.root / "trireme/ops", generated], check=True)
        self.assertIn("Value a_new_op(const Value& x, double scale = 1", (generated / "ops/ops.h").read_text())
        source = self.root / "trireme/ops/linear/a_new_op.op.cc"
        compiler = [os.environ.get("CXX", "g++"), "-std=c++20", "-fsyntax-only", "-Werror=missing-field-initializers",
                    f"-I{generated.parent}", f"-I{ROOT}"]
        good = subprocess.run([*compiler, source], capture_output=True, text=True)
        self.assertEqual(good.returncode, 0, good.stderr)
        # Each answer is demanded by the compiler: take one line out and it refuses. (The flag is g++'s; see the build.)
        text = source.read_text()
        for question in (".rules", ".gradient", ".accuracy", ".cases"):
            lines = [line for line in text.splitlines() if not line.strip().startswith(question + " =")]
            source.write_text("\n".join(lines))
            bad = subprocess.run([*compiler, source], capture_output=True, text=True)
            self.assertNotEqual(bad.returncode, 0, f"{question} left out compiles")

    def test_refuses(self):
        self.assertIn("no family 'lineal'", self.new_op("a_new_op", "lineal").stderr)
        self.assertIn("no name for an op", self.new_op("A-new-op", "linear").stderr)
        self.assertIn("already: trireme/ops/linear/matmul.op.cc", self.new_op("matmul", "linear").stderr)


if __name__ == "__main__":
    unittest.main()

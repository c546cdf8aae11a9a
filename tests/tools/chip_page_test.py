"""tools/chip_page.py: the page says what the card says."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "chip_page.py"
CARD = {
    "chip": "mychip",
    "vendor": "Me",
    "device": "One",
    "level": "trains",
    "why_not_more": "it is shy",
    "parts": {"C0": {"pass": 8}, "C2": {"pass": 5, "unsupported": 3}},
    "ops": {
        "add": {"f32": {"native": 4}, "f64": {"unsupported": 2}},
        "mul": {"f32": {"native after conversion": 4}, "i32": {"native": 1}},
        "sin": {"f32": {"unsupported": 4}},
    },
    "figures": {"launch latency": {"ns": 1500}, "roofline": {"add": {"ns": 2000, "roofline_share": 0.25}}},
}


class ChipPage(unittest.TestCase):
    def page(self, card, *arguments):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "card.json").write_text(card)
        (folder / "published.txt").write_text("# a list\nadd_op fh add\nmul_op i mul\nsin_op f sin\nroll f -\n")
        (folder / "models.md").write_text("# Models of mychip\n\n## Rows\n\n| row | verdict |\n|---|---|\n| mlp | pass |\n")
        output = folder / "page.md"
        given = [str(a).replace("FOLDER", str(folder)) for a in arguments]
        done = subprocess.run(
            [sys.executable, TOOL, folder / "card.json", *given, "--output", output], capture_output=True, text=True
        )
        return done, output.read_text() if output.exists() else ""

    def test_says_what_the_card_says(self):
        done, text = self.page(
            json.dumps(CARD), "--published", "FOLDER/published.txt", "--models", "FOLDER/models.md"
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("**Certified: trains.** Not more because: it is shy.", text)
        self.assertIn("2 of 3 ops", text)
        self.assertIn("| f32 | add |", text)
        self.assertIn("| f32 i32 | mul |", text)
        self.assertIn("By their parts or on the CPU: sin.", text)
        self.assertIn("Of 4 operators", text)
        self.assertIn("2 are a kernel of the chip here, 1 are computed by their parts, and 1 have no", text)
        self.assertIn("add_op (f16)", text)  # published for half, which the chip has not
        self.assertIn("### Rows", text)
        self.assertIn("| add | 2.0 | 25.0 % |", text)

    def test_refuses_what_is_no_card(self):
        for card in ("not json", "{}"):
            done, text = self.page(card)
            self.assertEqual(done.returncode, 1)
            self.assertIn("card of `trireme certify --json`", done.stderr)
            self.assertEqual(text, "")


if __name__ == "__main__":
    unittest.main()

"""The floors check on small houses built in a temporary folder."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
FLOORS = """
[floors]
"trireme/base" = 0   # the ground
"trireme/ir" = 2
"trireme/chip" = 2
"trireme/runtime" = 5
"cli" = 9
[sideways]
"trireme/ir -> trireme/chip" = "for this test"
[chips]
may_include = ["trireme/base", "trireme/chip"]
[names]
"""


class CheckFloors(unittest.TestCase):
    def check(self, files, floors=FLOORS):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"floors.toml": floors, "chips/alpha/CMakeLists.txt": "", **files}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            run = subprocess.run([sys.executable, ROOT / "tools/check_floors.py", root], capture_output=True, text=True)
            self.assertEqual(run.stderr, "")
            self.assertEqual(run.returncode, 1 if run.stdout else 0)
            return run.stdout.splitlines()

    def test_downward_and_own_includes_pass(self):
        self.assertEqual(self.check({
            "trireme/runtime/a.cc": '#include <vector>\n#include "trireme/runtime/a.h"\n#include "trireme/ir/node.h"\n',
            "cli/main.cc": '#include "trireme/runtime/a.h"\n',
        }), [])

    def test_upward_include_is_named_with_its_line(self):
        (line,) = self.check({"trireme/base/a.h": '#pragma once\n#include "trireme/ir/node.h"\n'})
        self.assertTrue(line.startswith("trireme/base/a.h:2: trireme/base may not include trireme/ir/node.h"), line)

    def test_sideways_needs_an_arrow(self):
        self.assertEqual(self.check({"trireme/ir/a.cc": '#include "trireme/chip/chip.h"\n'}), [])
        self.assertEqual(len(self.check({"trireme/chip/a.cc": '#include "trireme/ir/node.h"\n'})), 1)

    def test_chips_see_only_the_abi_and_themselves(self):
        self.assertEqual(self.check({
            "chips/alpha/alpha.cc": '#include "chips/alpha/alpha.h"\n#include "trireme/chip/chip.h"\n',
        }), [])
        self.assertEqual(len(self.check({"chips/alpha/alpha.cc": '#include "trireme/ir/node.h"\n'})), 1)
        self.assertEqual(len(self.check({"chips/alpha/alpha.cc": '#include "chips/beta/beta.h"\n'})), 1)
        self.assertEqual(len(self.check({"cli/main.cc": '#include "chips/alpha/alpha.h"\n'})), 1)

    def test_unknown_folder(self):
        (line,) = self.check({"trireme/attic/a.cc": ""})
        self.assertIn("stands on no floor", line)

    def test_names_of_chips_in_strings_only(self):
        (line,) = self.check({"trireme/runtime/a.cc": 'int x;\nauto d = "alpha:0";\n'})
        self.assertTrue(line.startswith("trireme/runtime/a.cc:2:"), line)
        self.assertEqual(len(self.check({"trireme/runtime/a.cc": 'auto d = R"x(runs on "alpha")x";\n'})), 1)
        self.assertEqual(self.check({
            "trireme/runtime/a.cc": '// the chip "alpha"\n/* "alpha" */ auto d = "alphabet", e = "my_alpha"; char c = \'"\';\n',
            "cli/main.cc": 'auto d = "alpha";\n',
        }), [])

    def test_allowed_name_needs_a_reason_and_a_use(self):
        source = {"trireme/runtime/a.cc": 'auto d = "alpha";\n'}
        self.assertEqual(self.check(source, FLOORS + '"trireme/runtime/a.cc: alpha" = "the fallback"\n'), [])
        self.assertIn("needs a reason", self.check(source, FLOORS + '"trireme/runtime/a.cc: alpha" = ""\n')[0])
        self.assertIn("take it out", self.check({}, FLOORS + '"trireme/runtime/a.cc: alpha" = "the fallback"\n')[0])

    def test_the_house_itself(self):
        run = subprocess.run([sys.executable, ROOT / "tools/check_floors.py"], capture_output=True, text=True)
        self.assertEqual(run.stdout, "")


if __name__ == "__main__":
    unittest.main()

"""The comparison with other frameworks: its statistics, its filter, its sides and its reports. Needs no framework."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import compare  # noqa: E402
import pairs  # noqa: E402
import report  # noqa: E402
import workloads  # noqa: E402

FAST, SLOW = 300e9, 150e9


def pair(ours_ms, peer_ms, foreign=0.0, ours_probe=FAST, peer_probe=FAST):
    return pairs.Pair(pairs.Slice(ours_ms, 0.0, ours_probe), pairs.Slice(peer_ms, foreign, peer_probe))


class Statistics(unittest.TestCase):
    def test_quantiles_are_linear_between_neighbours(self):
        self.assertEqual(pairs.quantile([3.0, 1.0, 2.0], 0.5), 2.0)
        self.assertAlmostEqual(pairs.quantile(range(11), 0.1), 1.0)
        self.assertAlmostEqual(pairs.quantile([0.0, 10.0], 0.25), 2.5)
        self.assertEqual(pairs.quantile([7.0], 0.9), 7.0)

    def test_the_ratio_is_the_median_of_ratios_and_above_one_where_ours_is_faster(self):
        # The medians of the times, 2 and 4, would say 2.
        given = [pair(1.0, 4.0)] * 4 + [pair(2.0, 4.0)] * 2 + [pair(4.0, 4.0)] * 2 + [pair(8.0, 80.0)]
        figures = pairs.summarise(given)
        self.assertEqual(figures["ratio"], 4.0)
        self.assertLess(figures["p10"], figures["ratio"])
        self.assertGreater(figures["p90"], figures["ratio"])

    def test_disturbed_pairs_do_not_count(self):
        good, loaded, mixed = pair(1.0, 2.0), pair(1.0, 90.0, foreign=0.5), pair(1.0, 70.0, peer_probe=SLOW)
        figures = pairs.summarise([good] * 6 + [loaded] * 8 + [mixed] * 4)
        self.assertEqual((figures["ratio"], figures["p10"], figures["p90"]), (2.0, 2.0, 2.0))
        self.assertEqual(figures["peer_ms"], 2.0)
        state = figures["state"]
        self.assertEqual((state["pairs"], state["dropped_foreign_load"], state["dropped_state_changed"]), (18, 8, 4))
        self.assertEqual(state["used"], "undisturbed")

    def test_pairs_that_are_slow_on_both_sides_count_and_are_told(self):
        figures = pairs.summarise([pair(1.0, 3.0)] * 5 + [pair(2.0, 6.0, 0.0, SLOW, SLOW)] * 15)
        self.assertEqual(figures["state"]["slow_share"], 0.75)
        self.assertEqual(figures["state"]["dropped_state_changed"], 0)

    def test_without_enough_undisturbed_pairs_all_are_used_and_that_is_said(self):
        figures = pairs.summarise([pair(1.0, 2.0)] * 4 + [pair(1.0, 3.0, foreign=1.0)] * 27)
        self.assertEqual((figures["ratio"], figures["state"]["used"]), (3.0, "all"))
        self.assertEqual(figures["state"]["dropped_foreign_load"], 27)
        self.assertEqual(report.used(figures["state"]), "all 31, of which 27 disturbed")


class Load(unittest.TestCase):
    STAT = ("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 20 5000 7 1 2 3 0 0\ncpu1 200 0 30 4000 0 0 0 4 0 0\n"
            "cpu10 900 0 0 0 0 0 0 9 0 0\nintr 5\n")

    def test_processors_are_summed_without_idle_time(self):
        self.assertEqual(pairs.parse_processors(self.STAT, [0, 1]), (133 + 230, 7))
        self.assertEqual(pairs.parse_processors(self.STAT, [1]), (230, 4))

    def test_a_process_may_have_any_name(self):
        fields = "S 1 2 3 4 5 6 7 8 9 10 250 31 0 0"
        self.assertEqual(pairs.parse_process(f"77 (a) b (c) {fields}"), 281)

    def test_foreign_load_is_what_was_busy_and_not_ours(self):
        self.assertAlmostEqual(pairs.foreign_load(40, 2, 32, 0.2, 100), 0.5)
        self.assertEqual(pairs.foreign_load(30, 0, 32, 0.2, 100), 0.0)

    def test_a_busy_process_is_seen_unless_it_is_ours(self):
        spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            processors = sorted(os.sched_getaffinity(0))
            strangers, own = pairs.LoadMeter(processors, []), pairs.LoadMeter(processors, [spinner.pid])
            time.sleep(0.2)
            before, before_own = strangers.read(), own.read()
            time.sleep(0.5)
            after, after_own = strangers.read(), own.read()
            foreign = strangers.between(before, after, 0.5)
            self.assertGreater(foreign, 0.1)
            self.assertLess(own.between(before_own, after_own, 0.5), foreign)
        finally:
            spinner.kill()
            spinner.wait()


SIDE = """
import sys
print("ready 1.2", flush=True)
for line in sys.stdin:
    if line.startswith("run"): print(*[3000000 + 1000000 * i * i for i in range(int(line.split()[1]))], flush=True)
    else: raise SystemExit("no such order")
"""


class Sides(unittest.TestCase):
    def test_a_side_is_asked_stopped_and_tells_why_it_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            side = compare.Side([sys.executable, "-c", SIDE], sorted(os.sched_getaffinity(0))[:2], pathlib.Path(folder), 60)
            try:
                self.assertEqual(side.version, "1.2")
                self.assertAlmostEqual(side.run(3), 14 / 3)
                time.sleep(0.1)
                state = pathlib.Path(f"/proc/{side.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
                self.assertEqual(state, "T")  # stopped
                with self.assertRaisesRegex(compare.Failed, "no such order"):
                    side.ask("dance")
            finally:
                side.close()

    def test_a_side_that_does_not_answer_is_given_up(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(compare.Failed, "no answer within 0.5 s"):
                compare.Side(["sleep", "60"], sorted(os.sched_getaffinity(0))[:1], pathlib.Path(folder), 0.5)

    def test_wrong_use_is_refused(self):
        for arguments, expected in ((["--peers", "abacus"], "no peer 'abacus'"),
                                    (["--peers", "torch", "--workload", "chess"], "no workload 'chess'"),
                                    (["--peers", "torch", "--workload", "mnist", "--precision", "int8"], "in int8"),
                                    (["--peers", "libtorch", "--workload", "mnist"], "one of these peers"),
                                    (["--peers", "one-thread", "--threads", "1"], "one of these peers"),
                                    (["--peers", "torch", "--resume"], "--output")):
            done = subprocess.run([sys.executable, ROOT / "bench/compare.py", *arguments], capture_output=True,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(expected, done.stderr)


class Reports(unittest.TestCase):
    ABOUT = {"processor": "Abacus", "processors": 2, "kernel": "6.1", "date": "2026-01-02", "commit": "abc"}

    def rows(self):
        done = {"workload": "a < b", "precision": "f32", "threads": 2, "peer": "p", "version": "1", "limit_share": 0.25,
                "memory_mb": 3.0, "memory_plan_ratio": 1.125, **pairs.summarise([pair(2.0, 1.0)] * 9)}
        missing = {"workload": "c", "precision": "f32", "threads": 2, "peer": "q", "version": "missing", "ratio": None,
                   "error": "not installed"}
        return [done, missing]

    def scaling(self):
        return [{**self.rows()[0], "peer": workloads.ONE_THREAD, **pairs.summarise([pair(1.0, 1.5)] * 9)}]

    def test_the_table_shows_losses_and_missing_peers(self):
        text = report.markdown(self.rows(), self.ABOUT)
        self.assertIn("| a < b | f32 | 2 | p | 1 | **0.50** | 0.50 .. 0.50 | 2.000 | 1.000 | 25.0% | 3.00 | 1.12 | 9 of 9 |",
                      text)
        self.assertIn("| c | f32 | 2 | q | missing | not installed |", text)
        self.assertIn("Faster in 0 of 1 comparisons", text)
        self.assertEqual(len({line.count("|") for line in text.splitlines() if line.startswith(("| a", "| c"))}), 2)
        self.assertNotIn("against one", text)

    def test_the_best_peer_is_the_one_with_the_least_ratio(self):
        [done, missing] = self.rows()
        second = {**done, "peer": "better", "ratio": 0.25}
        self.assertEqual(report.best_peers([done, second, missing, *self.scaling()]), [second])
        self.assertIn("| a < b | f32 | 2 | better | **0.25** |", report.markdown([done, second], self.ABOUT))

    def test_one_thread_is_no_competitor(self):
        text = report.markdown(self.rows() + self.scaling(), self.ABOUT)
        self.assertIn("Faster in 0 of 1 comparisons", text)
        self.assertIn("| a < b | f32 | 2 | **1.50** | 1.50 .. 1.50 | 1.000 | 1.500 |", text)
        self.assertEqual(report.svg(self.rows()), report.svg(self.rows() + self.scaling()))
        self.assertNotIn("best peer", report.markdown(self.scaling(), self.ABOUT))

    def test_small_ratios_keep_their_digits(self):
        self.assertEqual([report.times(x) for x in (123.456, 0.5, 0.0042)], ["123.46", "0.50", "0.0042"])

    def test_the_chart_is_xml_with_a_bar_per_measured_row(self):
        image = xml.etree.ElementTree.fromstring(report.svg(self.rows()))
        bars = [e for e in image.iter("{http://www.w3.org/2000/svg}rect") if e.get("fill") == "#b5532a"]
        self.assertEqual(len(bars), 1)
        self.assertAlmostEqual(float(bars[0].get("width")), 260.0)  # the farthest ratio fills its half

    def test_files_are_written_together(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write(self.rows(), self.ABOUT, pathlib.Path(folder) / "out" / "today.v1")
            names = sorted(path.name for path in (pathlib.Path(folder) / "out").iterdir())
            self.assertEqual(names, ["today.v1.json", "today.v1.md", "today.v1.svg"])
            rows = json.loads((pathlib.Path(folder) / "out" / "today.v1.json").read_text())
            self.assertEqual(rows[0]["ratio"], 0.5)


class Resume(unittest.TestCase):
    """With a peer that is always missing, so that nothing is run."""

    def run_again(self, rows):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "all.json").write_text(json.dumps(rows), encoding="utf-8")
            subprocess.run([sys.executable, ROOT / "bench/compare.py", "--peers", "llama.cpp", "--workload",
                            "GEMM 1x4096x4096", "--threads", "1", "--output", f"{folder}/all", "--resume"],
                           capture_output=True, check=True)
            return json.loads((pathlib.Path(folder) / "all.json").read_text(encoding="utf-8"))

    def row(self, **changed):
        return {"workload": "GEMM 1x4096x4096", "precision": "f32", "threads": 1, "peer": "llama.cpp", "version": "1",
                "limit_share": 0.5, "memory_mb": 1.0, "memory_plan_ratio": 1.0, **pairs.summarise([pair(1.0, 2.0)] * 9),
                **changed}

    def test_rows_with_figures_are_kept(self):
        rows = [self.row(), self.row(workload="another")]
        self.assertEqual(self.run_again(rows), rows)

    def test_rows_without_are_done_again(self):
        [row] = self.run_again([self.row(ratio=None, error="out of patience")])
        self.assertIn("PyPI", row["error"])

    def test_figures_of_other_threads_are_of_another_row(self):
        again, other = self.run_again([self.row(threads=2)])
        self.assertEqual((again["ratio"], other["threads"]), (None, 2))


class Workloads(unittest.TestCase):
    def test_names_differ_and_peers_and_tolerances_exist(self):
        names = [(each.name, each.precision) for each in workloads.WORKLOADS]
        self.assertEqual(len(names), len(set(names)))
        for each in workloads.WORKLOADS:
            self.assertGreater(each.tolerance, 0)
            self.assertLessEqual(set(each.peers), set(compare.COMMANDS))


if __name__ == "__main__":
    unittest.main()

"""What examples/tiny_engine/plot does with results that are odd, or with nobody to read.

usage: plot.py PLOT, the script
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PLOT = sys.argv.pop(1)


def run_of(trace="agents", policy="lru"):
    estimate = {"p50": 2.0, "p95": 4.0}
    return {"trace": trace, "policy": policy, "requests": 3, "ttft_ms": [1.0, 2.0, 4.0],
            "wall_ms": {"p95": 4.0, "estimated_by_tokens": estimate,
                        "estimated_by_flops": estimate}}


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "needs matplotlib")
class Plot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def command(self, *runs, text=None):
        results = self.folder / "runs.jsonl"
        lines = "".join(json.dumps(run) + "\n" for run in runs)
        results.write_text(lines if text is None else text, "utf-8")
        return [sys.executable, "-B", PLOT, str(results), "--out", str(self.folder), "--format",
                "svg"]

    def drawn(self, *runs):
        """The figures' text, by name."""
        done = subprocess.run(self.command(*runs), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {path.stem: path.read_text("utf-8") for path in self.folder.glob("*.svg")}

    def refused(self, *runs, text=None):
        """The message without its beginning, which names the program."""
        done = subprocess.run(self.command(*runs, text=text), capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Aplot: [^\n]+\n\Z")
        return done.stderr.removeprefix("plot: ").strip()

    def test_a_figure_for_each_trace(self):
        figures = self.drawn(run_of(), run_of(policy="gdsf"), run_of("chat"))
        self.assertEqual(set(figures), {"agents-clock", "chat-clock"})
        self.assertIn("gdsf", figures["agents-clock"])
        self.assertNotIn("gdsf", figures["chat-clock"])

    def test_results_that_hold_none_are_said_so(self):
        for text in ("", "\n", "\ufeff"):
            self.assertTrue(self.refused(text=text).endswith("runs.jsonl: holds no results"))

    def test_other_lines_are_said_so(self):
        for text in ("{}", "no JSON", "[1]"):
            self.assertIn("is not what serve --format json writes", self.refused(text=text))

    def test_a_name_is_no_formula(self):
        for trace in ("a$b_{$c", "$x", "$^$"):
            (figure,) = self.drawn(run_of(trace)).values()
            self.assertIn(f"{trace}: 3 requests", figure)
            for path in self.folder.glob("*.svg"):
                path.unlink()

    def test_no_figure_replaces_another_trace(self):
        why = self.refused(run_of("a b"), run_of("a_b"))
        self.assertTrue(why.endswith("a_b-clock.svg would show both a b and a_b"))

    def test_figures_are_written_even_if_nobody_reads_where(self):
        with subprocess.Popen(self.command(run_of(), run_of("chat")), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as done:
            done.stdout.close()
            self.assertEqual(done.stderr.read(), b"")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(list(self.folder.glob("*.svg"))), 2)


if __name__ == "__main__":
    unittest.main()

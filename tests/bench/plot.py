"""What bench/replay/plot reads, and what its figures say of it.

usage: plot.py PLOT, the script
"""

import argparse
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PLOT = sys.argv.pop(1)
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("plot", PLOT)
plot = importlib.util.module_from_spec(importlib.util.spec_from_loader("plot", loader))
loader.exec_module(plot)

GIGABYTE = 10**9


def run_of(policy="lru", capacity=GIGABYTE, **others):
    """A result as versions before capacity_share wrote it, and what else is given."""
    return dict(trace="chat", policy=policy, capacity_bytes=capacity, token_hit_rate=0.5,
                flops_asked=4e15, flops_saved=1e15, ttft_p50_ms=20, ttft_p95_ms=70) | others


def write(folder, runs):
    path = pathlib.Path(folder) / "runs.jsonl"
    path.write_text("".join(json.dumps(run) + "\n" for run in runs), "utf-8")
    return str(path)


class Reading(unittest.TestCase):
    def read(self, *runs):
        with tempfile.TemporaryDirectory() as folder:
            return plot.read_results(write(folder, runs))

    def test_with_and_without_a_share(self):
        runs = [run_of(), run_of(capacity_share=None), run_of(capacity_share=0.05)]
        self.assertEqual(self.read(*runs), runs)

    def test_a_share_is_a_number(self):
        for wrong in ("5%", True, [0.05]):
            with self.assertRaisesRegex(plot.PlotError, "runs.jsonl:2: field 'capacity_share' is"):
                self.read(run_of(), run_of(capacity_share=wrong))


    def test_percentiles_are_a_list_of_numbers(self):
        for wrong in (5, "5 6", [1, None], {}):
            with self.assertRaisesRegex(plot.PlotError, "field 'ttft_percentiles_ms' is"):
                self.read(run_of(ttft_percentiles_ms=wrong))

    def test_a_number_is_one(self):
        with self.assertRaisesRegex(plot.PlotError, "NaN is no number"):
            self.read(run_of(ttft_p95_ms=float("nan")))

    def test_what_editors_add_is_not_taken_for_a_result(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write(folder, [run_of()])
            text = pathlib.Path(path).read_text("utf-8")
            pathlib.Path(path).write_text("\ufeff" + text + "\n", "utf-8")
            self.assertEqual(plot.read_results(path), [run_of()])


class Sizes(unittest.TestCase):
    def test_as_the_replay_takes_them(self):
        for text, size in (("5GB", 5e9), ("5 GiB", 5 * 2**30), ("1.5tb", 1.5e12), ("100B", 100),
                           ("20000", 20000), ("3e9", 3e9)):
            self.assertEqual(plot.size(text), size)

    def test_what_is_none(self):
        for text in ("", "5%", "GB", "0GB", "-1", "nan", "1.2.3GB", "5QB", "1iB"):
            with self.assertRaises(argparse.ArgumentTypeError):
                plot.size(text)


class Labels(unittest.TestCase):
    def test_a_share_that_all_runs_of_the_size_have(self):
        twentieth = run_of(capacity_share=0.05)
        other = run_of(capacity=2 * GIGABYTE, capacity_share=0.125)
        self.assertEqual(plot.share_label(GIGABYTE, [twentieth, twentieth, other]), "5 %")
        self.assertEqual(plot.share_label(2 * GIGABYTE, [twentieth, other]), "12.5 %")
        for without in (run_of(), run_of(capacity_share=None), run_of(capacity_share=0.06)):
            self.assertEqual(plot.share_label(GIGABYTE, [twentieth, without]), "")


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "needs matplotlib")
class Figures(unittest.TestCase):
    def drawn(self, *runs, options=()):
        """The figures' text, by kind."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, PLOT, write(folder, runs), "--out", folder,
                                   "--format", "svg", *options], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return {path.stem.removeprefix("chat-"): path.read_text("utf-8")
                    for path in pathlib.Path(folder).glob("*.svg")}

    def test_sizes_have_their_shares_where_those_were_asked_for(self):
        policies, sizes = ("lru", "gdsf"), ((GIGABYTE, 0.05), (4 * GIGABYTE, 0.2))
        figures = self.drawn(*(run_of(policy, size, capacity_share=share)
                               for policy in policies for size, share in sizes))
        for kind in ("hit-rate", "flops", "gain"):
            self.assertIn(">5 %<", figures[kind])
            self.assertIn("its share of what an infinite one holds", figures[kind])
        self.assertIn("at 4 GB, 20 % of infinite", figures["ttft"])

    def test_results_without_shares(self):
        figures = self.drawn(*(run_of(policy, size) for policy in ("lru", "gdsf")
                               for size in (GIGABYTE, 4 * GIGABYTE)))
        self.assertEqual(set(figures), {"hit-rate", "flops", "gain", "ttft"})
        for text in figures.values():
            self.assertNotIn("infinite", text)

    def test_each_ceiling_has_its_own_name(self):
        no_limit = {"capacity": None, "flops_saved": 3e15}
        runs = (run_of(), run_of("infinite", **no_limit), run_of("infinite:4096", **no_limit),
                run_of("none", None, flops_saved=0))
        figures = self.drawn(*runs)
        for kind in ("hit-rate", "flops"):
            self.assertIn(">infinite<", figures[kind])
            self.assertIn(">infinite:4096<", figures[kind])
            self.assertNotIn(">none<", figures[kind])
        chosen = self.drawn(*runs, options=("--policies", "lru,infinite:4096"))
        self.assertNotIn(">infinite<", chosen["flops"])

    def test_times_to_first_token_are_a_distribution_where_results_have_one(self):
        percentiles = {"ttft_percentiles_ms": [10 + i for i in range(21)]}
        figures = self.drawn(run_of(**percentiles), run_of("gdsf", **percentiles))
        self.assertIn("requests answered by then", figures["ttft"])
        self.assertNotIn("median", figures["ttft"])
        figures = self.drawn(run_of(**percentiles), run_of("gdsf"))
        self.assertIn("median", figures["ttft"])

    def test_gains_have_their_sign(self):
        figures = self.drawn(run_of(), run_of("gdsf", flops_saved=2e15))
        self.assertIn(">+100 %<", figures["gain"])
        self.assertIn("of what lru saves", figures["gain"])

    def test_figures_are_written_even_if_nobody_reads_where(self):
        with tempfile.TemporaryDirectory() as folder:
            script = [sys.executable, PLOT, write(folder, [run_of(), run_of("gdsf")]),
                      "--out", folder]
            with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
                done.stdout.close()
                self.assertEqual(done.stderr.read(), b"")
            self.assertEqual(done.returncode, 0)
            self.assertEqual(len(list(pathlib.Path(folder).glob("*.png"))), 4)


if __name__ == "__main__":
    unittest.main()

"""What the repository's scripts refuse, and how: at once, with a line that says why.

    tests/scripts.py
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "mutation"))

import operators  # noqa: E402


class Scripts(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def refuses(self, words, script, *arguments, code=2, **environment):
        done = subprocess.run([ROOT / script, *arguments], capture_output=True, text=True,
                              timeout=60, cwd=self.scratch, env={**os.environ, **environment})
        self.assertIn(words, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(done.returncode, code, done.stderr)

    def test_mutate(self):
        mutate = "tests/mutation/mutate"
        for arguments, words in (
                (["--only", "mechanical", "--smoke"], "--smoke is about"),
                (["--only", "mechanical", "--name", "free"], "--name is about"),
                (["--smoke", "--name", "free"], "not allowed with"),
                (["--at-least", "nan"], "'nan' is not a number from 0 to 100"),
                (["--only", "mechanical", "--report", "no/r"], "no/r: No such file or directory"),
                (["--smoke", "--json", "no/j"], "no/j: No such file or directory")):
            self.refuses(words, mutate, *arguments)
        self.refuses("there is no no-compiler", mutate, "--smoke", CXX="no-compiler -m64")
        self.refuses("No closing quotation", mutate, "--smoke", CXX='"c++')

    @unittest.skipUnless((ROOT / ".ci").is_dir(), "a copy without .ci")
    def test_ci(self):
        for scale in ("x", "0", "0.0", "0,1", "-1", "nan", "1e3"):
            self.refuses(f"not '{scale}'", ".ci/nightly", scale)
        for arguments in ([], ["folder"], ["folder", "0"], ["folder", "x"]):
            self.refuses("usage: .ci/fuzz FOLDER SECONDS", ".ci/fuzz", *arguments)

    def test_coverage(self):
        path = self.scratch / "bin" # with python, and nothing else
        path.mkdir()
        (path / "python3").symlink_to(sys.executable)
        self.refuses("coverage: there is no cmake", "tests/coverage", "--build", "build",
                     code=1, PATH=str(path))

    def test_measure(self):
        for option in ("--timeout=-1", "--timeout=x", "--jobs=0", "--min-time=nan"):
            self.refuses("is not a", "bench/gpu/measure", option)
        build, results = self.scratch / "build", self.scratch / "results"
        (build / "bin").mkdir(parents=True)
        (build / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
        (build / "bin" / "nvidia-smi").chmod(0o755)
        path = f"{build / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.refuses("failed: bench", "bench/gpu/measure", "--only", "bench", "--build-dir", build,
                     code=1, OUT=str(results), PATH=path)
        self.assertEqual(list(results.glob("*.json")), [])


class Operators(unittest.TestCase):
    def test_declarations_are_not_dropped(self):
        code = """struct lease {
    lease() = default;
    lease(lease const&) = delete;
    lease(lease&&) noexcept = default;
    struct nothing {};
    MARCONI_NO_UNIQUE_ADDRESS Observer observer_;
    MARCONI_NO_UNIQUE_ADDRESS mutable streams<Store> streams_;
    std::vector<page_id> blocks_, states_;
    std::uint32_t pins : 30 = 0;
    void end() {
        count = 0;
        pool.release(pages_);
    }
};
"""
        dropped = [code[start:end] for _, start, end, _ in operators.dropped(code)]
        self.assertEqual(dropped, ["count = 0;", "pool.release(pages_);"])


if __name__ == "__main__":
    unittest.main()

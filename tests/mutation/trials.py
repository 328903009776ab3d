"""Programs of the test suite, built on woven headers and run once for each patch."""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading

from patches import in_groups, write_tree

CUDA = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "include"
FLAGS = ["-std=c++20", "-w", "-g0", "-pthread", "-ffp-contract=off", "-D_GLIBCXX_ASSERTIONS",
         "-Wno-narrowing"]
NO_MEMORY = "tests/support/no_memory.cpp"
MEMORY_LIMIT = 4 << 30  # of a program; some mutants ask for all there is

TELLING = re.compile(
    r"failed|seed \d+(, step \d+)?: |[Aa]ssert|ERROR|not reached|runtime error|terminate called"
)


# What the random histories play on.
PLAYED = ("cache/", "core/", "index/", "memory/", "model/", "policy/")


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    sources: tuple  # patterns
    folders: tuple = PLAYED  # patches to headers elsewhere are none of its business
    arguments: tuple = ()
    flags: tuple = ("-O1",)
    includes: tuple = ()  # folders of the repository, beside include/ and tests/
    catch: bool = False
    sanitized: bool = False


def suite(name, *sources, folders, flags=("-O0",), includes=()):
    return Program(name, sources, folders, ("--abort", "-r", "compact"), flags, includes, True)


HISTORIES = Program("histories", ("tests/histories/main.cpp",), arguments=("--steps", "110000"))
FAULTS = Program("histories with faults", ("tests/histories/faults.cpp", NO_MEMORY),
                 arguments=("--steps", "60000"))
SANITIZED = Program("histories under ASan and UBSan", ("tests/histories/main.cpp",),
                    arguments=("--steps", "40000"), sanitized=True,
                    flags=("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
CONCURRENCY = suite("concurrency", "tests/concurrency/*.cpp", folders=("cache/", "core/"),
                    flags=("-O0", "-DMARCONI_CHECK_THREADS=1"))
STREAMS = suite("streams", "tests/gpu/emulated/*.cpp", NO_MEMORY,
                folders=("cache/", "gpu/", "memory/"),
                flags=("-O0", "-isystem", str(CUDA)), includes=("examples/c_interface", "bench"))
# Each catches the most in the time it takes; a patch that one catches is spared the others.
STAGES = [
    suite("core", "tests/core/*.cpp", folders=("core/",)),
    suite("fast math", "tests/fast_math/*.cpp", folders=("core/",), flags=("-O1", "-ffast-math")),
    suite("model", "tests/model/*.cpp", folders=("core/", "model/")),
    HISTORIES,
    suite("policy", "tests/policy/*.cpp", folders=("policy/",)),
    suite("copies on tiles", "tests/gpu/*.cpp", folders=("gpu/", "memory/")),
    suite("cache", "tests/cache/*.cpp", NO_MEMORY, folders=("cache/", "index/", "memory/")),
    suite("memory", "tests/memory/*.cpp", NO_MEMORY, folders=("memory/",), flags=("-O1",)),
    FAULTS,
    suite("index", "tests/index/*.cpp", NO_MEMORY, folders=("index/",), flags=("-O1",)),
    CONCURRENCY,
    suite("tune", "tests/tune/*.cpp", NO_MEMORY, folders=("cache/", "tune/")),
    *([STREAMS] if (CUDA / "cuda_runtime_api.h").is_file() else []),
    suite("requests built to hurt", "tests/hostile/*.cpp", folders=("cache/", "index/", "memory/"),
          flags=("-O1",)),
    SANITIZED,
]


class DoesNotCompile(Exception):
    def __init__(self, patches, output):
        self.patches = patches
        super().__init__(output)


class Broken(Exception):
    """The suite itself is not as it should be: there is nothing to compare patches with."""


class Bench:
    """Where programs are built and run."""

    def __init__(self, root, scratch, compiler, jobs, say):
        self.root, self.scratch, self.compiler, self.say = root, scratch, compiler, say
        self.pool = concurrent.futures.ThreadPoolExecutor(jobs)
        self.trees = 0
        self.objects = set()  # of tests/support, which knows nothing of marconi

    def judge(self, patches, stages=STAGES):
        """What caught each patch: {number: (program, what it said)}. Numbers that are missing
        survived. Patches that do not compile are left out of both and returned beside."""
        caught, broken = {}, set()
        for program in stages:
            left = [p for p in patches if p.number not in caught and p.number not in broken
                    and p.path.startswith(program.folders)]
            self.try_all(program, left, caught, broken)
        return caught, broken

    def try_all(self, program, left, caught, broken):
        groups = in_groups(left)
        while groups:
            group = groups.pop(0)
            try:
                binary = self.build(program, group)
            except DoesNotCompile as failed:
                lone = [p for p in failed.patches
                        if not p.alone and (self.lone_patches or p.initialises)]
                groups += [[dataclasses.replace(p, alone=True)] for p in lone]
                broken.update(p.number for p in failed.patches if p not in lone)
                rest = [p for p in group if p not in failed.patches]
                if rest:
                    groups.insert(0, rest)
                continue
            self.run_all(program, binary, group, caught)

    lone_patches = False  # whether a patch that cannot be woven is worth a program of its own

    def run_all(self, program, binary, group, caught):
        alone = group[0].alone
        normal = 5
        if not alone:
            red, said, normal = run(program, binary, 0, 60)
            if red:
                raise Broken(f"{program.name} fails without a patch: {said}")
        jobs = [(p, self.pool.submit(run, program, binary, p.number, normal)) for p in group]
        for done, (patch, job) in enumerate(jobs, 1):
            red, said, _ = job.result()
            if done % 25 == 0:
                self.say(f"{program.name}: {done} of {len(group)} tried")
            if red:
                caught[patch.number] = (program.name, said)
        self.say(f"{program.name}: {sum(p.number in caught for p in group)} of {len(group)} caught")
        binary.unlink()

    def build(self, program, group):
        self.trees += 1
        tree = self.scratch / f"tree{self.trees}"
        write_tree(self.root, tree, group)
        sources = [s for pattern in program.sources for s in sorted(self.root.glob(pattern))]
        if program.catch:
            sources.append(self.root / "tests/support/main.cpp")
        includes = [f"-I{self.root / folder}" for folder in program.includes]
        flags = [*FLAGS, *program.flags, *includes]
        jobs = [self.pool.submit(self.compile, s, tree, flags, program.catch) for s in sources]
        objects, errors = [], ""
        for job in jobs:
            result, output = job.result()
            objects.append(result)
            errors += output
        if errors:
            shutil.rmtree(tree)
            raise DoesNotCompile(culprits(errors, tree, group), errors[:2000])
        binary = self.scratch / f"program{self.trees}"
        linked = subprocess.run([*self.compiler, *flags, *objects, "-o", binary],
                                capture_output=True, text=True)
        if linked.returncode != 0:
            raise Broken(f"{program.name} does not link:\n{linked.stderr[-2000:]}")
        shutil.rmtree(tree)
        return binary

    def compile(self, source, tree, flags, catch):
        lasting = source.parent.name == "support"
        name = f"{source.parent.name}-{source.stem}"
        result = (self.scratch / f"{name}{abs(hash(tuple(flags)))}.o" if lasting
                  else tree / f"{name}.o")
        if lasting and result in self.objects:
            return result, ""
        done = subprocess.run(
            ["nice", "-n", "5", *self.compiler, *flags, "-include", tree / "include/mutation.hpp",
             "-I", tree / "include", "-I", self.root / "tests", "-c", source, "-o", result,
             *(["-ferror-limit=0"] if any("clang" in word for word in self.compiler) else [])],
            capture_output=True, text=True)
        if lasting and done.returncode == 0:
            self.objects.add(result)
        return result, done.stderr if done.returncode != 0 else ""


def culprits(errors, tree, group):
    """The patches on whose lines the compiler complained; if it did elsewhere, those on the way
    there."""
    for kinds in ("error", "error|note"):
        places = re.findall(rf"{re.escape(str(tree))}/include/marconi/(\S+?):(\d+):\d+: "
                            rf"(?:fatal )?(?:{kinds}):", errors)
        if kinds != "error":
            places += re.findall(rf"{re.escape(str(tree))}/include/marconi/(\S+?):(\d+):", errors)
        found = [p for p in group
                 if any(p.path == path and p.line <= int(line) <= p.last_line
                        for path, line in places)]
        if found or len(group) == 1:
            return found or group
    # A declaration that went is missed further down.
    for path, line in places:
        above = [p for p in group if p.path == path and p.last_line < int(line)]
        if above:
            return [max(above, key=lambda p: p.last_line)]
    raise Broken("the headers do not compile, and no patch is to blame:\n" + errors[:3000])


def run(program, binary, number, normal):
    """Whether the program turns red with that patch, what it said, and the seconds of CPU it took;
    ten times the normal ones are too many."""
    most = int(10 * normal) + 2

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if not program.sanitized:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        os.nice(5)

    running = subprocess.Popen([binary, *program.arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, preexec_fn=limit, text=True,
                               errors="replace", start_new_session=True,
                               env={**os.environ, "MUTANT": str(number),
                                    "ASAN_OPTIONS": "hard_rss_limit_mb=3000:detect_leaks=0"})

    def kill():  # Popen's own would reap it, and lose what it used
        os.kill(running.pid, signal.SIGKILL)

    timer = threading.Timer(10 * most + 60, kill)  # where it sleeps
    timer.start()
    said = ""
    for line in running.stdout:
        if TELLING.search(line):
            said = said or line.strip()
            if "step " in said:  # looking for a shorter history would take long
                kill()
    running.stdout.close()
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    timer.cancel()
    _, status, usage = os.wait4(running.pid, 0)
    code = running.returncode = os.waitstatus_to_exitcode(status)
    if not said and code in (-signal.SIGXCPU, -signal.SIGKILL):
        said = "hangs"
    return code != 0, said or f"ends with {code}", usage.ru_utime + usage.ru_stime

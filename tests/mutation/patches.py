"""Patches to headers, and trees of headers in which many of them wait for a switch.

A program that is compiled once for each of 200 patches spends its time compiling. So patches are
woven: all that do not overlap go into one copy of the headers, each behind `mutation::is(number)`,
and the program asks the environment which of them is on.
"""

import dataclasses
import pathlib
import re
import shutil

HEADERS = pathlib.Path("include/marconi")
SWITCH = """#pragma once
#include <cstdlib>
#include <type_traits>
namespace mutation {
inline int const chosen = std::getenv("MUTANT") ? std::atoi(std::getenv("MUTANT")) : 0;
constexpr bool is(int number) {
    return !std::is_constant_evaluated() && chosen == number;
}
inline bool is_at_run_time(int number) {
    return chosen == number;
}
} // namespace mutation
"""
# Of a constant: compilers try what initialises one at compile time, where `is` would be false for
# good. `is_at_run_time` makes them leave it; where there must be a constant, a patch stands alone.
INITIALISER = re.compile(r"\b(?:const\s*&?|constexpr\s[^;(){}]*?)\s*"
                         r"\b(?!noexcept|override)\w+\s*[={][^;]*$")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Patch:
    number: int  # from 1; 0 is the program as it stands
    name: str
    path: str  # under include/marconi
    start: int  # of the text replaced
    line: int
    old: str
    new: str
    initialises: bool  # a constant
    alone: bool = False  # it does not compile beside the text it replaces

    @property
    def end(self):
        return self.start + len(self.old)

    @property
    def last_line(self):
        return self.line + self.old.count("\n")

    def overlaps(self, other):
        return self.path == other.path and self.start < other.end and other.start < self.end

    def on_one_line(self):
        """The new text, with lines added so that those below keep their numbers."""
        new = " ".join(COMMENT.sub("", self.new).split())
        return new + "\n" * self.old.count("\n")

    def woven(self):
        new = self.on_one_line().rstrip("\n")
        if self.old.rstrip().endswith((";", "}")):
            return f"{{ if (mutation::is({self.number})) {{ {new} }} else {{ {self.old}\n}} }}"
        switch = "is_at_run_time" if self.initialises else "is"
        return f"(mutation::{switch}({self.number}) ? ({new}) : ({self.old}))"


def initialises(header, start):
    return bool(INITIALISER.search(header, max(0, start - 500), start))


def in_groups(patches):
    """Lists of patches that can stand in one tree."""
    groups = []
    for patch in patches:
        for group in groups:
            if not (patch.alone or group[0].alone or any(patch.overlaps(p) for p in group)):
                group.append(patch)
                break
        else:
            groups.append([patch])
    return groups


def write_tree(root, folder, group):
    """Copies the headers under `root` to `folder`, with the group's patches in them."""
    shutil.copytree(root / HEADERS, folder / HEADERS, dirs_exist_ok=True)
    (folder / "include/mutation.hpp").write_text(SWITCH)
    for path in {p.path for p in group}:
        text = (root / HEADERS / path).read_text()
        for patch in sorted((p for p in group if p.path == path), key=lambda p: -p.start):
            assert text[patch.start : patch.end] == patch.old
            middle = patch.on_one_line() if patch.alone else patch.woven().replace("\n}", " }")
            text = text[: patch.start] + middle + text[patch.end :]
        (folder / HEADERS / path).write_text(text)


# ---- the list of planted bugs ----

CHANGE = re.compile(r"^(.*)\[-(.*?)-\]\{\+(.*?)\+\}(.*)$", re.DOTALL)


class NoLonger(Exception):
    """A planted bug's text is not in its header, or more than once."""


def read_planted(root, file):
    """Entries of a name, a header and a change `[-old-]{+new+}` with what stands around it, parted
    by blank lines; spaces and line ends count alike. Yields a Patch, or NoLonger, for each."""
    text = "\n".join(l for l in file.read_text().splitlines() if not l.startswith("#"))
    for number, entry in enumerate(filter(None, map(str.strip, re.split(r"\n\s*\n", text))), 1):
        name, path, change = (part.strip() for part in entry.split("\n", 2))
        yield name, find_planted(root, number, name, path, change)


def find_planted(root, number, name, path, change):
    found = CHANGE.match(change)
    if not found:
        return NoLonger(f"{name}: no [-old-]{{+new+}}")
    before, old, new, after = (part.strip() for part in found.groups())
    if not (root / HEADERS / path).is_file():
        return NoLonger(f"{name}: there is no {path}")
    header = (root / HEADERS / path).read_text()
    loosely = [r"\s+".join(map(re.escape, part.split())) for part in (before, old, after)]
    places = list(re.finditer(r"{}\s*({})\s*{}".format(*loosely), header))
    if len(places) != 1:
        return NoLonger(f"{name}: found {len(places)} times in {path}")
    start = places[0].start(1)
    line = header.count("\n", 0, start) + 1
    return Patch(number, name, path, start, line, places[0].group(1), new,
                 initialises(header, start))

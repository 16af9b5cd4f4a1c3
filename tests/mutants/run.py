"""Break the code on purpose: each mutant is a patch beside this file, and the tests that it names must turn red.

    python tests/mutants/run.py [--list] [PART_OF_A_NAME ...]

A patch begins with a sentence that says what it breaks, and with lines that say which tests must notice, and, where
something is made from what it changes, which script makes it:

    # tests: tests/core/test_queue.py::test_name tests/core/test_version.py
    # then: protos/generate.py

Each mutant gets a copy of the tree of its own (what git tracks, and what it neither tracks nor ignores), whose
server/ comes first on PYTHONPATH, so that the mutated code is what runs; that it does is checked. All tests named
must pass in a copy without a mutant. Exit code 1 if a mutant survives, does not apply, or breaks its tests in
another way than failing them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
TEST_TIMEOUT_S = 10
PATIENCE_S = 3
"""A mutant may make a test hang, or wait in vain; none of those named takes this long by itself."""
TESTS_FAILED = 1
"""pytest's exit code for it; the others say that nothing was tested."""


class Mutant(NamedTuple):
    name: str
    breaks: str
    tests: tuple[str, ...]
    then: tuple[str, ...]
    patch: Path


class Verdict(NamedTuple):
    """What became of a mutant. `word` is `killed` or what is wrong; `detail` says by which test, or how."""

    word: str
    detail: str

    @property
    def good(self) -> bool:
        return self.word == "killed"


def read(patch: Path) -> Mutant:
    """Read a patch's head; ValueError where it lacks a sentence or tests."""
    head = patch.read_text().partition("\n--- ")[0].splitlines()
    tests = _words(head, "# tests:")
    if not tests or not head or head[0].startswith("#"):
        raise ValueError(f"{patch.name}: expected a sentence and a line '# tests: ...' before the diff, got {head}")
    return Mutant(patch.stem, head[0], tests, _words(head, "# then:"), patch)


def _words(head: Sequence[str], mark: str) -> tuple[str, ...]:
    return tuple(word for line in head if line.startswith(mark) for word in line.removeprefix(mark).split())


class Copy:
    """A copy of the tree, and what is run in it."""

    def __init__(self, root: Path, place: Path) -> None:
        self._place = place
        self._python = root / ".venv/bin/python"
        self._environment = os.environ | {
            "PYTHONPATH": str(place / "server"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NAIAD_TEST_PATIENCE": str(PATIENCE_S),
        }
        for name in _files(root):
            if (root / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, place / name)
        self._check_that_it_is_what_runs()

    def _check_that_it_is_what_runs(self) -> None:
        found = self.run("-c", "import naiad; print(naiad.__file__)").stdout.strip()
        if not Path(found).is_relative_to(self._place):
            raise RuntimeError(f"expected naiad to be imported from {self._place}, got {found}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the project's Python in this copy."""
        command = [str(self._python), *arguments]
        return subprocess.run(
            command, cwd=self._place, env=self._environment, capture_output=True, text=True, check=False
        )

    def test(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        options = ("-x", "-q", "-p", "no:cacheprovider", "-o", f"timeout={TEST_TIMEOUT_S}")
        return self.run("-m", "pytest", *options, *tests)

    def apply(self, patch: Path) -> str:
        """Apply a patch; gives what is wrong with it, or nothing."""
        command = ["git", "apply", "--whitespace=nowarn", str(patch)]
        environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(self._place.parent)}
        done = subprocess.run(command, cwd=self._place, env=environment, capture_output=True, text=True, check=False)
        return done.stderr.strip()


def _files(root: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@contextmanager
def copied(root: Path) -> Iterator[Copy]:
    with tempfile.TemporaryDirectory(prefix="naiad-mutant-") as directory:
        yield Copy(root, Path(directory).resolve())


def judge(mutant: Mutant, copy: Copy) -> Verdict:
    if wrong := copy.apply(mutant.patch):
        return Verdict("DOES NOT APPLY", wrong)
    for script in mutant.then:
        done = copy.run(script)
        if done.returncode:
            return Verdict("NOT MADE", _last(done.stdout + done.stderr, ""))
    done = copy.test(mutant.tests)
    if done.returncode == 0:
        return Verdict("SURVIVED", mutant.breaks)
    if done.returncode != TESTS_FAILED:
        return Verdict("NOT TESTED", _last(done.stdout + done.stderr, ""))
    return Verdict("killed", _last(done.stdout, "FAILED ").removeprefix("FAILED ").partition(" - ")[0])


def _last(output: str, start: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(start) and line]
    return lines[-1] if lines else "no output"


def check_unmutated(root: Path, mutants: Sequence[Mutant]) -> bool:
    """Whether all that must fail with a mutant passes without one."""
    with copied(root) as copy:
        done = copy.test(sorted({test for mutant in mutants for test in mutant.tests}))
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def main(arguments: Sequence[str], root: Path = ROOT, patches: Path = PATCHES) -> int:
    """Judge the mutants whose names contain one of the words given, or all; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only say what each mutant breaks")
    parser.add_argument("names", nargs="*", metavar="PART_OF_A_NAME")
    options = parser.parse_args(arguments)
    mutants = [read(patch) for patch in sorted(patches.glob("*.patch"))]
    mutants = [m for m in mutants if not options.names or any(part in m.name for part in options.names)]
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name:36} {mutant.breaks}")
        return 0
    if not mutants or not check_unmutated(root, mutants):
        print("the tests do not pass without a mutant" if mutants else "there is no such mutant")
        return 1
    return _judge_all(root, mutants)


def _judge_all(root: Path, mutants: Sequence[Mutant]) -> int:
    bad = 0
    for mutant in mutants:
        start = time.monotonic()
        with copied(root) as copy:
            verdict = judge(mutant, copy)
        bad += not verdict.good
        print(f"{mutant.name:36} {verdict.word:14} {time.monotonic() - start:5.1f} s  {verdict.detail}", flush=True)
    print(f"{len(mutants) - bad} of {len(mutants)} mutants were killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The toolchains of other languages, and how their programs are built and run in tests.

- A test of a language says `require_toolchain`: what is missing or too old skips it, or fails it where TESTS_REQUIRE
  has the name.
- What is fetched is pinned by the program's own lock file and kept in `.venv/clients/<name>`, outside the tree;
  nothing is fetched a second time. The directory is for one test at a time.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.requirements import require

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
BUILT = Path(sys.prefix) / "clients"
PATIENCE = 200
"""Seconds that building and running a program may take on a machine that has fetched nothing yet."""

NOWHERE = "127.0.0.1:1"
"""An address where no server is."""
PROMISED = ("digit 0 (", "echo answers what it was sent\n", "a model that there is not is NOT_FOUND\n")
"""What each program prints when every answer is right."""


class Toolchain(NamedTuple):
    """`version` prints a version; `least` is the oldest one that the program works with."""

    name: str
    programs: Sequence[str]
    version: Sequence[str]
    least: tuple[int, ...]


GO = Toolchain("go", ["go"], ["go", "env", "GOVERSION"], (1, 26))
JAVA = Toolchain("java", ["javac", "java", "mvn"], ["javac", "-version"], (17,))
NODE = Toolchain("node", ["node", "npm"], ["node", "--version"], (18,))


def missing(toolchain: Toolchain) -> str:
    """What is missing of a toolchain, or nothing."""
    if lacking := [program for program in toolchain.programs if shutil.which(program) is None]:
        return f"{', '.join(lacking)} not found in PATH"
    printed = subprocess.run(toolchain.version, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)*", printed)
    if found is None or tuple(map(int, found.group().split("."))) < toolchain.least:
        return f"expected {toolchain.name} {'.'.join(map(str, toolchain.least))} or newer, got {printed.strip()}"
    return ""


def require_toolchain(toolchain: Toolchain) -> None:
    reason = missing(toolchain)
    require(toolchain.name, not reason, reason)


@contextmanager
def building(toolchain: Toolchain) -> Iterator[Path]:
    """The directory where this toolchain keeps what it fetched and built, while no other test uses it."""
    directory = BUILT / toolchain.name
    directory.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"{toolchain.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def go_environment() -> dict[str, str]:
    """Go as it is installed here, with caches of its own, which any number of its processes may share."""
    with building(GO) as built:
        return os.environ | {
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
            "GOMODCACHE": str(built / "modules"),
            "GOCACHE": str(built / "cache"),
        }


def run(
    command: Sequence[str | Path],
    directory: Path,
    environment: Mapping[str, str] = os.environ,
    code: int = 0,
    seconds: float = PATIENCE,
) -> str:
    """Run a command that must end in time, with this exit code; return what it printed to its standard output."""
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    shown = " ".join(map(str, command))
    assert done.returncode == code, f"{shown} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout

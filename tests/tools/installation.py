"""Puts programs that are no Python packages into `.venv`, without root and without touching the system.

`VENV/NAME` gets the parts of a program, `VENV/bin` a wrapper for each of its commands.

- All is put together and tried out in a directory of its own, then renamed: nothing is half installed.
- What cannot be had here (no network, another kind of machine) is said, and the exit code is 0: tests
  that need the program find out for themselves.
"""

import argparse
import fcntl
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.tools.debian import NotHereError

WRAPPER = """\
#!/bin/sh
parts=$(CDPATH= cd -- "$(dirname -- "$0")/../NAME" && pwd) || exit 127
LD_LIBRARY_PATH="$parts${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$parts/COMMAND" "$@"
"""
STAMP = "installed-from"


class Program(NamedTuple):
    """`origin` tells one set of parts from another; `assemble` puts them into a directory and tries them out."""

    name: str
    commands: tuple[str, ...]
    origin: str
    assemble: Callable[[Path], None]

    @property
    def stamp(self) -> str:
        return f"{self.origin}{WRAPPER}"


def main(program: Program) -> int:
    arguments = argparse.ArgumentParser(description=f"Install {program.name} into a virtual environment.")
    default = Path(__file__).resolve().parents[2] / ".venv"
    arguments.add_argument("--venv", type=Path, default=default, help="the virtual environment (%(default)s)")
    venv = arguments.parse_args().venv.resolve()
    try:
        message = install(program, venv)
    except NotHereError as error:
        print(f"{program.name} is not installed: {error}", file=sys.stderr)
        return 0
    print(message)
    return 0


def install(program: Program, venv: Path) -> str:
    """Bring `venv` to these parts of the program, and say in a line what was done."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NotHereError(f"it is taken for Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    if not (venv / "bin").is_dir():
        raise NotHereError(f"{venv} is no virtual environment; create it first")
    with locked(venv):
        return install_locked(program, venv)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one installation run at a time: the second waits, and finds it done."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install_locked(program: Program, venv: Path) -> str:
    wrappers = [venv / "bin" / command for command in program.commands]
    parts, partial = venv / program.name, venv / f"{program.name}.partial"
    if is_current(program, wrappers, parts):
        return f"{wrappers[0]} is there already"
    remove(partial)  # of a run that was killed
    try:
        partial.mkdir()
        program.assemble(partial)
        (partial / STAMP).write_text(program.stamp)
        for wrapper in wrappers:
            wrapper.unlink(missing_ok=True)
        remove(parts)
        partial.rename(parts)
        for wrapper in wrappers:
            write_wrapper(program, wrapper)
    finally:
        remove(partial)
    return f"{wrappers[0]} installed"


def is_current(program: Program, wrappers: list[Path], parts: Path) -> bool:
    """Tell whether these very parts are there: the wrappers are written last, and removed first."""
    stamp = parts / STAMP
    return all(map(Path.is_file, wrappers)) and stamp.is_file() and stamp.read_text() == program.stamp


def remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def write_wrapper(program: Program, wrapper: Path) -> None:
    unfinished = wrapper.with_name(f".{wrapper.name}")
    unfinished.write_text(WRAPPER.replace("NAME", program.name).replace("COMMAND", wrapper.name))
    unfinished.chmod(0o755)
    unfinished.rename(wrapper)

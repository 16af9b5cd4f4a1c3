"""Environments for peers: Python servers that are measured beside Naiad, each installed away from it and on demand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import servers
from tests.tools.debian import run

DIRECTORY = servers.ROOT / ".venv" / "peers"
STAMP = "installed"


def python(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these requirements, made where it is not there yet.

    NotHereError, of tests/tools/debian.py, where they cannot be had.
    """
    environment = DIRECTORY / name
    interpreter, stamp = environment / "bin" / "python", environment / STAMP
    wanted = "\n".join(requirements)
    if stamp.is_file() and stamp.read_text() == wanted:
        return interpreter
    if environment.exists():
        shutil.rmtree(environment)
    run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    run([*pip, "install", "--quiet", *requirements])
    stamp.write_text(wanted)
    return interpreter

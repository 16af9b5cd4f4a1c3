"""A newcomer's minute: from a fresh clone of the last commit to the first answer, by phases.

`python -m benchmarks.newcomer`. Packages come from wherever pip finds them, so this measures the network too.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent

ANSWER = """
import sys, numpy, naiad_client
with naiad_client.Client(sys.argv[1]) as client:
    print(client.infer("digits", [numpy.zeros((8, 8))]).label.item())
"""
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")


class Stopwatch:
    """Prints how long each phase took."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def phase(self, name: str) -> None:
        now = time.monotonic()
        print(f"{name:48} {now - self._last:6.1f} s  (at {now - self._began:5.1f} s)", flush=True)
        self._last = now


@contextmanager
def served(clone: Path, environment: dict[str, str], watch: Stopwatch) -> Iterator[str]:
    """`make serve` on free ports, phase by phase; gives where gRPC listens."""
    command = ["make", "serve", "ARGS=--grpc-port=0 --http-port=0 --metrics-port=0"]
    make = subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    address = ""
    for line in make.stdout or ():
        if "-m venv" in line:
            watch.phase("make has begun")
        elif "--requirement" in line:
            watch.phase("the virtual environment is made")
        elif "--no-build-isolation" in line:
            watch.phase("the dependencies are installed")
        elif "naiad serve" in line:
            watch.phase("the server and its client are installed")
        elif found := re.search(r"gRPC on (\S+:\d+)", line):
            address = found[1]
            watch.phase("the server listens")
        elif re.search(r"\bready\b", line) and "is ready" not in line:
            watch.phase("all models are loaded")
            break
    else:
        raise RuntimeError(f"make serve ended with {make.wait()}")
    try:
        yield address
    finally:
        for child in psutil.Process(make.pid).children():
            child.terminate()
        make.communicate(timeout=60)


def main() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory) / "naiad"
        watch = Stopwatch()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607 - the reader's git
        watch.phase("cloned")
        with served(clone, environment, watch) as address:
            python = clone / ".venv" / "bin" / "python"
            done = subprocess.run([str(python), "-c", ANSWER, address], check=True, capture_output=True, text=True)
            watch.phase(f"the first answer has come: digit {done.stdout.strip()}")


if __name__ == "__main__":
    main()

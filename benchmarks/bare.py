"""A model in a bare loop of ONNX Runtime, in a process of its own.

The session has as many threads as the runtime chooses, if it is not told how many. They spin while they wait, which is
its default, or they do not; which is faster depends on the machine and on who else uses it, so both are tried.

`python -m benchmarks.bare loop MODEL ROWS SPIN THREADS SECONDS` runs batches of ROWS zeros one after the other;
`python -m benchmarks.bare hold MODEL...` opens a session for each and keeps all. Both print a line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import psutil

from benchmarks import servers

BATCHES = (1, 2, 4, 8, 16, 32, 64)
TIMEOUT_SECS = 300


class Way(NamedTuple):
    """How a loop runs its model: rows of a batch, whether idle threads spin, and how many there are (0: any number)."""

    rows: int
    spin: bool
    threads: int = 0

    def __str__(self) -> str:
        return f"batches of {self.rows}, threads that {'spin' if self.spin else 'sleep'}"


class Loop(NamedTuple):
    """Rows per second, and microseconds of CPU per row."""

    per_second: float
    cpu_us: float


class Held(NamedTuple):
    """Seconds that opening the sessions took, and the memory of the process then."""

    seconds: float
    nbytes: int


def loop(model: Path, way: Way, seconds: float) -> Loop:
    """Run a model for about so many seconds."""
    return Loop(**_run("loop", str(model), *(str(int(one)) for one in way), str(seconds)))


def hold(models: Sequence[Path]) -> Held:
    """Open a session for each model, on one thread each, as Naiad does for models so small."""
    return Held(**_run("hold", *map(str, models)))


def fastest(model: Path, seconds: float) -> list[Way]:
    """The ways worth measuring: the best with batches of 1, with threads that spin and with threads that sleep.

    One try on a noisy machine does not tell which of them is fastest.
    """
    ways = [Way(rows, spin) for rows in BATCHES for spin in (True, False)]
    rates = {way: loop(model, way, seconds).per_second for way in ways}
    single = [way for way in ways if way.rows == 1]
    spinning, sleeping = ([way for way in ways if way.spin is spin] for spin in (True, False))
    return sorted({max(kind, key=rates.__getitem__) for kind in (single, spinning, sleeping)})


def _run(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bare", *arguments]
    done = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECS, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _loop(model: str, way: Way, seconds: float) -> Loop:
    session = _session(model, way.threads, spin=way.spin)
    (tensor,) = session.get_inputs()
    feed = {tensor.name: np.zeros((way.rows, *tensor.shape[1:]), np.float32)}
    session.run(None, feed)
    cpu, start = time.process_time(), time.perf_counter()
    runs = 0
    while time.perf_counter() - start < seconds:
        session.run(None, feed)
        runs += 1
    ran = runs * way.rows
    return Loop(ran / (time.perf_counter() - start), (time.process_time() - cpu) / ran * 1e6)


def _hold(models: Sequence[str]) -> Held:
    start = time.perf_counter()
    sessions = [_session(model, threads=1) for model in models]
    seconds, nbytes = time.perf_counter() - start, psutil.Process().memory_info().rss
    del sessions
    return Held(seconds, nbytes)


def _session(model: str, threads: int = 0, *, spin: bool = True) -> Any:
    """A session; 0 threads: as many as ONNX Runtime chooses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["loop", model, rows, spin, threads, seconds]:
            way = Way(int(rows), spin == "1", int(threads))
            print(json.dumps(_loop(model, way, float(seconds))._asdict()))
        case ["hold", *models]:
            print(json.dumps(_hold(models)._asdict()))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

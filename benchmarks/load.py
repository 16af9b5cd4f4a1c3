"""Servers under load: starts them, drives them with perf_analyzer, and reads what their processes cost.

Server CPU is user and system time of the server's process tree over a run, divided by the requests of that run.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent.parent
PERF_ANALYZER = ROOT / ".venv" / "bin" / "perf_analyzer"
PATIENCE = 120.0
"""Seconds after which a run of the load generator counts as hung; it is then repeated."""


class Server(NamedTuple):
    """A V2 server to measure: where it listens, and the process whose tree is charged."""

    name: str
    address: str
    pid: int


class Load(NamedTuple):
    """One run: requests answered in it, microseconds of server CPU per request, latencies in microseconds."""

    requests: int
    cpu_us: float
    per_second: float
    p50_us: float
    p99_us: float


@contextmanager
def started(name: str, command: Sequence[str]) -> Iterator[Server]:
    """Run a server of our own that prints `gRPC on HOST:PORT` to stderr; it is ended with SIGTERM."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=log) as process,
    ):
        try:
            yield Server(name, _address(process, log), process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _address(process: subprocess.Popen[bytes], log: IO[str]) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        log.seek(0)
        found = re.search(r"gRPC on (\S+:\d+)", log.read())
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not say where it listens")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    process = psutil.Process(pid)
    return sum(
        times.user + times.system for times in (p.cpu_times() for p in (process, *process.children(recursive=True)))
    )


def run(server: Server, model: str, shape: str, concurrency: int, requests: int) -> Load:
    """Send `requests` requests from `concurrency` callers; raises RuntimeError when perf_analyzer fails twice."""
    output = f"no end after {PATIENCE} s"
    for _ in range(2):
        before = cpu_seconds(server.pid)
        with tempfile.TemporaryDirectory() as directory:
            report = Path(directory) / "report.csv"
            command = [
                str(PERF_ANALYZER), "-m", model, "-u", server.address, "-i", "grpc", "--shape", shape,
                "--concurrency-range", str(concurrency), "--request-count", str(requests), "-f", str(report),
            ]  # fmt: skip
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                return _load(report, cpu_seconds(server.pid) - before, requests)
            output = done.stdout + done.stderr
    raise RuntimeError(f"perf_analyzer against {server.name}:\n{output}")


def _load(report: Path, cpu: float, requests: int) -> Load:
    with report.open(newline="") as file:
        row = next(csv.DictReader(file))
    return Load(
        requests,
        cpu / requests * 1e6,
        float(row["Inferences/Second"]),
        float(row["p50 latency"]),
        float(row["p99 latency"]),
    )

"""Servers to measure: started on free ports, ended with SIGTERM, and what their processes cost.

Server CPU is user and system time of the server's process tree. A server of ours says `gRPC on HOST:PORT` on stderr;
when it does not start, its last words are in the error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import grpc
import psutil

from naiad.protocol import grpc_service_pb2 as pb

ROOT = Path(__file__).resolve().parent.parent
SERVICE = "/inference.GRPCInferenceService"
START_SECS = 120.0
"""Seconds after which a server that has not started, or is not ready, counts as broken."""
ANSWER_SECS = 10.0
STOP_SECS = 30.0
POLL_SECS = 0.005
WORDS_SHOWN = 2000


class Server(NamedTuple):
    """A V2 server to measure: where it listens, and the process whose tree is charged."""

    name: str
    address: str
    pid: int


@contextmanager
def naiad(
    name: str, repository: Path, *flags: str, output: IO[bytes] | None = None, under: Sequence[str] = ()
) -> Iterator[Server]:
    """Naiad with the models of `repository`, all of them ready; its standard output goes to `output`, or is lost.

    under: a command that runs it, such as valgrind with its options.
    """
    ports = ("--grpc-port=0", "--http-port=0", "--metrics-port=0")
    arguments = ("-m", "naiad", "serve", f"--model-repository={repository}", *ports, *flags)
    with started(name, [*under, sys.executable, *arguments], output) as server:
        wait_until_ready(server)
        yield server


@contextmanager
def started(name: str, command: Sequence[str], output: IO[bytes] | None = None) -> Iterator[Server]:
    """Run a server of ours until the end of the block; it listens, but need not be ready."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=output or subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            yield Server(name, _address(process, log), process.pid)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with SIGTERM, or else with SIGKILL."""
    process.terminate()
    try:
        process.wait(STOP_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(server: Server) -> None:
    """Return once ServerReady says so; RuntimeError when the server ends before, or never is."""
    until = time.monotonic() + START_SECS
    with grpc.insecure_channel(server.address) as channel:
        ready = channel.unary_unary(
            f"{SERVICE}/ServerReady", pb.ServerReadyRequest.SerializeToString, pb.ServerReadyResponse.FromString
        )
        while time.monotonic() < until and is_running(server.pid):
            with suppress(grpc.RpcError):
                if ready(pb.ServerReadyRequest(), timeout=ANSWER_SECS).ready:
                    return
            time.sleep(POLL_SECS)
    raise RuntimeError(f"{server.name} at {server.address} did not get ready")


def batches(server: Server, model: str) -> tuple[int, int] | None:
    """Rows and batches that the model has run so far; None where the server does not count them."""
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(
            f"{SERVICE}/ModelStatistics",
            pb.ModelStatisticsRequest.SerializeToString,
            pb.ModelStatisticsResponse.FromString,
        )
        answered = ask(pb.ModelStatisticsRequest(name=model), timeout=ANSWER_SECS).model_stats
    runs = sum(one.execution_count for one in answered)
    return (sum(one.inference_count for one in answered), runs) if runs else None


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    return sum(times.user + times.system for times in (one.cpu_times() for one in _tree(pid)))


def memory_bytes(pid: int) -> int:
    """Resident memory of a process and its children."""
    return sum(one.memory_info().rss for one in _tree(pid))


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _address(process: subprocess.Popen[bytes], log: IO[str]) -> str:
    until = time.monotonic() + START_SECS
    while time.monotonic() < until and process.poll() is None:
        log.seek(0)
        found = re.search(r"gRPC on (\S+:\d+)", log.read())
        if found:
            return found[1]
        time.sleep(POLL_SECS)
    log.seek(0)
    raise RuntimeError(f"{process.args!r} did not say where it listens:\n{log.read()[-WORDS_SHOWN:]}")

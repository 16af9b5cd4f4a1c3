"""A real `naiad serve` process to test against, from start to exit.

`with Server(repository) as server:` starts it on free ports of 127.0.0.1, waits until it says over the wire that it
serves, and at the end stops it with SIGTERM, demanding exit code 0 and a log without a traceback. A test that stops
it itself calls `wait` (or `stop`) and says which code it expects; nothing is demanded twice. Every failure here shows
the end of the log.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2
from tritonclient.grpc import service_pb2, service_pb2_grpc

PATIENCE = 30.0
"""Seconds after which something that must happen counts as a hang."""

SERVING = health_pb2.HealthCheckResponse.SERVING
READY = re.compile(r"\bready\s*$")
"""The line after all that is told of a start; the log is written beside what it tells of."""
GRPC, HTTP = re.compile(r"gRPC on (unix:[^\s,]+|[^\s,]+:\d+)"), re.compile(r"HTTP on (\S+:\d+)")
METRICS = re.compile(r"metrics on (\S+:\d+)")
LINES_SHOWN = 60
_GARBLED = re.compile(r"Invalid encoding on b.*?UnicodeDecodeError: [^\n]*\n", re.DOTALL)
"""What grpcio logs of a call that broke and for which gRPC's core has memory instead of a text: one in 100,000."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "naiad", *arguments]


class Server:
    """`grpc` and `http` are HOST:PORT, known once it has started; `log` is everything that it wrote to stderr.

    `grpc` may be unix:PATH. `channel` and `stub` speak no TLS: for a server that does, until_ready is False.
    output: the file for what it writes to stdout.
    """

    def __init__(
        self,
        *repositories: Path,
        flags: Iterable[str] = (),
        directory: Path | None = None,
        until_ready: bool = True,
        output: Path | None = None,
    ) -> None:
        roots = [f"--model-repository={repository}" for repository in repositories]
        ports = ["--repository-settle-secs=0", "--grpc-port=0", "--http-port=0", "--metrics-port=0"]
        self._command = command("serve", *roots, *ports, *flags)
        self._directory = directory
        self._until_ready = until_ready
        self._output = output or Path(os.devnull)
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._awaited = False

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stderr=subprocess.PIPE,
                stdout=output,
                text=True,
                cwd=self._directory,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._reader = threading.Thread(target=self._read, name="server-log", daemon=True)
        self._reader.start()
        try:
            self.grpc = self.line(GRPC).group(1)
            self.http = self.line(HTTP).group(1)
            self.channel = grpc.insecure_channel(self.grpc, options=[("grpc.max_send_message_length", -1)])
            if self._until_ready:
                self.wait_for_health("", SERVING)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()
        if kind is not None:
            self._abandon()
            return
        try:
            if not self._awaited:
                self.stop()
        finally:
            self._abandon()
        assert "Traceback" not in _GARBLED.sub("", self.log), f"the server logged a traceback\n{self.tail()}"

    @property
    def log(self) -> str:
        with self._news:
            return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def metrics(self) -> str:
        """Where it serves its metrics, as HOST:PORT."""
        return self.line(METRICS).group(1)

    def load(self, name: str) -> None:
        """Have a model loaded, and wait for that."""
        self.stub.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(model_name=name), timeout=PATIENCE)

    @property
    def stub(self) -> Any:
        """The inference service as raw gRPC."""
        return service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait until the log has a line that matches, and return the match."""
        found: re.Match[str] | None = None

        def look() -> bool:
            nonlocal found
            found = next(filter(None, map(pattern.search, self._lines)), None)
            return found is not None or self._ended

        with self._news:
            in_time = self._news.wait_for(look, PATIENCE)
        if found is None:
            why = f"within {PATIENCE:g} s" if not in_time else f"before it ended with {self._process.wait()}"
            raise AssertionError(f"the server did not log {pattern.pattern!r} {why}\n{self.tail()}")
        return found

    def watch_health(self, service: str, seconds: float = PATIENCE) -> Any:
        """Return the stream of a health Watch."""
        method = self.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return method(health_pb2.HealthCheckRequest(service=service), timeout=seconds)

    def wait_for_health(self, service: str, status: int) -> None:
        """Wait until a health Watch tells this status."""
        stream = self.watch_health(service)
        try:
            if not any(message.status == status for message in stream):
                raise AssertionError(f"the watch of {service!r} ended before status {status}\n{self.tail()}")
        except grpc.RpcError as error:
            raise AssertionError(f"the watch of {service!r} failed: {error}\n{self.tail()}") from error
        finally:
            stream.cancel()

    def statistics(self, model: str, version: str = "") -> Any:
        """Return the statistics of the one version that answers to this name."""
        request = service_pb2.ModelStatisticsRequest(name=model, version=version)
        (found,) = self.stub.ModelStatistics(request, timeout=PATIENCE).model_stats
        return found

    def signal(self, number: signal.Signals) -> float:
        """Send the process a signal; return when, in `time.monotonic` seconds."""
        self._process.send_signal(number)
        return time.monotonic()

    def stop(self) -> None:
        """Stop it as an orchestrator does, and demand that it ends well."""
        self.signal(signal.SIGTERM)
        self.wait(0)

    def wait(self, expected: int, seconds: float = PATIENCE) -> float:
        """Wait for the process to end with this exit code; return when it did, in `time.monotonic` seconds."""
        self._awaited = True
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server still runs after {seconds:g} s\n{self.tail()}") from None
        ended = time.monotonic()
        self._reader.join(PATIENCE)
        assert code == expected, f"the server ended with {code}, expected {expected}\n{self.tail()}"
        return ended

    def tail(self) -> str:
        return f"$ {' '.join(self._command)}\n" + "".join(self.log.splitlines(keepends=True)[-LINES_SHOWN:])

    def _read(self) -> None:
        """Collect the log until the process closes it, on a thread of its own."""
        stream = self._process.stderr
        if stream is None:
            raise TypeError("the process was started without a pipe for its log")
        for line in stream:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _abandon(self) -> None:
        """Leave no process, thread or pipe behind, whatever happened."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._process.stderr is not None:
            self._process.stderr.close()

"""Logs that nobody reads: the server serves on, and stops as ever."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from tests.conformance.messages import Given, Message, request
from tests.e2e.models import ask, identity
from tests.e2e.server import GRPC, PATIENCE, command
from tests.models.build import failing
from tests.pipes import Pipe

REQUESTS = 200
"""Each is logged with a traceback; a pipe takes 64 KiB."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "fails" / "1").mkdir(parents=True)
    failing(tmp_path / "fails" / "1" / "model.onnx")
    return identity(tmp_path, "echo")


class Unread:
    """A server whose stdout and stderr nobody reads once it has said that it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
        self.stub = stub
        self._process = process

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0


@contextmanager
def unread(repository: Path, *flags: str) -> Iterator[Unread]:
    ports = [f"--{wire}-port=0" for wire in ("grpc", "http", "metrics")]
    arguments = command("serve", f"--model-repository={repository}", *ports, *flags)
    with (
        Pipe() as out,
        Pipe() as log,
        subprocess.Popen(arguments, stdout=out.writer, stderr=log.writer) as process,
    ):
        try:
            lines = iter(log.reader.readline, b"")
            address = next(filter(None, (GRPC.search(line.decode()) for line in lines)))[1]
            assert any(b"] ready" in line for line in lines)
            out.fill()
            log.fill()
            with grpc.insecure_channel(address) as channel:
                yield Unread(process, service_pb2_grpc.GRPCInferenceServiceStub(channel))
        finally:
            process.kill()


def doomed() -> Message:
    return request("fails", Given("INPUT0", "INT64", [1, 1], (99).to_bytes(8, "little")))


def test_a_server_whose_log_nobody_reads_answers_and_stops(repository: Path) -> None:
    with unread(repository) as server:
        for _ in range(REQUESTS):
            assert server.stub.ModelInfer.future(doomed(), timeout=PATIENCE).code() is grpc.StatusCode.INTERNAL
        assert server.stub.ModelInfer(ask("echo", 5), timeout=PATIENCE).model_name == "echo"
        server.stop()


def test_a_server_whose_access_log_nobody_reads_answers_and_stops(repository: Path) -> None:
    with unread(repository, "--access-log=true") as server:
        calls = [server.stub.ModelInfer.future(ask("echo", 1), timeout=PATIENCE) for _ in range(REQUESTS)]
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
        server.stop()

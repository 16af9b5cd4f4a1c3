"""The access log of a real server: one line for every request, whatever became of it."""

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from tests.conformance.messages import Given, fp32, request
from tests.e2e.models import ask, busy, identity
from tests.e2e.server import PATIENCE, Server

RUN_MS = 500
KIB = 1024
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")
LOST = "naiad_access_log_lines_lost_total "
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ ]+)')


class Row(NamedTuple):
    """What a line says of a request, its times apart."""

    request_id: str
    status: str
    model: str
    version: str
    rows: str
    trace_id: str = ""


def lines(file: Path) -> list[dict[str, str]]:
    found = (dict(FIELD.findall(line)) for line in file.read_text().splitlines())
    return [
        {key: json.loads(value) if value.startswith('"') else value for key, value in line.items()} for line in found
    ]


def rows(file: Path) -> Counter[Row]:
    return Counter(Row(*(line[field] for field in Row._fields)) for line in lines(file))


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def serve(tmp_path: Path, access_log: Path) -> Callable[..., Server]:
    """How to start a server of the models `echo` and `busy` with an access log; more flags are arguments."""
    for name, delay_ms in (("echo", 0), ("busy", RUN_MS)):
        identity(tmp_path / "models", name, delay_ms, max_batch_size=4, dims=-1)
    return lambda *flags: Server(tmp_path / "models", flags=["--access-log=true", *flags], output=access_log)


def refused(server: Server, message: Any) -> Any:
    return server.stub.ModelInfer.future(message, timeout=PATIENCE).code()


def send_bytes(server: Server, message: bytes) -> grpc.StatusCode:
    infer: Any = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    code: grpc.StatusCode = infer.future(message, timeout=PATIENCE).code()
    return code


def test_every_request_has_exactly_one_line(serve: Callable[..., Server], access_log: Path) -> None:
    with serve(f"--grpc-max-message-size={64 * KIB}") as server:
        for number in range(3):
            server.stub.ModelInfer(ask("echo", 1, 2, request_id=f"good {number}"), timeout=PATIENCE)
        server.stub.ModelInfer(ask("echo", 1, request_id="traced"), timeout=PATIENCE, metadata=[TRACEPARENT])
        wrong_type = request("echo", Given("INPUT0", "INT32", [1, 1], fp32([1])), request_id="type")
        assert refused(server, wrong_type) is grpc.StatusCode.INVALID_ARGUMENT
        wrong_shape = request("echo", Given("INPUT0", "FP32", [2], fp32([1, 2])), request_id="shape")
        assert refused(server, wrong_shape) is grpc.StatusCode.INVALID_ARGUMENT
        assert refused(server, ask("nobody", 1, request_id="model")) is grpc.StatusCode.NOT_FOUND
        other = ask("echo", 1, request_id="version")
        other.model_version = "7"
        assert refused(server, other) is grpc.StatusCode.NOT_FOUND
        assert send_bytes(server, b"\xff\xff\xff") is grpc.StatusCode.INVALID_ARGUMENT
        assert refused(server, ask("echo", 1, width=64 * KIB)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rows(access_log) == Counter(
        [
            *(Row(f"good {number}", "OK", "echo", "1", "2") for number in range(3)),
            Row("traced", "OK", "echo", "1", "1", TRACE),
            Row("type", "INVALID_ARGUMENT", "echo", "1", "0"),
            Row("shape", "INVALID_ARGUMENT", "echo", "1", "0"),
            Row("model", "NOT_FOUND", "nobody", "", "0"),
            Row("version", "NOT_FOUND", "echo", "", "0"),
            Row("", "INVALID_ARGUMENT", "", "", "0"),
            Row("", "RESOURCE_EXHAUSTED", "", "", "0"),
        ]
    )


def test_requests_that_end_early_have_a_line_too(serve: Callable[..., Server], access_log: Path) -> None:
    def call(name: str, seconds: float = PATIENCE) -> Any:
        return server.stub.ModelInfer.future(ask("busy", 1, 2, 3, 4, request_id=name), timeout=seconds)

    with serve() as server:
        waiting = busy(server, "busy", 1, 2, 3, 4, 5)
        late = call("late", RUN_MS / 5000)
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        gone, last = call("gone"), call("last")
        assert all(each.code() is grpc.StatusCode.OK for each in waiting)
        assert gone.cancel()
        assert last.code() is grpc.StatusCode.OK
    named = Counter({row: count for row, count in rows(access_log).items() if row.request_id})
    assert named == Counter(
        [
            Row("late", "DEADLINE_EXCEEDED", "busy", "1", "4"),
            Row("gone", "CANCELLED", "busy", "1", "4"),
            Row("last", "OK", "busy", "1", "4"),
        ]
    )
    assert rows(access_log)[Row("", "OK", "busy", "1", "1")] == 5


def test_the_times_are_those_of_the_request(serve: Callable[..., Server], access_log: Path) -> None:
    with serve() as server:
        calls = [
            server.stub.ModelInfer.future(ask("busy", 1, 2, 3, 4, request_id=name), timeout=PATIENCE) for name in "ab"
        ]
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
    first, second = sorted(lines(access_log), key=lambda line: int(line["total_us"]))
    for line in (first, second):
        assert int(line["compute_us"]) >= RUN_MS * 1000
        assert int(line["total_us"]) >= int(line["compute_us"]) + int(line["queue_us"])
    assert int(first["queue_us"]) < int(second["queue_us"])


def test_what_a_client_sends_forges_no_line(serve: Callable[..., Server], access_log: Path) -> None:
    forged = 'x"\ntime=2026-01-01T00:00:00Z status=OK model=forged\r\x1b[2J\u2028\u202e'
    long = "y" * 100_000
    with serve() as server:
        server.stub.ModelInfer(ask("echo", 1, request_id=forged), timeout=PATIENCE)
        assert refused(server, ask(forged, 1, request_id="id")) is grpc.StatusCode.NOT_FOUND
        assert refused(server, ask(long, 1, request_id=long)) is grpc.StatusCode.NOT_FOUND
    assert access_log.read_bytes().isascii()
    first, second, third = lines(access_log)
    assert (first["model"], first["request_id"]) == ("echo", forged)
    assert (second["model"], second["request_id"]) == (forged, "id")
    assert long.startswith(third["model"])
    assert len(third["model"]) == len(third["request_id"]) < 1000


def test_as_json_every_line_is_an_object(serve: Callable[..., Server], access_log: Path) -> None:
    with serve("--log-format=json") as server:
        server.stub.ModelInfer(ask("echo", 1, 2, request_id='"\n'), timeout=PATIENCE, metadata=[TRACEPARENT])
        assert refused(server, ask("nobody", 1)) is grpc.StatusCode.NOT_FOUND
    first, second = map(json.loads, access_log.read_text().splitlines())
    assert (first["event"], first["status"], first["model"], first["version"]) == ("request", "OK", "echo", 1)
    assert (first["rows"], first["request_id"], first["trace_id"]) == (2, '"\n', TRACE)
    assert (second["status"], second["model"], second["version"]) == ("NOT_FOUND", "nobody", None)


def test_without_the_flag_nothing_is_written(tmp_path: Path, access_log: Path) -> None:
    with Server(identity(tmp_path / "models", "echo"), output=access_log) as server:
        server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE)
    assert access_log.read_bytes() == b""


def lost(server: Server) -> float:
    with urllib.request.urlopen(f"http://{server.metrics}/metrics", timeout=PATIENCE) as page:
        text: str = page.read().decode()
    return float(next(line for line in text.splitlines() if line.startswith(LOST)).removeprefix(LOST))


def test_lines_that_cannot_be_written_are_counted_and_told(tmp_path: Path) -> None:
    repository = identity(tmp_path / "models", "echo")
    with Server(repository, flags=["--access-log=true"], output=Path("/dev/full")) as server:
        assert lost(server) == 0
        for _ in range(3):
            server.stub.ModelInfer(ask("echo", 1), timeout=PATIENCE)
        until = time.monotonic() + PATIENCE
        while lost(server) < 3 and time.monotonic() < until:
            continue
        assert lost(server) == 3
    assert "the lines of 3 requests are missing in the access log" in server.log

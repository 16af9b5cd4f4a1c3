"""SIGTERM with much under way: all that was enqueued is answered, new requests are refused, and the end comes in time.

Also while a version is on its way in beside the one that serves, and while requests wait for one that takes the place
of what was unloaded for it. The small cases are in tests/e2e/test_stop.py.
"""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from tritonclient.grpc import service_pb2

from tests.conformance.messages import Given, fp32, request
from tests.drills.figures import Figures, Scale
from tests.e2e.models import ask, busy, identity, send
from tests.e2e.server import PATIENCE, SERVING, Server
from tests.frontends.grpc.wires import TRANSPORTS
from tests.models import build

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
EXITING = "Server exiting"
UNAVAILABLE, OK = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK
RUN_MS, ROWS = 100, 8
"""A run of the slow model, and the most requests that it answers."""
FOR_EVER_MS = 600_000
LAYERS = 30_000
"""Of a model that takes several seconds to load: more than anything here may wait for."""
IN_TIME = 3.0
"""Seconds by which an end at once may be late."""
LOOK_SECS = 0.01


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> list[str]:
    """The flag that asks for it."""
    if request.param == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    return [f"--grpc-transport={request.param}"]


@pytest.fixture
def in_flight(scale: Scale) -> int:
    """How many requests are under way."""
    return scale.of(100, 400)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return identity(tmp_path / "models", "slow", RUN_MS, max_batch_size=ROWS)


def refusal(server: Server, model: str = "slow") -> grpc.RpcError:
    """What becomes of a request on a connection of its own."""
    with grpc.insecure_channel(server.grpc) as channel:
        infer: Any = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            service_pb2.ModelInferRequest.SerializeToString,
            service_pb2.ModelInferResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as refused:
            infer(ask(model, 9), timeout=PATIENCE)
        return refused.value


def wait_for(condition: Callable[[], bool], what: str, server: Server) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"{what} in vain\n{server.tail()}"
        time.sleep(LOOK_SECS)


def wait_for_refusals(server: Server) -> None:
    asked = service_pb2.ModelMetadataRequest(name="slow")
    wait_for(lambda: server.stub.ModelMetadata.future(asked, timeout=PATIENCE).code() is UNAVAILABLE, "refused", server)


def index(server: Server, name: str) -> list[tuple[str, str, str]]:
    models = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return [(model.version, model.state, model.reason) for model in models if model.name == name]


def long_load(place: Path) -> Path:
    """Write a version that takes several seconds to load; it is put in place by a rename."""
    build.mlp(place / "model.onnx", [8] * LAYERS)
    return place


@pytest.fixture(scope="module")
def slow_to_load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_load(tmp_path_factory.mktemp("slow_to_load")) / "model.onnx"


def drop(slow_to_load: Path, model: Path, number: int) -> None:
    """Have the server begin a load that takes long."""
    staged = model.parent.parent / "staged"
    staged.mkdir()
    (staged / "model.onnx").hardlink_to(slow_to_load)
    staged.rename(model / str(number))


def test_a_hundred_in_flight_are_answered_and_new_ones_refused(
    repository: Path, transport: list[str], in_flight: int, figures: Figures
) -> None:
    with Server(repository, flags=transport) as server:
        watch = server.watch_health("")
        assert next(watch).status == SERVING
        calls = busy(server, "slow", *range(in_flight))
        signalled = server.signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        wait_for_refusals(server)
        for refused in (refusal(server), *(call.exception(PATIENCE) for call in send(server, "slow", 9))):
            assert (refused.code(), refused.details()) == (UNAVAILABLE, EXITING)
        waiting = sum(not call.done() for call in calls)
        values = [struct.unpack("<f", call.result(PATIENCE).raw_output_contents[0])[0] for call in calls]
        seconds = server.wait(0) - signalled
    assert len(values) == in_flight - 1
    assert sorted(values) == sorted(set(values))
    assert set(values) < set(map(float, range(in_flight)))
    assert waiting > in_flight // 2, f"only {waiting} requests waited when new ones were refused"
    figures.tell(f"SIGTERM with {waiting} under way: answered, seconds", f"all, {seconds:.2f}")


def test_a_hundred_in_flight_are_answered_while_a_version_loads(
    repository: Path, transport: list[str], slow_to_load: Path, in_flight: int, figures: Figures
) -> None:
    model = repository / "swapped"
    build.linear(model / "1" / "model.onnx")
    with Server(repository, flags=transport) as server:
        drop(slow_to_load, model, 2)
        wait_for(
            lambda: ("2", "LOADING", "") in [(v, s, "") for v, s, _ in index(server, "swapped")], "loading", server
        )
        calls = busy(server, "slow", *range(in_flight))
        signalled = server.signal(signal.SIGTERM)
        assert {call.code() for call in calls} == {OK}
        answered = time.monotonic()
        ended = server.wait(0)
    assert "swapped version 2 is ready" not in server.log
    figures.tell(
        "SIGTERM in the middle of a load: seconds from the last answer to the end",
        ended - answered,
        f"at most {IN_TIME:g}",
        ended - answered <= IN_TIME,
    )
    figures.tell("SIGTERM in the middle of a load: seconds", ended - signalled)


@pytest.mark.usefixtures("scale")
def test_those_who_wait_for_a_version_that_loads_are_told(
    repository: Path, transport: list[str], slow_to_load: Path, figures: Figures
) -> None:
    model = repository / "swapped"
    build.mlp(model / "1" / "model.onnx", (8, 8))
    (model / "config.pbtxt").write_text('parameters { key: "swap" value { string_value: "replace" } }\n')
    with Server(repository, flags=transport) as server:
        drop(slow_to_load, model, 2)
        wait_for(lambda: all(state != "READY" for _, state, _ in index(server, "swapped")), "unloaded", server)
        asked = request("swapped", Given("INPUT0", "FP32", [1, 8], fp32([0.0] * 8)))
        calls = [server.stub.ModelInfer.future(asked, timeout=PATIENCE) for _ in range(4)]
        late = server.stub.ModelInfer.future(asked, timeout=RUN_MS / 1000)
        assert late.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        signalled = server.signal(signal.SIGTERM)
        told = [call.exception(PATIENCE) for call in calls]
        seconds = server.wait(0) - signalled
    assert {(error.code(), error.details()) for error in told} == {(UNAVAILABLE, EXITING)}
    figures.tell("SIGTERM while requests wait for a load: seconds", seconds, f"at most {IN_TIME:g}", seconds <= IN_TIME)


def test_a_second_signal_ends_a_hung_run_with_a_queue_and_a_load_at_once(
    repository: Path, transport: list[str], slow_to_load: Path, in_flight: int, figures: Figures
) -> None:
    identity(repository, "stuck", FOR_EVER_MS)
    model = repository / "swapped"
    build.linear(model / "1" / "model.onnx")
    with Server(repository, flags=[*transport, "--exit-timeout-secs=500"]) as server:
        drop(slow_to_load, model, 2)
        wait_for(lambda: any(state == "LOADING" for _, state, _ in index(server, "swapped")), "loading", server)
        watch = server.watch_health("")
        assert next(watch).status == SERVING
        calls = send(server, "stuck", *range(in_flight))
        late = server.stub.ModelInfer.future(ask("stuck", 1), timeout=RUN_MS / 1000)
        assert late.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        server.signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        wait_for_refusals(server)
        assert not any(call.done() for call in calls)
        again = server.signal(signal.SIGTERM)
        seconds = server.wait(1) - again
        assert {call.code() for call in calls} == {UNAVAILABLE}
    figures.tell("a second signal beside a hung run: seconds", seconds, f"at most {IN_TIME:g}", seconds <= IN_TIME)

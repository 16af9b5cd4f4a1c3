"""Stopping: health first, then what was queued is answered, new requests are refused, and nothing hangs."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from tritonclient.grpc import service_pb2

from tests.e2e.models import ask, busy, identity
from tests.e2e.server import PATIENCE, SERVING, Server
from tests.models.build import mlp

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
RUN_MS = 400
FOR_EVER_MS = 600_000


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    identity(tmp_path, "slow", RUN_MS)
    return identity(tmp_path, "stuck", FOR_EVER_MS)


def statuses(stream: Any) -> Iterator[int]:
    """Return what a health watch tells until it ends."""
    try:
        yield from (message.status for message in stream)
    except grpc.RpcError as error:
        assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, error  # noqa: PT017


def hang(server: Server) -> Any:
    """Give the server a run that does not end; return the call, once another one has waited behind it in vain."""
    hung = server.stub.ModelInfer.future(ask("stuck", 1), timeout=PATIENCE)
    behind = server.stub.ModelInfer.future(ask("stuck", 2), timeout=RUN_MS / 1000)
    assert behind.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return hung


def wait_for_refusals(server: Server) -> None:
    """Return when the server has begun to refuse: health turns a moment before."""
    began = time.monotonic()
    code = grpc.StatusCode.OK
    while code is grpc.StatusCode.OK and time.monotonic() - began < PATIENCE:
        request = service_pb2.ModelMetadataRequest(name="slow")
        code = server.stub.ModelMetadata.future(request, timeout=PATIENCE).code()
    assert code is grpc.StatusCode.UNAVAILABLE


def test_health_says_it_first_then_the_queue_is_answered_and_new_requests_are_refused(repository: Path) -> None:
    with Server(repository) as server:
        watch = statuses(server.watch_health(""))
        assert next(watch) == SERVING
        calls = busy(server, "slow", 1, 2, 3, 4)
        server.signal(signal.SIGTERM)
        assert next(watch) == NOT_SERVING
        wait_for_refusals(server)
        with pytest.raises(grpc.RpcError) as refused:
            server.stub.ModelInfer(ask("slow", 9), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not all(call.done() for call in calls)
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 3
        assert list(watch) == []
        server.wait(0)


def test_a_watch_of_a_model_says_it_too(repository: Path) -> None:
    with Server(repository) as server:
        watch = statuses(server.watch_health("slow"))
        assert next(watch) == SERVING
        server.signal(signal.SIGTERM)
        assert next(watch) == NOT_SERVING
        server.wait(0)


def test_during_the_shutdown_delay_requests_are_still_served(repository: Path) -> None:
    with Server(repository, flags=["--shutdown-delay-secs=2"]) as server:
        watch = statuses(server.watch_health(""))
        assert next(watch) == SERVING
        stopped = server.signal(signal.SIGTERM)
        assert next(watch) == NOT_SERVING
        assert len(server.stub.ModelInfer(ask("slow", 5), timeout=PATIENCE).raw_output_contents) == 1
        assert server.wait(0) - stopped >= 2


def test_a_hung_run_delays_the_end_by_no_more_than_the_exit_timeout(repository: Path) -> None:
    with Server(repository, flags=["--exit-timeout-secs=1"]) as server:
        call = hang(server)
        stopped = server.signal(signal.SIGTERM)
        assert server.wait(1) - stopped >= 1
        assert call.exception(PATIENCE).code() is grpc.StatusCode.UNAVAILABLE


def test_a_second_signal_ends_it_at_once(repository: Path) -> None:
    with Server(repository, flags=["--exit-timeout-secs=500"]) as server:
        watch = statuses(server.watch_health(""))
        assert next(watch) == SERVING
        hang(server)
        server.signal(signal.SIGTERM)
        assert next(watch) == NOT_SERVING
        server.signal(signal.SIGTERM)
        server.wait(1)


def test_ctrl_c_stops_it_the_same_way(repository: Path) -> None:
    with Server(repository) as server:
        calls = busy(server, "slow", 1, 2, 3)
        server.signal(signal.SIGINT)
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 2
        server.wait(0)


def test_an_idle_server_stops_without_waiting_for_anything(repository: Path) -> None:
    with Server(repository, flags=["--exit-timeout-secs=20"]) as server:
        stopped = server.signal(signal.SIGTERM)
        assert server.wait(0) - stopped < 20


def test_a_signal_while_models_still_load_stops_it(repository: Path) -> None:
    with Server(repository, until_ready=False) as server:
        server.signal(signal.SIGTERM)
        server.wait(0)


def test_a_signal_while_native_code_loads_models_stops_it_with_0(tmp_path: Path) -> None:
    model = mlp(tmp_path / "deep.onnx", [8] * 800)
    for number in range(24):
        version = tmp_path / "models" / f"deep{number}" / "1"
        version.mkdir(parents=True)
        (version / "model.onnx").symlink_to(model)
    flags = ["--model-load-thread-count=8"]
    with Server(tmp_path / "models", flags=flags, until_ready=False) as server:
        server.line(re.compile("can be batched"))
        server.signal(signal.SIGTERM)
        server.wait(0)
    assert "] ready" not in server.log

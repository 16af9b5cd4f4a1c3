"""Taking requests back over the wire: what is cancelled or too late is never executed and costs its mates nothing."""

from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.conformance.messages import Message
from tests.conformance.observation import answer_lines
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server

RUN_MS = 1000


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return identity(tmp_path, "busy", RUN_MS, max_batch_size=4, dims=-1)


def value(response: Message) -> str:
    return answer_lines(response)[-1]


def test_a_cancelled_request_in_the_queue_is_never_executed(repository: Path) -> None:
    with Server(repository) as server:
        first = server.stub.ModelInfer.future(ask("busy", 1, width=2), timeout=PATIENCE)
        server.statistics("busy")  # behind it on the same connection: it was queued before what follows
        queued = [server.stub.ModelInfer.future(ask("busy", 2 + at), timeout=PATIENCE) for at in range(3)]
        server.statistics("busy")
        assert queued[1].cancel()
        assert not first.done()
        assert value(first.result()) == "OUTPUT0 FP32 [1,2] 1.0 1.0"
        assert [value(call.result()) for call in (queued[0], queued[2])] == [
            "OUTPUT0 FP32 [1,1] 2.0",
            "OUTPUT0 FP32 [1,1] 4.0",
        ]
        counted = server.statistics("busy")
    assert (counted.inference_count, counted.execution_count) == (3, 2)
    assert {batch.batch_size: batch.compute_infer.count for batch in counted.batch_stats} == {1: 1, 2: 1}
    assert (counted.inference_stats.success.count, counted.inference_stats.fail.count) == (3, 1)


def test_a_deadline_in_the_queue_is_answered_when_it_passes_and_the_request_never_executed(repository: Path) -> None:
    with Server(repository) as server:
        first = server.stub.ModelInfer.future(ask("busy", 1, width=2), timeout=PATIENCE)
        server.statistics("busy")
        late = server.stub.ModelInfer.future(ask("busy", 2), timeout=RUN_MS / 5 / 1000)
        mate = server.stub.ModelInfer.future(ask("busy", 3), timeout=PATIENCE)
        assert late.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not first.done()
        assert value(mate.result()) == "OUTPUT0 FP32 [1,1] 3.0"
        counted = server.statistics("busy")
    assert (counted.inference_count, counted.execution_count) == (2, 2)
    assert (counted.inference_stats.success.count, counted.inference_stats.fail.count) == (2, 1)


def test_a_deadline_that_passes_during_the_run_drops_the_answer_and_counts_as_executed(repository: Path) -> None:
    with Server(repository) as server:
        late = server.stub.ModelInfer.future(ask("busy", 1), timeout=RUN_MS / 2 / 1000)
        server.statistics("busy")
        mate = server.stub.ModelInfer.future(ask("busy", 2, width=2), timeout=PATIENCE)
        assert late.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert value(mate.result()) == "OUTPUT0 FP32 [1,2] 2.0 2.0"
        counted = server.statistics("busy")
    assert (counted.inference_count, counted.execution_count) == (2, 2)
    assert (counted.inference_stats.success.count, counted.inference_stats.fail.count) == (1, 1)


def test_a_connection_that_goes_away_takes_its_queued_requests_with_it(repository: Path) -> None:
    with Server(repository) as server:
        first = server.stub.ModelInfer.future(ask("busy", 1), timeout=PATIENCE)
        server.statistics("busy")
        with grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)]) as gone:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(gone)
            lost = [stub.ModelInfer.future(ask("busy", 5, width=2), timeout=PATIENCE) for _ in range(3)]
            stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=PATIENCE)
        assert [call.code() for call in lost] == [grpc.StatusCode.CANCELLED] * 3
        assert value(first.result()) == "OUTPUT0 FP32 [1,1] 1.0"
        counted = server.statistics("busy")
    assert (counted.inference_count, counted.execution_count) == (1, 1)
    assert counted.inference_stats.fail.count <= 3, "the transport may have dropped some before they were queued"

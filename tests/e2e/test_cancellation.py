"""Taking requests back over the wire: what is cancelled or too late is never executed and costs its mates nothing."""

from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2_grpc

from tests.conformance.messages import Message
from tests.conformance.observation import answer_lines
from tests.e2e.models import ask, busy, ended, identity, send
from tests.e2e.server import PATIENCE, Server

RUN_MS = 1000
CANCELLED, DEADLINE, OK = grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.OK


def value(response: Message) -> str:
    return answer_lines(response)[-1]


def outcomes(server: Server) -> tuple[int, int, int, int]:
    """Return the model's executions, rows, successes and failures."""
    counted = server.statistics("busy")
    stats = counted.inference_stats
    return counted.execution_count, counted.inference_count, stats.success.count, stats.fail.count


def test_cancelled_requests_in_the_queue_are_never_executed(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS)) as server:
        for call in busy(server, "busy", 1, 2, 3, 4):
            assert call.cancel()
        assert value(server.stub.ModelInfer(ask("busy", 5), timeout=PATIENCE)) == "OUTPUT0 FP32 [1,1] 5.0"
        assert outcomes(server) == (3, 3, 2, 3)  # the first, the one that ran when it was cancelled, and the last


def test_a_request_cancelled_in_a_running_batch_costs_its_mates_nothing(tmp_path: Path) -> None:
    full = ask("busy", *range(8))
    with Server(identity(tmp_path, "busy", RUN_MS, max_batch_size=8)) as server:
        before = ended(server.stub.ModelInfer.future(full, timeout=PATIENCE) for _ in range(2))
        assert next(before).code() is OK
        gone, *mates = send(server, "busy", 1, 2, 3, 4)
        assert next(before).code() is OK  # the four have arrived meanwhile, and run now
        assert gone.cancel()
        assert [value(call.result()) for call in mates] == [f"OUTPUT0 FP32 [1,1] {at}.0" for at in (2, 3, 4)]
        assert outcomes(server) == (3, 20, 5, 1)


def test_a_deadline_in_the_queue_is_told_when_it_passes_and_the_request_never_executed(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS)) as server:
        calls = busy(server, "busy", 1, 2, 3)
        late = server.stub.ModelInfer.future(ask("busy", 4), timeout=RUN_MS / 5 / 1000)
        assert late.exception(PATIENCE).code() is DEADLINE
        assert not all(call.done() for call in calls)
        assert [call.code() for call in calls] == [OK, OK]
        assert outcomes(server) == (3, 3, 3, 1)


def test_a_deadline_that_passes_during_the_run_drops_the_answer_and_counts_as_executed(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS)) as server:
        late = server.stub.ModelInfer.future(ask("busy", 1), timeout=RUN_MS / 2 / 1000)
        assert late.exception(PATIENCE).code() is DEADLINE
        assert value(server.stub.ModelInfer(ask("busy", 2), timeout=PATIENCE)) == "OUTPUT0 FP32 [1,1] 2.0"
        assert outcomes(server) == (2, 2, 1, 1)


def test_a_connection_that_goes_away_takes_its_queued_requests_with_it(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS)) as server:
        calls = busy(server, "busy", 1, 2, 3, 4)
        with grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)]) as gone:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(gone)
            lost = [stub.ModelInfer.future(ask("busy", 5), timeout=PATIENCE) for _ in range(3)]
            assert next(ended(calls)).code() is OK  # the others have arrived meanwhile
        assert [call.code() for call in lost] == [CANCELLED] * 3
        assert [call.code() for call in calls] == [OK] * 3
        assert outcomes(server) == (4, 4, 4, 3)


def test_many_deadlines_that_pass_just_when_the_server_says_so_leave_a_clean_log(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS // 2)) as server:
        (first,) = send(server, "busy", 1)
        late = [server.stub.ModelInfer.future(ask("busy", 2), timeout=0.1 + at / 2000) for at in range(400)]
        assert {call.code() for call in late} == {DEADLINE}
        assert first.code() is OK
    assert "ExecuteBatchError" not in server.log

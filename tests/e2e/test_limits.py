"""Limits: what is too much is refused at once, in words that name the limit, and what was accepted is served."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.conformance.messages import Given, fp32, request
from tests.e2e.models import ask, ended, identity, send
from tests.e2e.server import PATIENCE, Server

RUN_MS = 500
KIB = 1024
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


def wide(model: str, nbytes: int) -> Any:
    floats = nbytes // 4
    return request(model, Given("INPUT0", "FP32", [1, floats], fp32([0.5] * floats)))


def outcomes(calls: Sequence[Any]) -> Counter[grpc.StatusCode]:
    return Counter(call.code() for call in calls)


def pushback(call: Any) -> list[str]:
    return [value for key, value in call.trailing_metadata() if key == "grpc-retry-pushback-ms"]


def test_a_message_above_the_limit_is_refused_by_the_flag_s_name(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo", dims=-1), flags=[f"--grpc-max-message-size={64 * KIB}"]) as server:
        assert server.stub.ModelInfer(wide("echo", 60 * KIB), timeout=PATIENCE).outputs[0].shape == [1, 15 * KIB]
        for nbytes in (64 * KIB, 65 * KIB, 1024 * KIB):
            with pytest.raises(grpc.RpcError) as refused:
                server.stub.ModelInfer(wide("echo", nbytes), timeout=PATIENCE)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "--grpc-max-message-size" in (refused.value.details() or "")
        assert server.stub.ModelInfer(wide("echo", 4), timeout=PATIENCE).outputs[0].shape == [1, 1]


def test_large_messages_pass_both_ways_by_default(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "echo", dims=-1)) as server:
        channel = grpc.insecure_channel(server.grpc, options=[("grpc.max_receive_message_length", -1)])
        server.channel.close()
        server.channel = channel
        message = wide("echo", 20 * KIB * KIB)
        reply = server.stub.ModelInfer(message, timeout=PATIENCE)
    assert reply.raw_output_contents[0] == message.raw_input_contents[0]


def test_a_full_queue_refuses_at_once_and_asks_not_to_retry(tmp_path: Path) -> None:
    policy = "dynamic_batching { default_queue_policy { max_queue_size: 2 } }"
    with Server(identity(tmp_path, "busy", RUN_MS, more=policy)) as server:
        message = ask("busy", 1, request_id="seven")
        calls = list(ended(server.stub.ModelInfer.future(message, timeout=PATIENCE) for _ in range(10)))
        counted = server.statistics("busy").inference_stats
    assert outcomes(calls)[OK] in {2, 3}  # the queue's two, and one more if it ran by the time the third came
    refused = calls[: outcomes(calls)[UNAVAILABLE]]
    assert outcomes(refused) == {UNAVAILABLE: 10 - outcomes(calls)[OK]}  # all before the first answer
    assert {call.details() for call in refused} == {"[request id: seven] Exceeds maximum queue size"}
    assert [pushback(call) for call in refused] == [["-1"]] * len(refused)
    assert (counted.success.count, counted.fail.count) == (10 - len(refused), len(refused))


def test_a_queue_without_a_limit_of_its_own_has_the_server_s(tmp_path: Path) -> None:
    with Server(identity(tmp_path, "busy", RUN_MS), flags=["--max-queue-size=1"]) as server:
        calls = list(ended(send(server, "busy", *range(6))))
    assert outcomes(calls)[OK] in {1, 2}
    assert outcomes(calls[: 6 - outcomes(calls)[OK]]) == {UNAVAILABLE: 6 - outcomes(calls)[OK]}


def test_a_queue_timeout_is_told_while_the_model_is_busy(tmp_path: Path) -> None:
    policy = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 50000 } }"
    with Server(identity(tmp_path, "busy", RUN_MS, more=policy)) as server:
        *late, answered = ended(send(server, "busy", 1, 2, 3))
        assert answered.code() is OK
        assert {(call.code(), call.details()) for call in late} == {(UNAVAILABLE, "Request timeout expired")}
        assert server.statistics("busy").execution_count == 1


def test_bytes_in_flight_are_bounded_and_free_again_after_the_answers(tmp_path: Path) -> None:
    repository = identity(tmp_path, "busy", RUN_MS, dims=-1)
    with Server(repository, flags=[f"--max-bytes-in-flight={100 * KIB}"]) as server:
        message = wide("busy", 60 * KIB)
        *refused, answered = ended(server.stub.ModelInfer.future(message, timeout=PATIENCE) for _ in range(3))
        assert answered.code() is OK
        assert outcomes(refused) == {UNAVAILABLE: 2}
        assert [pushback(call) for call in refused] == [["-1"], ["-1"]]
        assert all("--max-bytes-in-flight" in call.details() for call in refused)
        assert all(str(100 * KIB) in call.details() for call in refused)
        assert server.stub.ModelInfer.future(message, timeout=PATIENCE).code() is OK

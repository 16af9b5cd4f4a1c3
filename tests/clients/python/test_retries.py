"""When a call is sent again, and when never."""

import json
import time

import grpc
import numpy as np
import pytest

from naiad_client import InferOptions, Retries, SequenceStep, StatusError, Unavailable
from naiad_client.connection import Connection
from tests.clients.python.conftest import Open
from tests.clients.python.scripted import Scripted, fails

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
QUICK = Retries(initial_backoff=0.01, max_backoff=0.02)


def previous_attempts(server: Scripted) -> list[str | None]:
    return [attempt.metadata.get("grpc-previous-rpc-attempts") for attempt in server.attempts]


def test_what_is_unavailable_is_sent_again(server: Scripted, opened: Open) -> None:
    server.script.extend([fails(UNAVAILABLE)] * 2)
    assert opened(server.address, retries=QUICK).infer("m", [1.0]).y.tolist() == [1.0]
    assert previous_attempts(server) == [None, "1", "2"]


def test_clients_retry_unless_told_otherwise(server: Scripted, opened: Open) -> None:
    server.script.append(fails(UNAVAILABLE))
    assert opened(server.address).infer("m", [1.0]).y.tolist() == [1.0]
    server.script.append(fails(UNAVAILABLE))
    with pytest.raises(Unavailable):
        opened(server.address, retries=None).infer("m", [1.0])
    assert previous_attempts(server) == [None, "1", None]


def test_there_are_no_more_attempts_than_allowed(server: Scripted, opened: Open) -> None:
    server.script.extend([fails(UNAVAILABLE)] * 9)
    with pytest.raises(Unavailable):
        opened(server.address, retries=Retries(attempts=3, initial_backoff=0.01)).infer("m", [1.0])
    assert len(server.attempts) == 3


@pytest.mark.parametrize(
    "code",
    [code for code in grpc.StatusCode if code not in (UNAVAILABLE, grpc.StatusCode.OK)],
    ids=lambda code: code.name,
)
def test_no_other_status_is_sent_again(server: Scripted, opened: Open, code: grpc.StatusCode) -> None:
    server.script.append(fails(code))
    with pytest.raises(StatusError):
        opened(server.address, retries=QUICK).infer("m", [1.0])
    assert len(server.attempts) == 1


def test_a_server_that_asks_not_to_be_tried_again_is_not(server: Scripted, opened: Open) -> None:
    server.script.append(fails(UNAVAILABLE, "full", ("grpc-retry-pushback-ms", "-1")))
    with pytest.raises(Unavailable, match="full"):
        opened(server.address, retries=QUICK).infer("m", [1.0])
    assert len(server.attempts) == 1


def test_a_server_that_asks_for_time_gets_it(server: Scripted, opened: Open) -> None:
    server.script.append(fails(UNAVAILABLE, "wait", ("grpc-retry-pushback-ms", "300")))
    client = opened(server.address, retries=QUICK)
    client.metadata("m")
    before = time.monotonic()
    client.infer("m", [1.0])
    assert time.monotonic() - before >= 0.3
    assert len(server.attempts) == 2


@pytest.mark.parametrize(
    "options",
    [{"sequence": SequenceStep(7, start=True)}, {"sequence": SequenceStep("a")}, {"parameters": {"sequence_id": 7}}],
    ids=["numbered", "named", "by parameter"],
)
def test_a_request_of_a_sequence_is_sent_once(server: Scripted, opened: Open, options: InferOptions) -> None:
    client = opened(server.address, retries=QUICK)
    server.script.append(fails(UNAVAILABLE))
    with pytest.raises(Unavailable):
        client.infer("m", [1.0], **options)
    assert len(server.attempts) == 1
    assert client.infer("m", [2.0], **options).y.tolist() == [2.0]


def test_grpc_is_left_no_retries_of_its_own_for_a_sequence() -> None:
    assert ("grpc.enable_retries", 0) in Connection("host:1").options(once=True)
    assert ("grpc.enable_retries", 0) not in Connection("host:1").options(once=False)


def test_a_sequence_is_told_by_its_parameters(server: Scripted, opened: Open) -> None:
    opened(server.address).infer("m", [1.0], sequence=SequenceStep(7, start=True))
    sent = server.attempts[0].request.parameters
    assert (sent["sequence_id"].int64_param, sent["sequence_start"].bool_param) == (7, True)
    assert sent["sequence_end"].WhichOneof("parameter_choice") == "bool_param"


def test_failures_use_up_what_may_be_sent_again(server: Scripted, opened: Open) -> None:
    client = opened(server.address, retries=Retries(initial_backoff=0.01, max_tokens=4, token_ratio=0.5))
    server.script.extend([fails(UNAVAILABLE)] * 3)
    for attempts in (2, 3):
        with pytest.raises(Unavailable):
            client.infer("m", [1.0])
        assert len(server.attempts) == attempts


def test_a_large_request_is_sent_again_as_well(server: Scripted, opened: Open) -> None:
    large = np.arange(2**19, dtype=np.float32)
    server.script.append(fails(UNAVAILABLE))
    assert np.array_equal(opened(server.address, retries=QUICK).infer("m", large).y, large)
    assert previous_attempts(server) == [None, "1"]


def test_the_service_config_is_what_grpc_reads() -> None:
    config = json.loads(Retries(attempts=3, initial_backoff=0.1, max_tokens=7).service_config())
    (methods,) = config["methodConfig"]
    assert methods["retryPolicy"] == {
        "maxAttempts": 3,
        "initialBackoff": "0.100000000s",
        "maxBackoff": "1.000000000s",
        "backoffMultiplier": 2.0,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    assert config["retryThrottling"] == {"maxTokens": 7, "tokenRatio": 0.1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 1},
        {"attempts": 6},
        {"initial_backoff": 0.0},
        {"max_backoff": -1.0},
        {"multiplier": float("nan")},
        {"max_tokens": 0},
        {"max_tokens": 1001},
        {"token_ratio": 0.0},
    ],
    ids=str,
)
def test_what_grpc_would_ignore_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: expected .*, got {wrong[name]}"):
        Retries(**wrong)  # type: ignore[arg-type] # attempts and max_tokens are integers


@pytest.mark.parametrize("wrong", [0, ""])
def test_a_sequence_has_an_id(wrong: int | str) -> None:
    with pytest.raises(ValueError, match=f"must not be 0 or empty, got {wrong!r}"):
        SequenceStep(wrong)

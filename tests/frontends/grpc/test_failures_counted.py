"""Every request over the wire that fails is counted once, with its reason and its model, whoever refused it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from naiad.core.errors import FailureReason
from naiad.core.types import DataType, InferResponse, ResponseHead
from naiad.frontends.grpc import infer
from naiad.frontends.grpc.codec import outline
from naiad.frontends.grpc.infer import GrpcResponder, ModelInfer
from naiad.protocol import grpc_service_pb2 as pb
from tests.frontends.grpc.fakes import FakeCall
from tests.frontends.grpc.requests import raw_request
from tests.frontends.grpc.served import WIRED, Served, error
from tests.frontends.grpc.wires import PATIENCE

LIMIT = 10_000


@pytest.fixture(params=sorted(WIRED))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param, max_message_size=LIMIT) as served:
        yield served


def sound(model: str = "m", width: int = 1) -> pb.ModelInferRequest:
    return raw_request(("x", "FP32", [1, width], bytes(4 * width)), model=model)


def of_model(served: Served) -> dict[FailureReason, int]:
    (statistics,) = served.house.engine.statistics("m", None)
    return {reason: count for reason, count in statistics.failures.items() if count}


def of_nobody(served: Served) -> dict[FailureReason, int]:
    return {reason: count for reason, count in served.house.engine.unserved.items() if count}


def test_what_cannot_be_decoded_counts_for_its_model(served: Served) -> None:
    wrong = sound()
    wrong.inputs[0].datatype = "FLOAT"
    error(served.rpc("ModelInfer"), wrong)
    assert of_model(served) == {FailureReason.INVALID_ARGUMENT: 1}
    assert of_nobody(served) == {}


def test_what_cannot_be_decoded_and_is_for_no_model_that_is_served_counts_for_none(served: Served) -> None:
    wrong = sound("nobody")
    wrong.inputs[0].datatype = "FLOAT"
    error(served.rpc("ModelInfer"), wrong)
    assert (of_model(served), of_nobody(served)) == ({}, {FailureReason.NOT_FOUND: 1})


def test_bytes_that_are_no_request_count_for_no_model(served: Served) -> None:
    raw: Any = served.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"\xff" * 20, timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (of_model(served), of_nobody(served)) == ({}, {FailureReason.INVALID_ARGUMENT: 1})


def test_a_message_above_the_limit_is_refused_with_both_sizes_and_counted(served: Served) -> None:
    code, text = error(served.rpc("ModelInfer"), sound(width=LIMIT // 4))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"larger than the limit of {LIMIT} bytes (--grpc-max-message-size)" in text
    assert of_nobody(served) == {FailureReason.TOO_LARGE: 1}


def test_a_large_message_of_another_method_is_no_failed_inference(served: Served) -> None:
    request = pb.ModelMetadataRequest(name="m" * (LIMIT + 1))
    code, _ = error(served.rpc("ModelMetadata"), request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert of_nobody(served) == {}


def test_a_response_that_cannot_be_encoded_counts_as_a_failure(served: Served) -> None:
    head = ResponseHead("m", "1", (("y", DataType.FP32),))
    misfit = InferResponse(head, "7", (np.ones((1, 2), np.float64),))
    handler = ModelInfer(served.house.engine, lambda _: None)
    GrpcResponder(FakeCall("ModelInfer", streaming=False), handler._sink).send(misfit, True)
    assert of_model(served) == {FailureReason.INTERNAL: 1}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", ("", None, "")),
        (b"\xff\xff", ("", None, "")),
        (pb.ModelInferRequest(model_name="m").SerializeToString(), ("m", None, "")),
        (pb.ModelInferRequest(model_name="m", model_version="3", id="7").SerializeToString(), ("m", 3, "7")),
        (pb.ModelInferRequest(model_name="m", model_version="three").SerializeToString(), ("m", -1, "")),
        (b"\x0a\x01\xff", ("\ufffd", None, "")),
    ],
)
def test_an_outline_has_what_can_be_read_of_a_message(message: bytes, expected: tuple[str, int | None, str]) -> None:
    assert outline(message) == expected


def test_a_bug_in_the_server_counts_as_a_failure(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(infer, "decode", broken)
    code, _ = error(served.rpc("ModelInfer"), sound())
    assert code is grpc.StatusCode.INTERNAL
    assert of_nobody(served) == {FailureReason.INTERNAL: 1}


def test_a_stream_of_inferences_that_is_refused_counts_as_a_failure(served: Served) -> None:
    with pytest.raises(grpc.RpcError):
        list(served.rpc("ModelStreamInfer")(iter([sound()]), timeout=PATIENCE))
    assert of_nobody(served) == {FailureReason.UNIMPLEMENTED: 1}


def test_a_version_that_is_no_number_counts_for_no_model(served: Served) -> None:
    wrong = sound()
    wrong.model_version = "latest"
    error(served.rpc("ModelInfer"), wrong)
    assert (of_model(served), of_nobody(served)) == ({}, {FailureReason.INVALID_ARGUMENT: 1})

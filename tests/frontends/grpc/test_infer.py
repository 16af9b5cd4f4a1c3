"""Replies on their way out: collected per thread, encoded where they are made, and never lost to a bug."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from naiad.core.errors import Cancelled, NotFound, Rejected
from naiad.core.types import Array, DataType, InferResponse, ResponseHead
from naiad.frontends.grpc.infer import GrpcResponder, ModelInfer, ReplySink, trace_id
from naiad.frontends.grpc.transport import OK, Reply
from naiad.frontends.status import GrpcStatus
from naiad.protocol import grpc_service_pb2 as pb
from tests.core.house import House
from tests.core.scripted import Scripted, config, eventually
from tests.frontends.grpc.fakes import FakeCall
from tests.frontends.grpc.served import infer_request

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Sent:
    """Where a sink sends: each list as it came."""

    def __init__(self) -> None:
        self.lists: list[list[Reply]] = []

    def __call__(self, replies: Sequence[Reply]) -> None:
        self.lists.append(list(replies))


def response(array: Array | None = None) -> InferResponse:
    array = np.ones((1, 2), np.float32) if array is None else array
    return InferResponse(ResponseHead("m", "1", (("y", DataType.FP32),)), "7", (array,))


def call() -> FakeCall:
    return FakeCall("ModelInfer", streaming=False)


def test_what_a_thread_collects_leaves_with_its_flush_in_one_list() -> None:
    sent = Sent()
    sink = ReplySink(sent)
    calls = [call() for _ in range(3)]
    for one in calls:
        GrpcResponder(one, sink).send(response(), True)
    assert sent.lists == []
    sink.flush()
    sink.flush()
    assert [[reply.call for reply in replies] for replies in sent.lists] == [calls]
    assert pb.ModelInferResponse.FromString(b"".join(sent.lists[0][0].parts or ())).id == "7"
    assert sent.lists[0][0].trailers is OK


def test_a_flush_leaves_alone_what_other_threads_have_collected() -> None:
    sent = Sent()
    sink = ReplySink(sent)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(GrpcResponder(call(), sink).send, response(), True).result()
        sink.flush()
        assert sent.lists == []
        pool.submit(sink.flush).result()
    assert len(sent.lists) == 1


def test_a_second_reply_to_a_call_is_dropped() -> None:
    sent = Sent()
    sink = ReplySink(sent)
    responder = GrpcResponder(call(), sink)
    responder.send(response(), True)
    responder.send(NotFound("late"), True)
    sink.flush()
    assert [[reply.trailers for reply in replies] for replies in sent.lists] == [[OK]]


def test_errors_are_told_by_their_code_and_a_rejection_asks_not_to_retry() -> None:
    sent = Sent()
    sink = ReplySink(sent)
    for error in (NotFound("nothing"), Rejected("full"), Cancelled("")):
        GrpcResponder(call(), sink).send(error, True)
    sink.flush()
    told = [reply.trailers for reply in sent.lists[0]]
    assert [t and (t.code, t.message, t.metadata) for t in told] == [
        (GrpcStatus.NOT_FOUND, "nothing", ()),
        (GrpcStatus.UNAVAILABLE, "full", (("grpc-retry-pushback-ms", "-1"),)),
        (GrpcStatus.CANCELLED, "", ()),
    ]


def test_a_response_that_does_not_fit_its_head_is_an_internal_error() -> None:
    sent = Sent()
    sink = ReplySink(sent)
    GrpcResponder(call(), sink).send(response(np.ones((1, 2), np.float64)), True)
    sink.flush()
    trailers = sent.lists[0][0].trailers
    assert trailers is not None
    assert trailers.code is GrpcStatus.INTERNAL
    assert "output 'y'" in trailers.message


def test_a_bug_in_the_encoding_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent = Sent()
    sink = ReplySink(sent)
    broken = response()._replace(arrays=(None,))  # type: ignore[arg-type]  # what no engine gives
    with caplog.at_level(logging.ERROR):
        GrpcResponder(call(), sink).send(broken, True)
    sink.flush()
    trailers = sent.lists[0][0].trailers
    assert trailers is not None
    assert trailers.code is GrpcStatus.INTERNAL
    assert "unexpected AttributeError" in trailers.message
    assert caplog.records[0].exc_info is not None


def test_a_request_that_was_answered_is_given_back_without_the_garbage_collector() -> None:
    sent = Sent()
    gc.disable()
    try:
        with House() as house:
            house.serve(config("m"), [Scripted()])
            infer = ModelInfer(house.engine, sent)
            one = call()
            infer(one, infer_request().SerializeToString())
            alive = weakref.ref(one)
            eventually(lambda: bool(sent.lists))
            del one
            sent.lists.clear()
            assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("traceparent", "found"),
    [
        (None, ""),
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        ("00-short-00f067aa0ba902b7-01", ""),
        ("garbage", ""),
        (b"\x00", ""),
    ],
)
def test_the_trace_id_is_that_of_the_traceparent(traceparent: str | bytes | None, found: str) -> None:
    assert trace_id(traceparent) == found

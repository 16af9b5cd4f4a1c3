"""From events to handlers: who gets what, and what becomes of errors."""

from __future__ import annotations

import logging

import pytest

from naiad.core.errors import Code, InvalidArgument, NaiadError, NotFound, Rejected
from naiad.frontends.grpc.dispatch import LONGEST_TEXT, Dispatcher, answering, failure, parse
from naiad.frontends.grpc.transport import OK, Buffer, Call, Event, Kind, Method, Reply, Trailers
from naiad.frontends.status import STATUS, GrpcStatus
from naiad.protocol import grpc_service_pb2 as pb
from tests.frontends.grpc.fakes import FakeCall


class Recorder:
    """A stream that records its events; told to, it raises."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.seen: list[object] = []
        self.raises: Exception | None = None

    def message(self, message: Buffer) -> None:
        self.seen.append(message)
        if self.raises is not None:
            raise self.raises

    def half_close(self) -> None:
        self.seen.append("half_close")

    def writable(self) -> None:
        self.seen.append("writable")

    def cancel(self) -> None:
        self.seen.append("cancel")


class Board:
    """A dispatcher with one method of each kind, and what it sent."""

    def __init__(self) -> None:
        self.sent: list[list[Reply]] = []
        self.streams: list[Recorder] = []
        self.error: Exception | None = None
        self.dispatcher = Dispatcher(
            lambda replies: self.sent.append(list(replies)),
            {"/now": self._now, "/later": lambda _, __: None},
            {"/stream": self._open},
        )

    def _now(self, call: Call, message: Buffer) -> Reply:
        if self.error is not None:
            raise self.error
        return Reply(call, (message,), OK)

    def _open(self, call: Call) -> Recorder:
        if self.error is not None:
            raise self.error
        self.streams.append(Recorder(call))
        return self.streams[-1]

    def dispatch(self, *events: Event) -> None:
        self.dispatcher.dispatch(events)


def unary(method: str = "/now") -> FakeCall:
    return FakeCall(method, streaming=False)


def test_a_transport_is_asked_to_accept_every_method() -> None:
    assert Board().dispatcher.methods == (Method("/now"), Method("/later"), Method("/stream", streaming=True))


def test_what_is_answered_at_once_is_sent_together_and_in_order() -> None:
    board = Board()
    calls = [unary(), unary("/later"), unary()]
    board.dispatch(*(Event(Kind.MESSAGE, call, b"%d" % i) for i, call in enumerate(calls)))
    assert board.sent == [[Reply(calls[0], (b"0",), OK), Reply(calls[2], (b"2",), OK)]]


def test_nothing_is_sent_where_nothing_is_answered() -> None:
    board = Board()
    board.dispatch(Event(Kind.MESSAGE, unary("/later"), b""))
    assert board.sent == []


def test_a_stream_gets_its_events_in_order() -> None:
    board = Board()
    call = FakeCall("/stream")
    kinds = (Kind.OPEN, Kind.MESSAGE, Kind.WRITABLE, Kind.HALF_CLOSE, Kind.CANCEL)
    board.dispatch(*(Event(kind, call, b"m" if kind is Kind.MESSAGE else b"") for kind in kinds))
    [stream] = board.streams
    assert (stream.call, stream.seen) == (call, [b"m", "writable", "half_close", "cancel"])
    assert board.sent == []


def test_what_waits_for_its_answer_is_told_when_the_call_is_cancelled() -> None:
    board, call = Board(), unary("/later")
    pending = Recorder(call)
    call.state = pending
    board.dispatch(Event(Kind.CANCEL, call))
    assert pending.seen == ["cancel"]


def test_a_cancel_that_nobody_waits_for_is_nothing() -> None:
    board = Board()
    board.dispatch(Event(Kind.CANCEL, unary()), Event(Kind.CANCEL, FakeCall("/stream")))
    assert board.sent == []


@pytest.mark.parametrize("kind", NaiadError.__subclasses__())
def test_an_error_ends_its_call_with_its_code_and_text_and_no_other(kind: type[NaiadError]) -> None:
    board = Board()
    board.error = kind("what is wrong")
    first, second = unary(), unary("/later")
    board.dispatch(Event(Kind.MESSAGE, first, b""), Event(Kind.MESSAGE, second, b""))
    [[reply]] = board.sent
    assert (reply.call, reply.parts) == (first, None)
    assert reply.trailers == Trailers(STATUS[kind.code].grpc, "what is wrong")


def test_an_error_at_open_ends_the_stream_and_later_events_are_nothing() -> None:
    board = Board()
    board.error = NotFound("no")
    call = FakeCall("/stream")
    board.dispatch(Event(Kind.OPEN, call), Event(Kind.MESSAGE, call, b"m"), Event(Kind.CANCEL, call))
    assert board.sent == [[Reply(call, None, Trailers(GrpcStatus.NOT_FOUND, "no"))]]


def test_an_error_in_a_stream_ends_it_and_it_hears_no_more() -> None:
    board, call = Board(), FakeCall("/stream")
    board.dispatch(Event(Kind.OPEN, call))
    [stream] = board.streams
    stream.raises = InvalidArgument("bad")
    board.dispatch(Event(Kind.MESSAGE, call, b"m"), Event(Kind.HALF_CLOSE, call), Event(Kind.CANCEL, call))
    assert board.sent == [[Reply(call, None, Trailers(GrpcStatus.INVALID_ARGUMENT, "bad"))]]
    assert stream.seen == [b"m"]


def test_a_bug_is_answered_as_internal_and_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    board, call = Board(), unary()
    board.error = ZeroDivisionError("secret")
    with caplog.at_level(logging.ERROR):
        board.dispatch(Event(Kind.MESSAGE, call, b""))
    [[reply]] = board.sent
    text = "unexpected ZeroDivisionError in /now; the server's log has more"
    assert reply.trailers == Trailers(GrpcStatus.INTERNAL, text)
    assert "ZeroDivisionError: secret" in caplog.text


def test_a_rejection_asks_clients_not_to_retry() -> None:
    trailers = failure(unary(), Rejected("full")).trailers
    assert trailers is not None
    assert trailers.metadata == (("grpc-retry-pushback-ms", "-1"),)


def test_a_long_text_is_cut_and_says_so() -> None:
    trailers = failure(unary(), NotFound("x" * (LONGEST_TEXT + 1))).trailers
    assert trailers is not None
    assert trailers.message == "x" * LONGEST_TEXT + f"... ({LONGEST_TEXT + 1} characters)"
    exact = failure(unary(), NotFound("x" * LONGEST_TEXT)).trailers
    assert exact is not None
    assert exact.message == "x" * LONGEST_TEXT


def test_a_message_may_be_a_view() -> None:
    message = pb.ModelReadyRequest(name="m").SerializeToString()
    assert parse(pb.ModelReadyRequest, memoryview(message)).name == "m"


def test_answering_reads_asks_and_writes() -> None:
    handle = answering(pb.ModelReadyRequest, lambda request: pb.ModelReadyResponse(ready=request.name == "m"))
    call = unary()
    reply = handle(call, pb.ModelReadyRequest(name="m").SerializeToString())
    assert reply == Reply(call, (pb.ModelReadyResponse(ready=True).SerializeToString(),), OK)


def test_every_code_can_be_told() -> None:
    assert {kind.code for kind in NaiadError.__subclasses__()} >= set(Code) - {Code.INTERNAL}

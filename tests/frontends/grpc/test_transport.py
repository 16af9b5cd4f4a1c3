"""What every gRPC transport does, over a real connection with grpcio's client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty

import grpc
import pytest

from naiad.frontends.grpc.transport import (
    HIGH_WATER,
    OK,
    Event,
    Kind,
    Reply,
    Trailers,
    Transport,
    TransportSettings,
    too_large,
)
from naiad.frontends.status import GrpcStatus
from tests.frontends.grpc.wires import PATIENCE, STREAM, TRANSPORTS, UNARY, WINDOW, Wire, begin

LIMIT = 64 * 1024 * 1024
MB = 2**20
Make = Callable[[TransportSettings], Transport]


@pytest.fixture(params=sorted(TRANSPORTS))
def make(request: pytest.FixtureRequest) -> Make:
    return TRANSPORTS[request.param]


@pytest.fixture
def wire(make: Make) -> Iterator[Wire]:
    with Wire(make, TransportSettings(port=0, max_message_size=LIMIT)) as wire:
        yield wire


# Unary calls.


def test_a_unary_call_is_one_message_and_takes_one_reply(wire: Wire) -> None:
    answer = wire.call(b"question", metadata=(("x-key", "value"), ("x-key-bin", b"\x00\xff")))
    event = wire.next(Kind.MESSAGE)
    assert (event.call.method, event.call.streaming, bytes(event.message)) == (UNARY, False, b"question")
    assert ("x-key", "value") in event.call.metadata
    assert ("x-key-bin", b"\x00\xff") in event.call.metadata
    assert "127.0.0.1" in event.call.peer
    assert event.call.writable
    wire.reply(event, b"answer")
    assert answer.result(PATIENCE) == b"answer"
    assert wire.quiet()


def test_messages_may_be_empty(wire: Wire) -> None:
    answer = wire.call(b"")
    event = wire.next(Kind.MESSAGE)
    assert bytes(event.message) == b""
    wire.reply(event)
    assert answer.result(PATIENCE) == b""


def test_the_parts_of_a_reply_arrive_as_one_message(wire: Wire) -> None:
    answer = wire.call(b"q")
    parts = (b"one ", memoryview(b"two "), memoryview(bytearray(b"and three"))[4:])
    wire.transport.send([Reply(wire.next(Kind.MESSAGE).call, parts, OK)])
    assert answer.result(PATIENCE) == b"one two three"


def test_one_send_answers_many_calls(wire: Wire) -> None:
    answers = [wire.call(b"%d" % i) for i in range(20)]
    events = [wire.next(Kind.MESSAGE) for _ in answers]
    wire.transport.send([Reply(event.call, (event.message,), OK) for event in events])
    assert [answer.result(PATIENCE) for answer in answers] == [b"%d" % i for i in range(20)]


def test_an_error_reaches_the_client_with_its_text_and_metadata(wire: Wire) -> None:
    answer = wire.call(b"q")
    metadata = (("grpc-retry-pushback-ms", "-1"), ("why-bin", b"\x01\x02"))
    wire.end(wire.next(Kind.MESSAGE), Trailers(GrpcStatus.NOT_FOUND, "no model 'größer'\nhere", metadata))
    assert answer.exception(PATIENCE) is not None
    assert (answer.code(), answer.details()) == (grpc.StatusCode.NOT_FOUND, "no model 'größer'\nhere")
    trailing = dict(answer.trailing_metadata())
    assert trailing.items() >= {("grpc-retry-pushback-ms", "-1"), ("why-bin", b"\x01\x02")}


def test_trailing_metadata_go_with_a_good_reply_too(wire: Wire) -> None:
    answer = wire.call(b"q")
    trailers = Trailers(GrpcStatus.OK, metadata=(("cost", "3"),))
    wire.transport.send([Reply(wire.next(Kind.MESSAGE).call, (b"a",), trailers)])
    assert answer.result(PATIENCE) == b"a"
    assert ("cost", "3") in tuple(answer.trailing_metadata())


@pytest.mark.parametrize("status", [s for s in GrpcStatus if s is not GrpcStatus.OK])
def test_every_status_arrives_as_it_was_sent(wire: Wire, status: GrpcStatus) -> None:
    answer = wire.call(b"q")
    wire.end(wire.next(Kind.MESSAGE), Trailers(status, "text"))
    assert answer.exception(PATIENCE) is not None
    assert (answer.code().value[0], answer.details()) == (status, "text")


def test_a_method_that_nobody_has_is_unimplemented(wire: Wire) -> None:
    answer = begin(wire.channel, b"q", "/test.Service/Nothing")
    assert answer.exception(PATIENCE) is not None
    assert answer.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_deadline_is_handed_on_in_monotonic_seconds(wire: Wire) -> None:
    before = time.monotonic()
    answer = wire.call(b"q", timeout=1000)  # which grpc's client rounds up by at most 1 %
    event = wire.next(Kind.MESSAGE)
    deadline = event.call.deadline
    assert deadline is not None
    assert before + 999 < deadline < time.monotonic() + 1011
    wire.reply(event)
    answer.result(PATIENCE)


def test_a_call_without_deadline_has_none(wire: Wire) -> None:
    answer = wire.call(b"q")
    event = wire.next(Kind.MESSAGE)
    assert event.call.deadline is None
    wire.reply(event)
    answer.result(PATIENCE)


def test_a_call_that_the_client_takes_back_is_cancelled(wire: Wire) -> None:
    answer = wire.call(b"q")
    event = wire.next(Kind.MESSAGE)
    answer.cancel()
    assert wire.next(Kind.CANCEL).call is event.call
    wire.reply(event, b"too late")  # is dropped, and harms nobody
    answer = wire.call(b"next")
    wire.reply(wire.next(Kind.MESSAGE), b"fine")
    assert answer.result(PATIENCE) == b"fine"
    assert wire.quiet()


def test_a_call_whose_deadline_passes_is_cancelled(wire: Wire) -> None:
    answer = wire.call(b"q", timeout=0.2)
    event = wire.next(Kind.MESSAGE)
    assert wire.next(Kind.CANCEL).call is event.call
    assert answer.exception(PATIENCE) is not None
    assert answer.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_calls_of_a_connection_that_breaks_are_cancelled(wire: Wire) -> None:
    channel = wire.connect()
    answers = [begin(channel, b"q") for _ in range(3)]
    calls = {id(wire.next(Kind.MESSAGE).call) for _ in answers}
    channel.close()
    assert {id(wire.next(Kind.CANCEL).call) for _ in answers} == calls


def test_large_messages_pass_both_ways(wire: Wire) -> None:
    message = bytes(range(256)) * (20 * MB // 256)
    answer = wire.call(message)
    event = wire.next(Kind.MESSAGE)
    assert bytes(event.message) == message
    wire.reply(event, message, b"!")
    assert answer.result(PATIENCE) == message + b"!"


def test_many_threads_may_send_at_a_time(wire: Wire) -> None:
    def answer(event: Event) -> None:
        wire.reply(event, b"re: " + bytes(event.message))

    with ThreadPoolExecutor(8) as pool:
        answers = [wire.call(b"%d" % i) for i in range(300)]
        for _ in answers:
            pool.submit(answer, wire.next(Kind.MESSAGE))
        assert [a.result(PATIENCE) for a in answers] == [b"re: %d" % i for i in range(300)]
    assert wire.quiet()


# Limits.


def test_a_message_at_the_limit_passes_and_of_one_byte_more_the_service_hears_by_name(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_message_size=1000)) as wire:
        answer = wire.call(bytes(1000))
        wire.reply(wire.next(Kind.MESSAGE), b"fits")
        assert answer.result(PATIENCE) == b"fits"
        answer = wire.call(bytes(1001))
        event = wire.next(Kind.TOO_LARGE)
        for part in (b"1001", b"1000", b"--grpc-max-message-size"):
            assert part in bytes(event.message)
        wire.end(event, Trailers(GrpcStatus.RESOURCE_EXHAUSTED, "told"))
        assert answer.exception(PATIENCE) is not None
        assert (answer.code(), answer.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "told")
        assert wire.quiet()


def test_a_message_far_above_the_limit_is_refused_unread(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_message_size=1 * MB)) as wire:
        answer = wire.call(bytes(100 * MB))
        with suppress(Empty):  # a transport may refuse it without a word to the service
            event = wire.events.get(timeout=1)
            assert (event.kind, bytes(event.message)) == (Kind.TOO_LARGE, too_large(100 * MB, MB).encode())
            wire.end(event, Trailers(GrpcStatus.RESOURCE_EXHAUSTED))
        assert answer.exception(PATIENCE) is not None
        assert answer.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert wire.quiet()


def test_a_compressed_message_is_held_against_the_limit_as_it_is_uncompressed(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_message_size=1 * MB)) as wire:
        answer = wire.call(bytes(2 * MB), compression=grpc.Compression.Gzip)
        event = wire.next(Kind.TOO_LARGE)
        assert str(2 * MB).encode() in bytes(event.message)
        wire.end(event, Trailers(GrpcStatus.RESOURCE_EXHAUSTED))
        assert answer.exception(PATIENCE) is not None
        assert answer.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert wire.quiet()


# Streams.


def test_a_stream_opens_and_its_messages_and_its_half_close_come_in_order(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    assert (opened.call.method, opened.call.streaming) == (STREAM, True)
    stream.send(b"one", b"two")
    stream.half_close()
    assert [bytes(wire.next(Kind.MESSAGE).message) for _ in range(2)] == [b"one", b"two"]
    assert wire.next(Kind.HALF_CLOSE).call is opened.call
    wire.reply(opened, b"1")
    wire.reply(opened, b"2", b"3")
    wire.end(opened)
    assert stream.receive_all() == [b"1", b"23"]
    assert wire.quiet()


def test_a_stream_is_answered_while_it_is_open(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    for i in range(10):
        stream.send(b"ping %d" % i)
        event = wire.next(Kind.MESSAGE)
        assert event.call is opened.call
        wire.reply(event, b"pong %d" % i, credit=1)
        assert stream.receive() == b"pong %d" % i
    stream.half_close()
    wire.next(Kind.HALF_CLOSE)
    wire.end(opened)
    assert stream.receive_all() == []


def test_a_stream_may_end_with_an_error_before_its_client_is_done(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    wire.reply(opened, b"something")
    wire.end(opened, Trailers(GrpcStatus.ABORTED, "enough", (("x-why", "test"),)))
    assert stream.receive() == b"something"
    with pytest.raises(grpc.RpcError):
        stream.receive()
    assert (stream.responses.code(), stream.responses.details()) == (grpc.StatusCode.ABORTED, "enough")
    assert ("x-why", "test") in tuple(stream.responses.trailing_metadata())
    stream.half_close()
    assert wire.quiet()


def test_the_last_message_and_the_end_of_a_stream_may_be_one_reply(wire: Wire) -> None:
    stream = wire.open()
    wire.transport.send([Reply(wire.next(Kind.OPEN).call, (b"last",), OK)])
    assert stream.receive_all() == [b"last"]
    stream.half_close()


def test_replies_to_a_stream_keep_the_order_in_which_they_were_sent(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    for i in range(0, 200, 2):
        wire.transport.send([Reply(opened.call, (b"%d" % (i + k),)) for k in range(2)])
    wire.end(opened)
    assert stream.receive_all() == [b"%d" % i for i in range(200)]
    stream.half_close()


def test_no_more_messages_come_than_the_window_lets_in(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    stream.send(*(b"%d" % i for i in range(2 * WINDOW + 1)))
    for i in range(WINDOW):
        assert bytes(wire.next(Kind.MESSAGE).message) == b"%d" % i
    assert wire.quiet()
    wire.transport.send([Reply(opened.call, None, credit=2)])
    for i in range(WINDOW, WINDOW + 2):
        assert bytes(wire.next(Kind.MESSAGE).message) == b"%d" % i
    assert wire.quiet()
    stream.cancel()
    assert wire.cancelled().kind is Kind.CANCEL


def test_a_slow_reader_makes_a_stream_unwritable_until_it_reads_on(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    sent = 0
    while opened.call.writable:
        wire.reply(opened, bytes(1 * MB))
        sent += 1
        assert sent < 1000, "a reader that does not read never stopped the writer"
    for _ in range(sent):
        assert len(stream.receive()) == MB
    assert wire.next(Kind.WRITABLE).call is opened.call
    assert opened.call.writable
    assert sent >= HIGH_WATER
    wire.end(opened)
    assert stream.receive_all() == []
    stream.half_close()


def test_a_stream_that_the_client_takes_back_is_cancelled_and_then_silent(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    stream.send(b"one")
    wire.next(Kind.MESSAGE)
    stream.cancel()
    event = wire.cancelled()
    assert (event.kind, event.call) == (Kind.CANCEL, opened.call)
    wire.reply(opened, b"too late")
    wire.end(opened)
    assert wire.quiet()


def test_a_stream_with_too_large_a_message_is_refused_by_name_and_cancelled(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_message_size=1000)) as wire:
        stream = wire.open()
        opened = wire.next(Kind.OPEN)
        stream.send(bytes(1001))
        with pytest.raises(grpc.RpcError):
            stream.receive()
        assert stream.responses.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "--grpc-max-message-size" in stream.responses.details()
        assert wire.next(Kind.CANCEL).call is opened.call
        stream.half_close()


# Life.


def test_a_port_in_use_is_an_error_that_says_so(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1 port {port}.*[Aa]ddress already in use"):
            Wire(make, TransportSettings(port=port))


def test_a_host_that_does_not_exist_is_an_error_that_says_so(make: Make) -> None:
    with pytest.raises(OSError, match=r"nowhere\.invalid"):
        Wire(make, TransportSettings(host="nowhere.invalid", port=0))


def test_ipv6_addresses_are_served(make: Make) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with Wire(make, TransportSettings(host="::1", port=0)) as wire:
        channel = grpc.insecure_channel(f"[::1]:{wire.port}")
        answer = begin(channel, b"q")
        wire.reply(wire.next(Kind.MESSAGE), b"a")
        assert answer.result(PATIENCE) == b"a"
        channel.close()


def test_after_refuse_new_calls_end_at_once_and_open_ones_go_on(wire: Wire) -> None:
    open_call, stream = wire.call(b"q"), wire.open()
    events = {event.kind: event for event in (wire.events.get(timeout=PATIENCE) for _ in range(2))}
    wire.transport.refuse(Trailers(GrpcStatus.UNAVAILABLE, "going away"))
    refused, refused_stream = wire.call(b"q"), wire.open()
    assert refused.exception(PATIENCE) is not None
    assert (refused.code(), refused.details()) == (grpc.StatusCode.UNAVAILABLE, "going away")
    with pytest.raises(grpc.RpcError):
        refused_stream.receive()
    assert refused_stream.responses.details() == "going away"
    assert wire.quiet()
    wire.reply(events[Kind.MESSAGE], b"a")
    wire.transport.send([Reply(events[Kind.OPEN].call, (b"s",), OK)])
    assert open_call.result(PATIENCE) == b"a"
    assert stream.receive_all() == [b"s"]
    stream.half_close()
    refused_stream.half_close()


def stopping(wire: Wire, grace: float) -> threading.Thread:
    thread = threading.Thread(target=wire.transport.stop, args=(grace,))
    thread.start()
    return thread


def refused_by(wire: Wire) -> str:
    """Call until the transport refuses; the text."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        probe = wire.call(b"probe", timeout=0.1)
        if probe.exception(PATIENCE) is not None and probe.code() is grpc.StatusCode.UNAVAILABLE:
            return str(probe.details())
    raise AssertionError("new calls were never refused")


def test_stop_waits_for_open_calls_and_refuses_new_ones(wire: Wire) -> None:
    answer = wire.call(b"q")
    event = wire.next(Kind.MESSAGE)
    stopper = stopping(wire, PATIENCE)
    assert refused_by(wire) == "GRPC server is shutting down and has stopped accepting new requests."
    assert stopper.is_alive()
    wire.reply(event, b"in time")
    assert answer.result(PATIENCE) == b"in time"
    stopper.join(PATIENCE)
    assert not stopper.is_alive()


def test_stop_ends_idle_streams_and_tells_the_service(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    stream.send(b"settled")
    wire.next(Kind.MESSAGE)
    wire.reply(opened, b"reply", credit=1)
    assert stream.receive() == b"reply"
    wire.transport.stop(PATIENCE)
    assert wire.next(Kind.CANCEL).call is opened.call
    with pytest.raises(grpc.RpcError):
        stream.receive()
    assert stream.responses.code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in stream.responses.details()
    stream.half_close()


def test_stop_lets_a_busy_stream_settle_what_it_received(wire: Wire) -> None:
    stream = wire.open()
    opened = wire.next(Kind.OPEN)
    stream.send(b"working on it")
    wire.next(Kind.MESSAGE)
    stopper = stopping(wire, PATIENCE)
    refused_by(wire)
    assert stopper.is_alive()
    wire.reply(opened, b"done", credit=1)
    assert stream.receive() == b"done"
    with pytest.raises(grpc.RpcError):
        stream.receive()
    stopper.join(PATIENCE)
    assert not stopper.is_alive()
    stream.half_close()


def test_stop_cancels_what_is_open_after_the_grace(wire: Wire) -> None:
    answer, stream = wire.call(b"q"), wire.open()
    calls = {id(wire.events.get(timeout=PATIENCE).call) for _ in range(2)}
    stream.send(b"never settled")
    wire.next(Kind.MESSAGE)
    wire.transport.stop(0.1)
    assert {id(wire.cancelled().call) for _ in range(2)} == calls
    assert wire.quiet()
    assert answer.exception(PATIENCE) is not None
    stream.half_close()


def test_a_stopped_transport_takes_replies_and_another_stop_quietly(wire: Wire) -> None:
    answer = wire.call(b"q")
    event = wire.next(Kind.MESSAGE)
    wire.transport.stop(0)
    wire.reply(event, b"too late")
    wire.transport.stop(0)
    assert answer.exception(PATIENCE) is not None


def test_the_port_is_free_after_stop(make: Make) -> None:
    with Wire(make, TransportSettings(port=0)) as first:
        port = first.port
        answer = first.call(b"q")
        first.reply(first.next(Kind.MESSAGE), b"a")
        answer.result(PATIENCE)
    with Wire(make, TransportSettings(port=port)) as second:
        assert second.port == port
        answer = second.call(b"q")
        second.reply(second.next(Kind.MESSAGE), b"b")
        assert answer.result(PATIENCE) == b"b"

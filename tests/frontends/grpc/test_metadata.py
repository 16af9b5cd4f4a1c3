"""Metadata of calls, over every transport: what a service reads, what it sends first, and how much may come."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from naiad.frontends.grpc.transport import OK, Kind, Metadata, Reply, Trailers, TransportSettings
from naiad.frontends.status import GrpcStatus
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE, TRANSPORTS, Future, Wire

INITIAL: Metadata = (("x-first", "1"), ("x-first-bin", b"\x00\xff"))
LATE: Metadata = (("x-late", "1"),)
LIMIT = 4096
TOO_MUCH = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
"""How clients name what HTTP/2 servers do with too large a block of headers."""


@pytest.fixture(params=sorted(TRANSPORTS))
def make(request: pytest.FixtureRequest) -> Make:
    return TRANSPORTS[request.param]


@pytest.fixture
def wire(make: Make) -> Iterator[Wire]:
    with Wire(make, TransportSettings(port=0, max_metadata_size=LIMIT)) as wire:
        yield wire


def first_of(call: Future) -> set[tuple[str, str | bytes]]:
    return set(call.initial_metadata())


# What a service reads.


def test_one_value_is_read_without_the_others(wire: Wire) -> None:
    metadata = (("x-key", "first"), ("x-other", "no"), ("x-key", "second"), ("x-key-bin", b"\x00\xff"))
    answer = wire.call(b"q", metadata=metadata)
    event = wire.next(Kind.MESSAGE)
    assert [event.call.value(key) for key in ("x-key", "x-key-bin", "x-nobody")] == ["first", b"\x00\xff", None]
    wire.reply(event, b"a")
    assert answer.result(PATIENCE) == b"a"


def test_nothing_of_a_plain_connection_is_a_certificate(wire: Wire) -> None:
    answer = wire.call(b"q")
    event = wire.next(Kind.MESSAGE)
    assert event.call.certificate is None
    wire.reply(event, b"a")
    assert answer.result(PATIENCE) == b"a"


# What a service sends first.


def test_initial_metadata_go_before_the_answer(wire: Wire) -> None:
    answer = wire.call(b"q")
    wire.transport.send([Reply(wire.next(Kind.MESSAGE).call, (b"a",), OK, initial=INITIAL)])
    assert answer.result(PATIENCE) == b"a"
    assert first_of(answer) >= set(INITIAL)


def test_initial_metadata_go_before_an_error_too(wire: Wire) -> None:
    answer = wire.call(b"q")
    trailers = Trailers(GrpcStatus.NOT_FOUND, "why", LATE)
    wire.transport.send([Reply(wire.next(Kind.MESSAGE).call, None, trailers, initial=INITIAL)])
    assert answer.exception(PATIENCE) is not None
    assert (answer.code(), answer.details()) == (grpc.StatusCode.NOT_FOUND, "why")
    assert first_of(answer) >= set(INITIAL)
    assert set(answer.trailing_metadata()) >= set(LATE)


def test_initial_metadata_of_a_stream_come_with_its_first_message_and_later_ones_are_ignored(wire: Wire) -> None:
    stream = wire.open()
    call = wire.next(Kind.OPEN).call
    wire.transport.send([Reply(call, (b"1",), initial=INITIAL)])
    assert stream.receive() == b"1"
    assert first_of(stream.responses) >= set(INITIAL)
    wire.transport.send([Reply(call, (b"2",), initial=LATE), Reply(call, None, OK, initial=LATE)])
    assert stream.receive_all() == [b"2"]
    assert not first_of(stream.responses) & set(LATE)
    stream.half_close()


def test_initial_metadata_of_a_first_reply_without_a_message_count_too(wire: Wire) -> None:
    stream = wire.open()
    call = wire.next(Kind.OPEN).call
    wire.transport.send([Reply(call, None, initial=INITIAL), Reply(call, (b"last",), OK)])
    assert stream.receive_all() == [b"last"]
    assert first_of(stream.responses) >= set(INITIAL)
    stream.half_close()


def test_initial_metadata_may_go_before_the_error_that_a_stream_is(wire: Wire) -> None:
    stream = wire.open()
    call = wire.next(Kind.OPEN).call
    wire.transport.send([Reply(call, None, Trailers(GrpcStatus.ABORTED, "why"), initial=INITIAL)])
    with pytest.raises(grpc.RpcError):
        stream.receive()
    assert first_of(stream.responses) >= set(INITIAL)
    assert stream.responses.code() is grpc.StatusCode.ABORTED
    stream.half_close()


# How much may come.


@pytest.mark.parametrize("parts", [1, 30])
def test_metadata_below_the_limit_pass_and_above_it_nobody_hears_of_the_call(wire: Wire, parts: int) -> None:
    def metadata(size: int) -> tuple[tuple[str, str], ...]:
        return tuple((f"x-{i:02}", "v" * (size // parts - 36)) for i in range(parts))

    answer = wire.call(b"q", metadata=metadata(LIMIT // 2))
    wire.reply(wire.next(Kind.MESSAGE), b"a")
    assert answer.result(PATIENCE) == b"a"
    refused = wire.call(b"q", metadata=metadata(LIMIT), timeout=PATIENCE)
    assert refused.exception(PATIENCE) is not None
    assert refused.code() in TOO_MUCH
    assert wire.quiet()
    answer = wire.call(b"q")
    wire.reply(wire.next(Kind.MESSAGE), b"a")
    assert answer.result(PATIENCE) == b"a"

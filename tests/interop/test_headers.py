"""What the headers of a call say, and what a transport makes of those that it should not have got."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

import pytest

from naiad.frontends.grpc.transport import Kind, Metadata, TransportSettings
from naiad.frontends.status import GrpcStatus
from tests.interop.conftest import Make, beyond_aio
from tests.interop.echo import STREAM, UNARY, Echo, alive
from tests.interop.peer import Answer, Header, Message, Peer, framed

HELLO = framed(b"hello")
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
TIMEOUTS = {"5H": 18_000, "99999999H": 359_999_996_400, "90M": 5400, "7S": 7, "0300S": 300, "90000m": 90}
each_path = pytest.mark.parametrize("path", [UNARY, STREAM])


def encoded(value: bytes, padded: bool = True) -> str:
    text = base64.b64encode(value).decode()
    return text if padded else text.rstrip("=")


def own(metadata: Metadata) -> list[tuple[str, str | bytes]]:
    """Those that this test sent."""
    return [(key, value) for key, value in metadata if key.startswith("x-")]


# Metadata.


def test_metadata_arrive_in_their_order_and_more_than_once(peer: Peer, echo: Echo) -> None:
    sent = [
        ("x-b", "1"),
        ("x-a", "2, 3"),
        ("x-b", "4"),
        ("x-empty", ""),
        ("x-signs", SIGNS),
    ]
    peer.call(UNARY, HELLO, *sent)
    assert sorted(own(echo.calls[0].metadata)) == sorted(sent)
    assert [value for key, value in echo.calls[0].metadata if key == "x-b"] == ["1", "4"]


def test_what_belongs_to_the_wire_is_no_metadata(peer: Peer, echo: Echo) -> None:
    peer.call(UNARY, HELLO, ("grpc-timeout", "5S"), ("grpc-accept-encoding", "gzip"), ("x-key", "value"))
    keys = {key for key, _ in echo.calls[0].metadata}
    assert keys == {"x-key"}


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("value", [b"", b"\xff", b"\x00\x01", b"foo", bytes(range(256))], ids=len)
def test_binary_metadata_come_with_padding_and_without(peer: Peer, echo: Echo, value: bytes, padded: bool) -> None:
    peer.call(UNARY, HELLO, ("x-data-bin", encoded(value, padded)))
    assert own(echo.calls[0].metadata) == [("x-data-bin", value)]


def test_binary_metadata_may_be_several_in_one_line(peer: Peer, echo: Echo, transport: str) -> None:
    beyond_aio(transport, "grpc's core takes a comma in binary metadata for a mistake")
    values = [b"one", b"\xff\xff\xff\xff", b"three"]
    line = f"{encoded(values[0], padded=False)},{encoded(values[1])}, {encoded(values[2])}"
    peer.call(UNARY, HELLO, ("x-data-bin", line), ("x-data-bin", encoded(b"four")))
    assert own(echo.calls[0].metadata) == [("x-data-bin", value) for value in [*values, b"four"]]


@pytest.mark.parametrize(("key", "value"), [("x-data-bin", "!!!"), ("x-data-bin", "Z"), ("x-text", "größe")])
def test_metadata_that_are_none_break_no_other_call(peer: Peer, echo: Echo, key: str, value: str) -> None:
    peer.call(UNARY, HELLO, (key, value))
    assert alive(peer)
    assert echo.messages in ([b"next"], [b"hello", b"next"])


@pytest.fixture
def strict(make: Make) -> Iterator[Echo]:
    """One that takes few metadata."""
    with Echo(make, TransportSettings(port=0, max_metadata_size=8192)) as echo:
        yield echo


@pytest.fixture
def informed(strict: Echo) -> Iterator[Peer]:
    """A client that knows the limit: grpc's core holds nobody to it who has not acknowledged its settings."""
    with Peer(strict.port) as peer:
        peer.settle()
        yield peer


@pytest.mark.parametrize("size", [9_000, 20_000, 60_000])
def test_metadata_beyond_the_limit_are_refused(informed: Peer, strict: Echo, size: int) -> None:
    assert refused(informed, ("x-long", "a" * size))
    assert strict.calls == []


def test_metadata_within_the_limit_are_taken(informed: Peer, strict: Echo) -> None:
    assert informed.call(UNARY, HELLO, ("x-long", "a" * 7_000)).status == GrpcStatus.OK
    assert own(strict.calls[0].metadata) == [("x-long", "a" * 7_000)]


def test_many_short_metadata_beyond_the_limit_are_refused(informed: Peer, strict: Echo) -> None:
    assert refused(informed, *((f"x-{i}", "value") for i in range(1000)))
    assert strict.calls == []


def refused(peer: Peer, *metadata: Header) -> bool:
    """Whether a call is, or its whole connection with it."""
    try:
        return peer.call(UNARY, HELLO, *metadata).refused
    except ConnectionError:
        return True


# Deadlines.


@pytest.mark.parametrize(("timeout", "seconds"), TIMEOUTS.items())
def test_a_timeout_is_a_deadline(peer: Peer, echo: Echo, timeout: str, seconds: float) -> None:
    peer.call(UNARY, HELLO, ("grpc-timeout", timeout))
    remaining = echo.calls[0].remaining
    assert remaining is not None
    assert math.isclose(remaining, seconds, rel_tol=0.01, abs_tol=10)


@each_path
@pytest.mark.parametrize("timeout", ["99999999u", "99999999n"])
def test_microseconds_and_nanoseconds_are_understood(peer: Peer, echo: Echo, path: str, timeout: str) -> None:
    answer = peer.call(path, HELLO, ("grpc-timeout", timeout))
    assert answer.status in {GrpcStatus.OK, GrpcStatus.DEADLINE_EXCEEDED}
    assert all(call.remaining is not None and call.remaining < 101 for call in echo.calls)


@each_path
@pytest.mark.parametrize("timeout", ["0S", "1n", "0H"])
def test_a_deadline_that_has_passed_ends_the_call(peer: Peer, path: str, timeout: str) -> None:
    stream = peer.begin(path, ("grpc-timeout", timeout))
    assert peer.answer(stream).status == GrpcStatus.DEADLINE_EXCEEDED
    assert alive(peer)


@each_path
def test_a_client_whose_deadline_passes_is_told(peer: Peer, path: str) -> None:
    stream = peer.begin(path, ("grpc-timeout", "100m"))
    answer = peer.answer(stream)
    assert answer.status == GrpcStatus.DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["5", "S", "5X", "5s", "-5S", "1.5S", ""])
def test_a_timeout_that_is_none_is_refused(peer: Peer, echo: Echo, timeout: str) -> None:
    answer = peer.call(UNARY, HELLO, ("grpc-timeout", timeout))
    assert answer.status in {GrpcStatus.INTERNAL, GrpcStatus.INVALID_ARGUMENT}
    assert "grpc-timeout" in answer.text
    assert alive(peer)
    assert echo.messages == [b"next"]


# Requests that are none of gRPC's.


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
def test_content_types_of_grpc_are_taken(peer: Peer, kind: str) -> None:
    assert peer.call(UNARY, HELLO, instead={"content-type": kind}).status == GrpcStatus.OK


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "text/plain", None])
def test_other_content_types_are_refused(peer: Peer, echo: Echo, transport: str, kind: str | None) -> None:
    beyond_aio(transport, "grpc's core takes any content type")
    answer = peer.call(UNARY, HELLO, instead={"content-type": kind})
    assert answer.http_status == "415"
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_other_methods_than_post_are_refused(peer: Peer, echo: Echo, method: str) -> None:
    stream = peer.begin(UNARY, instead={":method": method}, end=True)
    assert peer.answer(stream).refused
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("path", ["nothing", "", "*"])
def test_a_path_that_is_none_is_refused(peer: Peer, path: str) -> None:
    assert peer.call(path, HELLO).refused
    assert alive(peer)


def test_a_client_that_takes_no_trailers_is_no_harm(peer: Peer) -> None:
    answer: Answer = peer.call(UNARY, HELLO, instead={"te": None})
    assert answer.refused or answer.messages == [Message(0, b"hello")]
    assert alive(peer)


def test_a_call_tells_its_method_whoever_calls_it(peer: Peer, echo: Echo) -> None:
    peer.call(UNARY, HELLO, instead={":authority": "somewhere.else:1", ":scheme": "https"})
    assert [(call.kind, call.path) for call in echo.calls] in ([(Kind.MESSAGE, UNARY)], [])
    assert alive(peer)

"""Compressed messages, frame by frame: what is understood, what is refused and how, and what it may cost."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from naiad.frontends.grpc.transport import TransportSettings
from naiad.frontends.status import GrpcStatus
from tests.interop.conftest import LIMIT, Make, beyond_aio
from tests.interop.echo import STREAM, UNARY, Echo, alive
from tests.interop.memory import Peak
from tests.interop.peer import Message, Peer, framed

MB = 2**20
TEXT = b"one and one and one and one and one and one"
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
DECODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}

each_encoding = pytest.mark.parametrize("encoding", sorted(ENCODINGS))


def squeezed(encoding: str, data: bytes) -> bytes:
    """A framed message, compressed."""
    return framed(ENCODINGS[encoding](data), flag=1)


# What clients send.


@each_encoding
def test_compressed_messages_arrive_as_they_were(peer: Peer, echo: Echo, encoding: str) -> None:
    answer = peer.call(UNARY, squeezed(encoding, TEXT), ("grpc-encoding", encoding))
    assert (answer.status, answer.messages) == (GrpcStatus.OK, [Message(0, TEXT)])
    assert echo.messages == [TEXT]


@each_encoding
def test_a_stream_may_mix_compressed_messages_with_others(peer: Peer, encoding: str) -> None:
    messages = [b"first", TEXT, b"", TEXT * 1000]
    body = b"".join(squeezed(encoding, m) if i % 2 else framed(m) for i, m in enumerate(messages))
    answer = peer.call(STREAM, body, ("grpc-encoding", encoding))
    assert answer.status == GrpcStatus.OK
    assert [message.data for message in answer.messages] == messages


@pytest.mark.parametrize("encoding", ["identity", *sorted(ENCODINGS)])
def test_a_call_with_an_encoding_may_leave_its_message_uncompressed(peer: Peer, encoding: str) -> None:
    assert peer.call(UNARY, framed(TEXT), ("grpc-encoding", encoding)).messages == [Message(0, TEXT)]


def test_empty_messages_may_be_compressed(peer: Peer) -> None:
    assert peer.call(UNARY, squeezed("gzip", b""), ("grpc-encoding", "gzip")).messages == [Message(0, b"")]


@pytest.mark.parametrize("path", [UNARY, STREAM])
@pytest.mark.parametrize("headers", [(), (("grpc-encoding", "identity"),)], ids=["none", "identity"])
def test_the_flag_without_an_encoding_is_an_error(
    peer: Peer, echo: Echo, path: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert peer.call(path, framed(TEXT, flag=1), *headers).status == GrpcStatus.INTERNAL
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("path", [UNARY, STREAM])
@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_that_nobody_knows_is_refused_with_those_that_are_known(
    peer: Peer, echo: Echo, transport: str, path: str, encoding: str
) -> None:
    beyond_aio(transport, "grpc's core refuses unknown encodings as INTERNAL and names none")
    answer = peer.call(path, framed(TEXT, flag=1), ("grpc-encoding", encoding))
    assert answer.status == GrpcStatus.UNIMPLEMENTED
    assert encoding in answer.text
    accepted = answer.blocks[0]["grpc-accept-encoding"]
    assert {name.strip() for name in accepted.split(",")} == {"identity", *ENCODINGS}
    assert alive(peer)
    assert echo.messages == [b"next"]


SPOILT = {
    "not compressed at all": lambda data: data,
    "cut": lambda data: gzip.compress(data)[:-12],
    "without its last bytes": lambda data: gzip.compress(data)[:-1],
    "with a wrong checksum": lambda data: gzip.compress(data)[:-8] + bytes(8),
}


@pytest.mark.parametrize("path", [UNARY, STREAM])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_cannot_be_decompressed_is_an_error(
    peer: Peer, echo: Echo, path: str, spoil: Callable[[bytes], bytes]
) -> None:
    answer = peer.call(path, framed(spoil(TEXT), flag=1), ("grpc-encoding", "gzip"))
    assert answer.status == GrpcStatus.INTERNAL
    assert alive(peer)
    assert echo.messages == [b"next"]


# Bombs.


def bomb(megabytes: int) -> bytes:
    """Zeros in gzip's format, made of one compressed megabyte many times; only the checksum at the end is wrong."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(bytes(MB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes + deflate.flush() + bytes(8)


def test_a_bomb_is_what_it_should_be() -> None:
    opened = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert opened.decompress(bomb(8), 7 * MB) == bytes(7 * MB)
    assert len(bomb(1000)) < 2 * MB


@pytest.mark.parametrize("path", [UNARY, STREAM])
def test_a_bomb_is_refused_and_costs_no_more_than_a_few_messages(make: Make, path: str) -> None:
    with Echo(make, TransportSettings(port=0, max_message_size=2 * LIMIT)) as echo, Peer(echo.port) as peer:
        assert peer.call(UNARY, framed(b"first")).status == GrpcStatus.OK
        body = framed(bomb(1000), flag=1)
        with Peak() as peak:
            answer = peer.call(path, body, ("grpc-encoding", "gzip"))
        assert answer.status == GrpcStatus.RESOURCE_EXHAUSTED
        assert echo.messages == [b"first"]
        assert peak.growth < 100 * MB, f"{peak.growth / MB:.0f} MB for a bomb of 1000 MB"


@each_encoding
def test_a_compressed_message_at_the_limit_passes_and_of_one_byte_more_does_not(
    peer: Peer, echo: Echo, encoding: str
) -> None:
    header = ("grpc-encoding", encoding)
    assert peer.call(UNARY, squeezed(encoding, bytes(LIMIT)), header).messages == [Message(0, bytes(LIMIT))]
    refused = peer.call(UNARY, squeezed(encoding, bytes(LIMIT + 1)), header)
    assert refused.status == GrpcStatus.RESOURCE_EXHAUSTED
    assert str(LIMIT + 1) in refused.text
    assert len(echo.messages) == 1


# What the server sends.


@pytest.mark.parametrize("path", [UNARY, STREAM])
@each_encoding
def test_replies_are_compressed_as_the_client_can_take_it(make: Make, path: str, encoding: str) -> None:
    message = TEXT * 1000
    with Echo(make, TransportSettings(port=0, compression=2)) as echo, Peer(echo.port) as peer:
        answer = peer.call(path, framed(message), ("grpc-accept-encoding", f"identity,{encoding}"))
        assert (answer.blocks[0]["grpc-encoding"], answer.status) == (encoding, GrpcStatus.OK)
        [reply] = answer.messages
        assert reply.flag == 1
        assert len(reply.data) < len(message) / 10
        assert DECODERS[encoding](reply.data) == message


@pytest.mark.parametrize(
    "headers",
    [(), (("grpc-accept-encoding", "identity"),), (("grpc-accept-encoding", "br, snappy"),)],
    ids=["silent", "identity", "unknown"],
)
def test_replies_are_not_compressed_for_a_client_that_cannot_take_it(
    make: Make, headers: tuple[tuple[str, str], ...]
) -> None:
    with Echo(make, TransportSettings(port=0, compression=3)) as echo, Peer(echo.port) as peer:
        answer = peer.call(UNARY, framed(TEXT * 1000), *headers)
        assert answer.blocks[0].get("grpc-encoding", "identity") == "identity"
        assert answer.messages == [Message(0, TEXT * 1000)]


def test_replies_are_not_compressed_unless_that_is_asked_for(peer: Peer) -> None:
    answer = peer.call(UNARY, framed(TEXT), ("grpc-accept-encoding", "gzip, deflate, identity"))
    assert answer.messages == [Message(0, TEXT)]

"""What an ill-behaved client sends: frames of HTTP/2 (hyperframe) and header blocks, also impossible ones.

Streams of a client have odd numbers. The blocks of `block` do not use the table of headers, so that any of them may be
sent or left out.
"""

import struct
from collections.abc import Iterator

from hpack.hpack import encode_integer
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, SettingsFrame

from tests.frontends.grpc.wires import UNARY

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = PREFACE + SettingsFrame(0).serialize()
"""All that a client has to say before its first call."""
STREAMS = range(1, 2**31, 2)
HEAD = 9
MAX_FRAME = 2**14
"""Bytes of payload in a frame, as long as the server allows no more."""

# RFC 7541, section 6: how the first byte of a header says what it is, and how many of its bits are left for a number.
_INDEXED, _ADDED, _IN_FULL = (0x80, 7), (0x40, 6), (0x10, 4)
FIRST_ADDED = 62
"""Where the header that was added to the table last stands."""


def block(path: str = UNARY, *more: tuple[str, str]) -> bytes:
    """The header block of a gRPC call."""
    fixed = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
    grpc = [("te", "trailers"), ("content-type", "application/grpc")]
    return b"".join(in_full(name, value) for name, value in [*fixed, *grpc, *more])


def in_full(name: str, value: str) -> bytes:
    """A header that the table of headers has nothing to do with."""
    return _number(0, *_IN_FULL) + _text(name) + _text(value)


def added(name: str, value: str) -> bytes:
    """A header that is added to the table."""
    return _number(0, *_ADDED) + _text(name) + _text(value)


def indexed(index: int) -> bytes:
    """A header that stands in the table."""
    return _number(index, *_INDEXED)


def opening(stream: int, path: str = UNARY) -> bytes:
    """The headers of a call, which has no message yet."""
    return headers(stream, block(path), "END_HEADERS")


def call(stream: int, message: bytes, path: str = UNARY) -> bytes:
    """A complete unary call."""
    return opening(stream, path) + only_message(stream, message)


def only_message(stream: int, message: bytes) -> bytes:
    data = delimited(message)
    pieces = [data[at : at + MAX_FRAME] for at in range(0, len(data), MAX_FRAME)]
    *frames, last = [DataFrame(stream, piece) for piece in pieces]
    last.flags.add("END_STREAM")
    return b"".join(frame.serialize() for frame in [*frames, last])


def headers(stream: int, fragment: bytes, *flags: str) -> bytes:
    return HeadersFrame(stream, fragment, flags=flags).serialize()


def continuation(stream: int, fragment: bytes, *flags: str) -> bytes:
    return ContinuationFrame(stream, fragment, flags=flags).serialize()


def delimited(message: bytes) -> bytes:
    """A message as gRPC has it, uncompressed."""
    return struct.pack(">BI", 0, len(message)) + message


def parse(buffer: bytearray) -> Iterator[Frame]:
    """The complete frames in what was received; they are taken off it at the end."""
    received, at = memoryview(bytes(buffer)), 0
    while len(received) >= at + HEAD:
        frame, length = Frame.parse_frame_header(received[at : at + HEAD])
        if len(received) < at + HEAD + length:
            break
        frame.parse_body(received[at + HEAD : at + HEAD + length])
        at += HEAD + length
        yield frame
    del buffer[:at]


def _number(number: int, kind: int, bits: int) -> bytes:
    encoded = encode_integer(number, bits)
    encoded[0] |= kind
    return bytes(encoded)


def _text(text: str) -> bytes:
    return _number(len(text), 0, 7) + text.encode()

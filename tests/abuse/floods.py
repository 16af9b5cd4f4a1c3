"""Floods: chunks of bytes without end that follow a client's hello. None of them needs an answer."""

from collections.abc import Iterable, Iterator
from itertools import repeat

from hyperframe.frame import DataFrame, PingFrame, PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from tests.abuse.frames import (
    FIRST_ADDED,
    MAX_FRAME,
    STREAMS,
    added,
    block,
    call,
    continuation,
    headers,
    in_full,
    indexed,
    opening,
)
from tests.frontends.grpc.wires import UNARY

AT_ONCE = 100
"""Frames, or calls, in most chunks."""
CANCEL = 8
UNKNOWN_KIND = 0xBE
TABLE = 4096
"""Bytes of the table of headers, as a server has it that says nothing else."""


class Floods:
    """Each by its name; those with calls call this path with this message."""

    def __init__(self, path: str = UNARY, message: bytes = b"question") -> None:
        self.path = path
        self.message = message

    def chunks(self, name: str) -> Iterator[bytes]:
        """The flood of that name, one of FLOODS."""
        chunks: Iterator[bytes] = getattr(self, name)()
        return chunks

    def pings(self) -> Iterator[bytes]:
        return repeat(PingFrame(0, b"flooding").serialize() * AT_ONCE)

    def settings(self) -> Iterator[bytes]:
        sizes = (SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: size}).serialize() for size in range(AT_ONCE))
        return repeat(b"".join(sizes))

    def priorities(self) -> Iterator[bytes]:
        return repeat(b"".join(PriorityFrame(stream, depends_on=0).serialize() for stream in STREAMS[:AT_ONCE]))

    def unknown_frames(self) -> Iterator[bytes]:
        return repeat((bytes([0, 0, 4, UNKNOWN_KIND]) + bytes(5) + b"what") * AT_ONCE)

    def empty_data(self) -> Iterator[bytes]:
        yield self._opening(1)
        yield from repeat(DataFrame(1, b"").serialize() * AT_ONCE)

    def window_updates(self) -> Iterator[bytes]:
        return repeat(WindowUpdateFrame(0, 1).serialize() * AT_ONCE)

    def resets(self) -> Iterator[bytes]:
        """Of a call that is over."""
        reset = RstStreamFrame(1, CANCEL).serialize()
        yield self._opening(1) + reset
        yield from repeat(reset * AT_ONCE)

    def taken_back_calls(self) -> Iterator[bytes]:
        """Complete calls, each of which is taken back at once."""
        reset = (RstStreamFrame(stream, CANCEL).serialize() for stream in STREAMS)
        return _together(map(bytes.__add__, self._calls(), reset))

    def taken_back_openings(self) -> Iterator[bytes]:
        return _together(self._opening(stream) + RstStreamFrame(stream, CANCEL).serialize() for stream in STREAMS)

    def openings(self) -> Iterator[bytes]:
        """Calls that never get on, more than may be open at a time."""
        return _together(map(self._opening, STREAMS))

    def calls(self) -> Iterator[bytes]:
        """Complete calls, more than may be open at a time."""
        return _together(self._calls())

    def continuations(self) -> Iterator[bytes]:
        """One header block that never ends, in small pieces."""
        yield headers(1, block(self.path))
        yield from repeat(continuation(1, in_full("x-more", "and more")) * AT_ONCE)

    def empty_continuations(self) -> Iterator[bytes]:
        yield headers(1, block(self.path))
        yield from repeat(continuation(1, b"") * AT_ONCE)

    def large_continuations(self) -> Iterator[bytes]:
        """One header block that never ends, in frames as large as may be."""
        yield headers(1, block(self.path))
        yield from repeat(continuation(1, _LARGE))

    def large_headers(self) -> Iterator[bytes]:
        """Calls with headers of four frames."""
        for stream in STREAMS:
            rest = continuation(stream, _LARGE) * 2 + continuation(stream, _LARGE, "END_HEADERS")
            yield headers(stream, block(self.path)) + rest

    def repeated_headers(self) -> Iterator[bytes]:
        """Calls whose headers are 16 kB on the wire and 60 MB in full: each byte is one that nearly fills the table."""
        yield headers(1, block(self.path) + added("x-large", "x" * (TABLE - 100)), "END_HEADERS")
        for stream in STREAMS[1:]:
            yield headers(stream, block(self.path) + indexed(FIRST_ADDED) * (MAX_FRAME - 500), "END_HEADERS")

    def _opening(self, stream: int) -> bytes:
        return opening(stream, self.path)

    def _calls(self) -> Iterator[bytes]:
        return (call(stream, self.message, self.path) for stream in STREAMS)


FLOODS = sorted(name for name in vars(Floods) if not name.startswith("_") and name != "chunks")

_LARGE = in_full("x-large", "x" * (MAX_FRAME - 20))


def _together(frames: Iterable[bytes]) -> Iterator[bytes]:
    following = iter(frames)
    while True:
        yield b"".join(next(following) for _ in range(AT_ONCE))

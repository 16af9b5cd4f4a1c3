"""The client's side of one HTTP/2 connection with unary gRPC calls, made to cost as little as possible. No socket.

- A request is a message with its gRPC frame, made once and sent many times; an answer's bytes are counted and thrown
  away. So what a load costs the client hardly depends on what it asks, and large messages are copied by nobody here.
- Headers are those of gRPC's C core: literal in the first request of a connection, indexed in all others. Settings
  too, but for the windows, which are open as far as they go.
- The server's windows and its largest frame are kept to. A call that ends without a message, or is reset, is an error.
"""

from __future__ import annotations

from struct import Struct

Buffer = bytes | memoryview

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 4, 5
FRAME = Struct(">HBBBI")  # the upper and the lower part of its length, its type, its flags, its stream
SETTING = Struct(">HI")
WORD = Struct(">I")

WIDEST = 2**31 - 1
DEFAULT_WINDOW = 65535
REFILLED_AT = 2**30
"""Received bytes after which the window of the connection is opened again."""
OUR_MAX_FRAME = 4 * 2**20
TABLE_NEEDED = 4096


def framed(message: bytes) -> bytes:
    """A message in gRPC's frame, uncompressed."""
    return b"\0" + WORD.pack(len(message)) + message


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return head(len(payload), kind, flags, stream) + payload


def head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return FRAME.pack(size >> 8, size & 255, kind, flags, stream)


def blocks(method: str, authority: str) -> tuple[bytes, bytes]:
    """The header block of a connection's first request, and that of all others (RFC 7541)."""
    fields = (
        (b"\x44", method),  # :path, whose name has an index
        (b"\x41", authority),  # :authority
        (b"\x5f", "application/grpc"),  # content-type
        (b"\x40" + _text("te"), "trailers"),
        (b"\x40" + _text("grpc-accept-encoding"), "identity, deflate, gzip"),
        (b"\x7a", "naiad-bench/1"),  # user-agent
    )
    fixed = b"\x83\x86"  # :method POST, :scheme http
    newest = 62
    indexed = bytes(0x80 | newest + age for age in reversed(range(len(fields))))
    return fixed + b"".join(name + _text(value) for name, value in fields), fixed + indexed


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


class Connection:
    """One call after the other. `out` is what is to be written next; the owner takes it away.

    ready: the server's settings have come, and calls may begin. busy: a call is on its way.
    """

    def __init__(self, method: str, authority: str) -> None:
        settings = ((INITIAL_WINDOW_SIZE, WIDEST), (MAX_FRAME_SIZE, OUR_MAX_FRAME))
        self.out: list[Buffer] = [
            PREFACE,
            frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*one) for one in settings)),
            frame(WINDOW_UPDATE, 0, 0, WORD.pack(WIDEST - DEFAULT_WINDOW)),
        ]
        self.ready = self.busy = False
        self._block, self._next_block = blocks(method, authority)
        self._stream = -1
        self._window = self._stream_window = self._initial_window = DEFAULT_WINDOW
        self._max_frame = 16384
        self._unsent = memoryview(b"")
        self._rest = b""  # the beginning of a frame
        self._data = (0, 0)  # of a frame of an answer: bytes still to come, its flags
        self._answered = 0
        self._unacknowledged = 0

    def request(self, message: bytes) -> None:
        """Begin a call with a framed message."""
        self._stream += 2
        block, self._block = self._block, self._next_block
        self.out.append(frame(HEADERS, END_HEADERS, self._stream, block))
        self._unsent, self._stream_window = memoryview(message), self._initial_window
        self._answered, self.busy = 0, True
        self._upload()

    def receive(self, data: Buffer) -> None:
        """Take what the server sent; ends the call, or RuntimeError."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = self._answer(data, 0) if self._data[0] else 0
        while len(data) - at >= FRAME.size:
            upper, lower, kind, flags, stream = FRAME.unpack_from(data, at)
            size = upper << 8 | lower
            if kind == DATA:
                self._data = (size, flags)
                at = self._answer(data, at + FRAME.size)
                continue
            if len(data) - at < FRAME.size + size:
                break
            at += FRAME.size
            self._take(kind, flags, stream, bytes(data[at : at + size]))
            at += size
        self._rest = bytes(data[at:])

    def _answer(self, data: Buffer, at: int) -> int:
        """Count what `data` has of an answer's frame; gives where it ends."""
        left, flags = self._data
        here = min(left, len(data) - at)
        self._data = (left - here, flags)
        self._answered += here
        self._unacknowledged += here
        if here == left and flags & END_STREAM:
            self._end()
        if self._unacknowledged > REFILLED_AT:
            self.out.append(frame(WINDOW_UPDATE, 0, 0, WORD.pack(self._unacknowledged)))
            self._unacknowledged = 0
        return at + here

    def _end(self) -> None:
        if not self._answered:
            raise RuntimeError(f"the call of stream {self._stream} ended without a message")
        self.busy = False

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Do what any frame but an answer's data asks for."""
        if kind == HEADERS and flags & END_STREAM:
            self._end()
        elif kind == SETTINGS and not flags & ACK:
            self._configure(dict(SETTING.iter_unpack(payload)))
        elif kind == PING and not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._widen(stream, WORD.unpack(payload)[0])
        elif kind in {RST_STREAM, GOAWAY}:
            what = "reset the call" if kind == RST_STREAM else "ended the connection"
            raise RuntimeError(f"the server {what} of stream {self._stream}: {payload!r}")

    def _configure(self, settings: dict[int, int]) -> None:
        wider = settings.get(INITIAL_WINDOW_SIZE, self._initial_window) - self._initial_window
        self._initial_window += wider
        self._stream_window += wider
        self._max_frame = settings.get(MAX_FRAME_SIZE, self._max_frame)
        if settings.get(HEADER_TABLE_SIZE, TABLE_NEEDED) < TABLE_NEEDED:
            self._next_block = self._block
        self.out.append(frame(SETTINGS, ACK, 0))
        self.ready = True
        self._upload()

    def _widen(self, stream: int, more: int) -> None:
        if not stream:
            self._window += more
        elif stream == self._stream:
            self._stream_window += more
        self._upload()

    def _upload(self) -> None:
        """Send what the windows allow."""
        while (size := min(len(self._unsent), self._max_frame, self._window, self._stream_window)) > 0:
            piece, self._unsent = self._unsent[:size], self._unsent[size:]
            self._stream_window -= size
            self._window -= size
            self.out += (head(size, DATA, 0 if self._unsent else END_STREAM, self._stream), piece)

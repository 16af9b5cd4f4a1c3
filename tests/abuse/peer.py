"""A client that speaks HTTP/2 by hand: it sends whatever it is told to, and notes what comes and when it ends."""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.abuse.frames import HELLO, parse
from tests.frontends.grpc.wires import PATIENCE

CHUNK = 2**16


@dataclass(frozen=True)
class GoodBye:
    """What a server said with GOAWAY."""

    code: int
    reason: str


@dataclass
class Received:
    """What came: how many frames of each kind, the last GOAWAY, how streams ended, bytes of messages.

    window: bytes that the server allowed to send, in all streams together, since the connection began.
    """

    frames: Counter[str] = field(default_factory=Counter)
    good_bye: GoodBye | None = None
    answered: set[int] = field(default_factory=set)
    reset: set[int] = field(default_factory=set)
    nbytes: int = 0
    window: int = 2**16 - 1

    def may_have(self, nbytes: int) -> bool:
        """Whether the server allows so many bytes, of all that was ever sent to it."""
        return nbytes <= self.window

    def note(self, frame: Frame) -> None:
        self.frames[type(frame).__name__] += 1
        match frame:
            case GoAwayFrame():
                self.good_bye = GoodBye(frame.error_code, frame.additional_data.decode())
            case RstStreamFrame():
                self.reset.add(frame.stream_id)
            case HeadersFrame() if "END_STREAM" in frame.flags:
                self.answered.add(frame.stream_id)
            case WindowUpdateFrame() if frame.stream_id == 0:
                self.window += frame.window_increment
            case DataFrame():
                self.nbytes += len(frame.data)


class Peer:
    """One connection. answers: whether it answers the server's settings and pings, as it must.

    `began` and `closed` are times of `time.monotonic`; `closed` is None until all has been read that the server sent
    before it closed. broken: it could not be written to any more, which comes sooner.
    """

    def __init__(self, address: tuple[str, int], hello: bytes = HELLO, *, answers: bool = True) -> None:
        self.began = time.monotonic()
        self.closed: float | None = None
        self.broken = False
        self.received = Received()
        self._answers = answers
        self._buffer = bytearray()
        self._socket = socket.create_connection(address, timeout=PATIENCE)
        self._socket.setblocking(False)
        self._unsent = bytearray()
        self.send(hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def lasted(self) -> float:
        """Seconds from the first attempt to connect until the server closed the connection."""
        assert self.closed is not None, f"the server has not closed it, {self.received}"
        return self.closed - self.began

    def send(self, data: bytes) -> None:
        """Send what the server takes at once; the rest goes with the next step."""
        self._unsent += data
        self._write()

    def flood(self, chunks: Iterable[bytes], until: float = float("inf")) -> None:
        """Send all of it, or until that time, or until the server closes; read what comes meanwhile."""
        for chunk in chunks:
            self._unsent += chunk
            while self._unsent and self.closed is None:
                assert self.step(PATIENCE), f"the server takes nothing for {PATIENCE:g} s, {self.received}"
            if self.closed is not None or time.monotonic() > until:
                return

    def push(self, data: bytes, patience: float) -> bool:
        """Send all of it and read nothing; tell whether the server took it, with pauses no longer than this."""
        self._unsent += data
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        while self._unsent and poll.poll(patience * 1000):
            self._write()
        assert not self.broken, "the server has closed the connection"
        return not self._unsent

    def wait(self, until: float) -> bool:
        """Read and answer until the server closes, or until that time; return whether it has closed."""
        while self.closed is None and (left := until - time.monotonic()) > 0:
            self.step(left)
        return self.closed is not None

    def wait_closed(self) -> GoodBye | None:
        """Wait until the server closes; return what it said before, in the end."""
        assert self.wait(time.monotonic() + PATIENCE), f"still open after {PATIENCE:g} s, {self.received}"
        return self.received.good_bye

    def ping(self) -> None:
        """Wait until the server has read all that was sent; it counts this ping."""
        before = self.received.frames["PingFrame"]
        self.send(PingFrame(0, b"are you?").serialize())
        self.wait_for(lambda: self.received.frames["PingFrame"] > before)

    def wait_for(self, come: Callable[[], bool]) -> None:
        """Read and answer until that has come."""
        until = time.monotonic() + PATIENCE
        while not come():
            assert self.closed is None, f"closed before that has come, {self.received}"
            assert self.step(max(0, until - time.monotonic())), f"it has not come, {self.received}"

    def step(self, seconds: float) -> bool:
        """Wait that long until something can be read or written, and do so; tell whether it could."""
        poll = select.poll()
        poll.register(self, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        ready = poll.poll(seconds * 1000)
        for _, events in ready:
            if events & select.POLLOUT:
                self._write()
            if events & ~select.POLLOUT:
                self._read()
        return bool(ready)

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            self._unsent.clear()

    def _read(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = time.monotonic()
            return
        self._buffer += data
        for frame in parse(self._buffer):
            self.received.note(frame)
            if self._answers and "ACK" not in frame.flags:
                self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame):
            self.send(SettingsFrame(0, flags=["ACK"]).serialize())
        if isinstance(frame, PingFrame):
            self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())


def wait_all(peers: Iterable[Peer], until: float) -> set[Peer]:
    """Read and answer on all of them until the server has closed each, or until that time; return the open ones."""
    still_open = {peer for peer in peers if peer.closed is None}
    poll = select.poll()
    by_number = {peer.fileno(): peer for peer in still_open}
    for number in by_number:
        poll.register(number, select.POLLIN)
    while still_open and (left := until - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            peer = by_number[number]
            peer.step(0)
            if peer.closed is not None:
                poll.unregister(number)
                still_open.discard(peer)
    return still_open

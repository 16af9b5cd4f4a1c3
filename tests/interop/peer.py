"""A client of gRPC that speaks HTTP/2 frame by frame, for what no proper client sends or tells.

It neither retries nor corrects: headers go out as they are given, and what comes back is told as it came.
"""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

from tests.frontends.grpc.wires import PATIENCE

CHUNK = 2**16
HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/",
    ":authority": "localhost",
    "te": "trailers",
    "content-type": "application/grpc",
}
USUAL: Mapping[str, str | None] = {}
Header = tuple[str, str]


class Message(NamedTuple):
    """A message as it stands in a stream of DATA frames: behind a flag and its length."""

    flag: int
    data: bytes


def framed(data: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """The message with its prefix, which may lie about the length."""
    return struct.pack(">BI", flag, len(data) if length is None else length) + data


def unframed(body: bytes) -> list[Message]:
    found, at = [], 0
    while at < len(body):
        flag, length = struct.unpack_from(">BI", body, at)
        found.append(Message(flag, body[at + 5 : at + 5 + length]))
        at += 5 + length
    assert at == len(body), f"the last message of {body!r} is cut"
    return found


@dataclass
class Answer:
    """What came back on one stream. `blocks` are its HEADERS frames; `reset` is the code of its RST_STREAM."""

    blocks: list[dict[str, str]] = field(default_factory=list)
    arrived: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def complete(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def body(self) -> bytes:
        return bytes(self.arrived)

    @property
    def http_status(self) -> str:
        return self.blocks[0][":status"]

    @property
    def status(self) -> int:
        """The status of gRPC, which stands in the last HEADERS."""
        return int(self.blocks[-1]["grpc-status"])

    @property
    def text(self) -> str:
        return unquote(self.blocks[-1].get("grpc-message", ""), errors="strict")

    @property
    def messages(self) -> list[Message]:
        return unframed(self.body)

    @property
    def refused(self) -> bool:
        """Whether the call failed, in whichever way: by its status, by HTTP's, or by a reset."""
        if not self.ended:
            return self.reset is not None
        return self.http_status != "200" or self.status != 0


class Peer:
    """One connection, and any number of streams on it. window: how much of each answer may come unasked.

    unread: the streams of which no more is asked for than that.
    """

    def __init__(self, port: int, window: int = 2**20) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        configuration = H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.http = H2Connection(configuration)
        self.http.initiate_connection()
        self.http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self._answers: defaultdict[int, Answer] = defaultdict(Answer)
        self._pongs = 0
        self.unread: set[int] = set()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def begin(self, path: str, *more: Header, instead: Mapping[str, str | None] = USUAL, end: bool = False) -> int:
        """Send the headers of a call, `more` behind the usual ones; gives its stream.

        instead: values in the place of usual ones; None leaves one out.
        """
        stream = self.http.get_next_available_stream_id()
        headers = [(name, value) for name, value in {**HEADERS, ":path": path, **instead}.items() if value is not None]
        self.http.send_headers(stream, [*headers, *more], end_stream=end)
        self.flush()
        return stream

    def call(self, path: str, body: bytes, *more: Header, instead: Mapping[str, str | None] = USUAL) -> Answer:
        """Send a whole call with this body, and return its answer."""
        stream = self.begin(path, *more, instead=instead)
        self.send(stream, body, end=True)
        return self.answer(stream)

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send data as fast as the server lets it in; it stops with an answer that is complete before."""
        rest = memoryview(data)
        while rest and not self._answers[stream].complete:
            size = min(len(rest), self.room(stream))
            if size == 0:
                self._receive()
                continue
            self.http.send_data(stream, rest[:size].tobytes())
            rest = rest[size:]
            self.flush()
        if end and not self._answers[stream].complete:
            self.http.end_stream(stream)
            self.flush()

    def room(self, stream: int) -> int:
        """How many bytes may be sent in one frame now."""
        return min(self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size)

    def answer(self, stream: int) -> Answer:
        """Read until the stream's answer is complete."""
        while not self._answers[stream].complete:
            self._receive()
        return self._answers[stream]

    def received(self, stream: int, size: int) -> bytes:
        """Read until there are so many bytes of a body, and return them all."""
        while len(self._answers[stream].arrived) < size:
            self._receive()
        return self._answers[stream].body

    def read_on(self, stream: int) -> None:
        """Ask for what is left of a stream that was not read."""
        self.unread.discard(stream)
        self.http.increment_flow_control_window(len(self._answers[stream].arrived), stream)
        self.flush()

    def await_room(self, stream: int) -> None:
        """Wait until the server lets more in."""
        while self.room(stream) == 0:
            self._receive()

    def reset(self, stream: int) -> None:
        self.http.reset_stream(stream, 8)
        self.flush()

    def settle(self) -> None:
        """Wait until the server has read all that was sent before: it answers a ping."""
        awaited = self._pongs + 1
        self.http.ping(bytes(8))
        self.flush()
        while self._pongs < awaited:
            self._receive()

    def flush(self) -> None:
        self._socket.sendall(self.http.data_to_send())

    def _receive(self) -> None:
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection")
        for event in self.http.receive_data(data):
            self._take(event)
        self.flush()

    def _ask_for_more(self, event: DataReceived) -> None:
        size = event.flow_controlled_length
        if event.stream_id not in self.unread:
            self.http.acknowledge_received_data(size, event.stream_id)
        elif size:
            self.http.increment_flow_control_window(size)  # of the connection alone

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                self._answers[event.stream_id].blocks.append(_block(event))
            case DataReceived():
                self._answers[event.stream_id].arrived += event.data
                self._ask_for_more(event)
            case StreamEnded():
                self._answers[event.stream_id].ended = True
            case StreamReset():
                self._answers[event.stream_id].reset = event.error_code
            case PingAckReceived():
                self._pongs += 1
            case ConnectionTerminated():
                raise ConnectionError(f"the server said good-bye: {event.error_code} {event.additional_data!r}")
            case _:
                return


def _block(event: ResponseReceived | TrailersReceived) -> dict[str, str]:
    return {str(name): str(value) for name, value in event.headers or ()}

"""The seam between a gRPC wire and the services on it: events in, replies out, both in bulk. Nothing about models.

A transport knows HTTP/2, gRPC's framing, deadlines and limits; messages are bytes both ways. What it promises:

- Events go to the sink in lists, each as it happened per call, never two lists at a time. For a unary method the
  only events are one MESSAGE, or TOO_LARGE or OVERLOADED instead, which opens the call as well, and possibly CANCEL.
  A streaming call gets OPEN, its MESSAGEs, HALF_CLOSE, and possibly CANCEL, after which nothing follows. A stream that
  breaks may seem half-closed just before its CANCEL comes.
- `send` takes a list of replies from any thread and neither blocks nor raises; replies to one call arrive in the
  order in which they were sent. A reply to a call that has ended is dropped, so CANCEL may cross one.
- A call ends with the first reply that has trailers, or with CANCEL (the client took it back, its connection broke,
  its deadline passed, or the transport itself ended it).

Nobody has to keep more than a bounded number of messages. A client's: a stream delivers `Method.window` messages, and
one more for each that a reply settles (`Reply.credit`). The server's: `Call.writable` turns False when a stream has
HIGH_WATER replies waiting; who honours it sends no more until WRITABLE comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from naiad.frontends.status import GrpcStatus

Buffer = bytes | memoryview
Metadata = tuple[tuple[str, str | bytes], ...]

HIGH_WATER = 16
"""How many unsent replies make a stream not writable; WRITABLE comes when half of them are gone."""


class Kind(IntEnum):
    """What happened to a call."""

    MESSAGE = 0
    CANCEL = 1
    OPEN = 2
    HALF_CLOSE = 3
    WRITABLE = 4
    TOO_LARGE = 5
    OVERLOADED = 6


class Call(Protocol):
    """One RPC.

    method: its path ("/package.Service/Method"). deadline: in seconds of `time.monotonic`, None without one.
    state: belongs to the service, for what it needs to find again at the call's next event.
    metadata, peer, certificate: asked of the wire when read, so read them once, before the call ends. peer: as gRPC
    writes it ("ipv4:127.0.0.1:4711", "unix:"). certificate: the client's, in DER, None without one that was verified.
    """

    method: str
    deadline: float | None
    state: object

    @property
    def streaming(self) -> bool: ...

    @property
    def metadata(self) -> Metadata: ...

    @property
    def peer(self) -> str: ...

    @property
    def certificate(self) -> bytes | None: ...

    @property
    def writable(self) -> bool: ...

    def value(self, key: str) -> str | bytes | None:
        """The first value of one key of the metadata; cheaper than all of them."""

    def adopt(self) -> bool:
        """Take over the bytes that the transport reserved for the message of a unary call, if it reserves any.

        True: `len(message)` bytes of the budget are the caller's to give back. Else the transport gives them back
        itself when the call ends.
        """

    def disown(self) -> None:
        """Undo an `adopt` that gave True."""


class Event(NamedTuple):
    """One thing that happened. A MESSAGE's bytes stay valid as long as someone holds them.

    A sink gets tuples of these three, which need not be of this class: it unpacks them. TOO_LARGE, OVERLOADED: a
    unary call's message is above the limit, or beyond what the budget of bytes has left; what there is instead is a
    text that says so.
    """

    kind: Kind
    call: Call
    message: Buffer = b""


class Trailers(NamedTuple):
    """How a call ends. The message is not sent with OK."""

    code: GrpcStatus
    message: str = ""
    metadata: Metadata = ()


OK = Trailers(GrpcStatus.OK)


class Reply(NamedTuple):
    """One message (its bytes in parts, written one after the other), or the end of a call, or both.

    A unary call takes exactly one: parts and OK, or other trailers alone. The parts' memory must not change until it
    is sent. credit: how many received messages of a stream this settles. initial: metadata that go before everything
    else; they count with a call's first reply only.
    """

    call: Call
    parts: Sequence[Buffer] | None
    trailers: Trailers | None = None
    credit: int = 0
    initial: Metadata = ()


class Method(NamedTuple):
    """An RPC method that a transport is to accept. window: messages of one stream that may wait for their credit."""

    path: str
    streaming: bool = False
    window: int = 4


AnyEvent = Event | tuple[Kind, Call, Buffer]
EventSink = Callable[[Sequence[AnyEvent]], None]


@dataclass(frozen=True, slots=True)
class Tls:
    """The PEM files of a TLS server. They may be replaced while it serves: new connections get the new ones.

    client_authority: who signs the certificates that clients must have; None: clients need none.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Where a transport listens and what it puts up with. Times in seconds, sizes in bytes.

    host: a name, an address, or "unix:PATH", which has no port. max_metadata_size: of one call's headers.
    The keepalive and age limits end connections whose peer is gone, or that never end by themselves; the handshake
    timeout those that never begin. max_connection_age: 0 for ever. The ping limits are those of gRPC's core: how many
    pings are sent without data, and how often a client may ping (0: any number). reuse_port: others may listen there
    too. compression: how much replies are compressed for clients that can take it, 0 (not) to 3.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    max_message_size: int = 256 * 2**20
    max_metadata_size: int = 16 * 2**10
    max_concurrent_streams: int = 1024
    handshake_timeout: float = 10.0
    keepalive_time: float = 60.0
    keepalive_timeout: float = 20.0
    max_connection_idle: float = 300.0
    max_connection_age: float = 3600.0
    max_connection_age_grace: float = 60.0
    keepalive_without_calls: bool = False
    max_pings_without_data: int = 2
    least_ping_interval: float = 300.0
    max_ping_strikes: int = 2
    reuse_port: bool = False
    compression: int = 0
    tls: Tls | None = None


class Transport(Protocol):
    """A gRPC server without services."""

    def start(self, methods: Sequence[Method], sink: EventSink) -> int:
        """Listen, and hand events to `sink`; returns the port, 0 for a Unix socket.

        OSError says why the address cannot be had, ValueError what is wrong with a file of `Tls`.
        """

    def send(self, replies: Sequence[Reply]) -> None:
        """Send replies. Any thread; never blocks or raises."""

    def refuse(self, trailers: Trailers) -> None:
        """From now on end every new call with `trailers`; calls that are open go on. Any thread."""

    def stop(self, grace: float) -> None:
        """Stop: refuse new calls, end streams that are idle, wait for the others and for unary calls, close.

        A stream is idle when its received messages are all settled. What is open after `grace` seconds is
        cancelled. Nothing is delivered to the sink after the return. May be called twice.
        """


def too_large(size: int, limit: int) -> str:
    """What is said of a message above the limit."""
    return f"received message of {size} bytes is larger than the limit of {limit} bytes (--grpc-max-message-size)"


STOPPING = Trailers(GrpcStatus.UNAVAILABLE, "GRPC server is shutting down and has stopped accepting new requests.")
"""How calls are refused, and idle streams ended, while a server stops."""

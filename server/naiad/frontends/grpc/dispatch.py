"""From a transport's events to the handlers of RPCs, and from errors to trailers: the boundary to the wire.

A unary handler gets a call and its message, and gives the reply, or None if it will come later. A streaming call gets
an object at OPEN that takes its events. Whatever either raises ends the call: a NaiadError with its code and text,
anything else, which is a bug, with INTERNAL and a traceback in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from naiad.core.errors import Internal, InvalidArgument, NaiadError, Rejected, ResourceExhausted
from naiad.frontends.grpc.transport import OK, AnyEvent, Buffer, Call, Kind, Metadata, Method, Reply, Trailers
from naiad.frontends.status import STATUS

log = logging.getLogger(__name__)

LONGEST_TEXT = 4000
"""Characters of an error's text that are sent: clients refuse trailers above 8 KiB or 16 KiB."""
_MESSAGE = Kind.MESSAGE  # a name of the module is found ten times as fast
_REFUSED: Mapping[Kind, type[NaiadError]] = {Kind.TOO_LARGE: ResourceExhausted, Kind.OVERLOADED: Rejected}
_NO_RETRY: Metadata = (("grpc-retry-pushback-ms", "-1"),)

Unary = Callable[[Call, Buffer], Reply | None]
Send = Callable[[Sequence[Reply]], None]


class Cancellable(Protocol):
    """What stands in `Call.state` of an open call."""

    def cancel(self) -> None: ...


class Stream(Cancellable, Protocol):
    """One streaming call. It sends its own replies, and settles each message (`Reply.credit`).

    One that raises ends the call with the error, and hears no more of it.
    """

    def message(self, message: Buffer) -> None: ...

    def half_close(self) -> None: ...

    def writable(self) -> None: ...


OpenStream = Callable[[Call], Stream]
Request = TypeVar("Request", bound=Message)


class Dispatcher:
    """The sink of a transport's events.

    failed: hears of calls that end without their handler: too large, refused when they open, or a bug.
    """

    def __init__(
        self,
        send: Send,
        unary: Mapping[str, Unary],
        streams: Mapping[str, OpenStream],
        failed: Callable[[Call, NaiadError], None] = lambda _, __: None,
    ) -> None:
        self._send = send
        self._failed = failed
        self._unary = unary
        self._streams = streams

    @property
    def methods(self) -> tuple[Method, ...]:
        """What a transport has to accept."""
        return (*map(Method, self._unary), *(Method(path, streaming=True) for path in self._streams))

    def dispatch(self, events: Sequence[AnyEvent]) -> None:
        """Handle events in their order. Never raises; what can be answered at once is sent together at the end."""
        replies = []
        for kind, call, message in events:
            reply = self._reply(kind, call, message)
            if reply is not None:
                replies.append(reply)
        if replies:
            self._send(replies)

    def _reply(self, kind: Kind, call: Call, message: Buffer) -> Reply | None:
        try:
            if kind is _MESSAGE and not call.streaming:
                return self._unary[call.method](call, message)
            self._handle(kind, call, message)
            return None
        except NaiadError as error:
            if kind is Kind.OPEN:
                self._failed(call, error)
            reply = failure(call, error)
        except Exception as error:
            log.exception("unexpected error in %s", call.method)
            fault = unexpected(error, call.method)
            self._failed(call, fault)
            reply = failure(call, fault)
        call.state = None  # what may still come of this call is for nobody
        return reply

    def _handle(self, kind: Kind, call: Call, message: Buffer) -> None:
        if kind in _REFUSED:
            error = _REFUSED[kind](str(message, "utf-8"))
            self._failed(call, error)
            raise error
        if kind is Kind.OPEN:
            call.state = self._streams[call.method](call)
        elif call.state is not None:
            _hand_over(cast(Stream, call.state), kind, message)


def _hand_over(stream: Stream, kind: Kind, message: Buffer) -> None:
    if kind is Kind.MESSAGE:
        stream.message(message)
    elif kind is Kind.HALF_CLOSE:
        stream.half_close()
    elif kind is Kind.WRITABLE:
        stream.writable()
    else:
        stream.cancel()


def answering(kind: type[Request], answer: Callable[[Request], Message]) -> Unary:
    """A handler that reads a message of `kind` and answers at once."""

    def handle(call: Call, message: Buffer) -> Reply:
        return Reply(call, (answer(parse(kind, message)).SerializeToString(),), OK)

    return handle


def parse(kind: type[Request], message: Buffer) -> Request:
    """Read a message; InvalidArgument if it is none of its kind."""
    try:
        return kind.FromString(bytes(message))
    except DecodeError as error:
        raise InvalidArgument(f"failed to parse the message as a {kind.DESCRIPTOR.name}: {error}") from None


def failure(call: Call, error: NaiadError) -> Reply:
    """The end of a call with an error."""
    text = str(error)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
    return Reply(call, None, Trailers(STATUS[error.code].grpc, text, () if error.retry else _NO_RETRY))


def unexpected(error: Exception, where: str) -> Internal:
    """What a client is told of an error that is a bug; whoever catches it has logged it."""
    return Internal(f"unexpected {type(error).__name__} in {where}; the server's log has more")

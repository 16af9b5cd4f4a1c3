"""gRPC's interop test service on a transport, behind a port: a sink of events that answers where it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from google.protobuf.message import DecodeError, Message

from naiad.frontends.grpc.transport import (
    OK,
    AnyEvent,
    Buffer,
    Call,
    Kind,
    Method,
    Reply,
    Trailers,
    Transport,
    TransportSettings,
)
from naiad.frontends.status import GrpcStatus
from tests.interop.answers import InputStream, OutputStream, Stream, echoed, empty, malformed, unary
from tests.interop.protocol.generated import testing_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["TestService"]


def path(name: str) -> str:
    return f"/{SERVICE.full_name}/{name}"


UNARY: dict[str, Callable[[bytes], Message | Trailers]] = {path("EmptyCall"): empty, path("UnaryCall"): unary}
STREAMS: dict[str, type[Stream]] = {
    path("StreamingInputCall"): InputStream,
    path("StreamingOutputCall"): OutputStream,
    path("FullDuplexCall"): OutputStream,
}
METHODS = [*map(Method, UNARY), *(Method(name, streaming=True) for name in STREAMS)]


class InteropServer:
    """Serves every method but UnimplementedCall. open: how many streams are neither answered in full nor cancelled."""

    def __init__(self, make: Callable[[TransportSettings], Transport], settings: TransportSettings) -> None:
        self.open = 0
        self._transport = make(settings)
        self.port = self._transport.start(METHODS, self._sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.stop(0)

    def _sink(self, events: Sequence[AnyEvent]) -> None:
        for kind, call, message in events:
            if call.streaming:
                self._stream(kind, call, message)
            elif kind is not Kind.CANCEL:
                self._transport.send([_answer(kind, call, message)])

    def _stream(self, kind: Kind, call: Call, message: Buffer) -> None:
        if kind is Kind.OPEN:
            call.state = STREAMS[call.method](call, self._transport.send)
            self.open += 1
            return
        stream = call.state
        assert isinstance(stream, Stream)
        if stream.over:
            return
        try:
            _tell(stream, kind, message)
        except DecodeError as error:
            stream.end(malformed(error))
        if stream.over:
            self.open -= 1


def _tell(stream: Stream, kind: Kind, message: Buffer) -> None:
    if kind is Kind.MESSAGE:
        stream.message(bytes(message))
    elif kind is Kind.HALF_CLOSE:
        stream.half_close()
    elif kind is Kind.CANCEL:
        stream.over = True
    else:
        assert kind is Kind.WRITABLE
        stream.push()


def _answer(kind: Kind, call: Call, message: Buffer) -> Reply:
    initial, trailing = echoed(call)
    try:
        answer = UNARY[call.method](bytes(message)) if kind is Kind.MESSAGE else _refused(message)
    except DecodeError as error:
        answer = malformed(error)
    if isinstance(answer, Trailers):
        return Reply(call, None, answer._replace(metadata=trailing), initial=initial)
    return Reply(call, [answer.SerializeToString()], OK._replace(metadata=trailing), initial=initial)


def _refused(why: Buffer) -> Trailers:
    return Trailers(GrpcStatus.RESOURCE_EXHAUSTED, bytes(why).decode())

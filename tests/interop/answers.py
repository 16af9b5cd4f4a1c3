"""What the interop test service answers: pure, but for the stream's `send`.

Messages of a stream are settled when all their responses are sent, and a response is made when the stream takes it:
neither side makes the service keep more than a window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from google.protobuf.message import DecodeError

from naiad.frontends.grpc.transport import OK, Call, Metadata, Reply, Trailers
from naiad.frontends.status import GrpcStatus
from tests.interop.protocol.generated import testing_pb2 as pb

ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"

Send = Callable[[Sequence[Reply]], None]


def empty(message: bytes) -> pb.Empty:
    return pb.Empty.FromString(message)


def unary(message: bytes) -> pb.SimpleResponse | Trailers:
    request = pb.SimpleRequest.FromString(message)
    if request.HasField("response_status"):
        return ended(request.response_status)
    return pb.SimpleResponse(payload=payload(request.response_size))


def payload(size: int) -> pb.Payload:
    return pb.Payload(body=bytes(size))


def ended(status: pb.EchoStatus) -> Trailers:
    return Trailers(GrpcStatus(status.code), status.message)


def malformed(error: DecodeError) -> Trailers:
    return Trailers(GrpcStatus.INVALID_ARGUMENT, f"this is no message: {error}")


def echoed(call: Call) -> tuple[Metadata, Metadata]:
    """What of the call's metadata is to go back before its answer, and behind it."""

    def found(key: str) -> Metadata:
        value = call.value(key)
        return () if value is None else ((key, value),)

    return found(ECHO_INITIAL), found(ECHO_TRAILING)


class Stream(ABC):
    """One streaming call. over: nothing is to be done any more, it was answered, refused or cancelled."""

    def __init__(self, call: Call, send: Send) -> None:
        self.over = False
        self._call = call
        self._send = send
        self._initial, self._trailing = echoed(call)

    @abstractmethod
    def message(self, message: bytes) -> None:
        """Take a message; DecodeError where it is none."""

    @abstractmethod
    def half_close(self) -> None: ...

    @abstractmethod
    def push(self) -> None:
        """Send what waits for the stream to be writable."""

    def end(self, trailers: Trailers) -> None:
        self.over = True
        self._reply(None, trailers._replace(metadata=self._trailing))

    def _reply(self, parts: Sequence[bytes] | None, trailers: Trailers | None = None, credit: int = 0) -> None:
        self._send([Reply(self._call, parts, trailers, credit, self._initial)])


class InputStream(Stream):
    """Adds up the sizes of the payloads."""

    size = 0

    def message(self, message: bytes) -> None:
        self.size += len(pb.StreamingInputCallRequest.FromString(message).payload.body)
        self._reply(None, credit=1)

    def push(self) -> None:
        """Nothing ever waits: all that it sends is one small message."""

    def half_close(self) -> None:
        response = pb.StreamingInputCallResponse(aggregated_payload_size=self.size)
        self._reply([response.SerializeToString()])
        self.end(OK)


class OutputStream(Stream):
    """Answers each message with the responses that it asks for, one message after the other."""

    def __init__(self, call: Call, send: Send) -> None:
        super().__init__(call, send)
        self._waiting: deque[Iterator[int]] = deque()
        self._half_closed = False

    def message(self, message: bytes) -> None:
        request = pb.StreamingOutputCallRequest.FromString(message)
        if request.HasField("response_status"):
            self.end(ended(request.response_status))
            return
        self._waiting.append(iter([parameters.size for parameters in request.response_parameters]))
        self.push()

    def half_close(self) -> None:
        self._half_closed = True
        self.push()

    def push(self) -> None:
        while self._waiting and self._call.writable:
            size = next(self._waiting[0], None)
            if size is None:
                self._waiting.popleft()
                self._reply(None, credit=1)
            else:
                self._reply([pb.StreamingOutputCallResponse(payload=payload(size)).SerializeToString()])
        if self._half_closed and not self._waiting:
            self.end(OK)

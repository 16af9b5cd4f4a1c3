"""ModelInfer: decode, one call of the engine, and the way back.

Replies are collected per thread and leave with that thread's flush, in one list. So a batch's replies leave together,
and no earlier than its runner says, whatever other runners do meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time

from naiad.core.engine import Engine
from naiad.core.errors import NaiadError
from naiad.core.types import InferResponse
from naiad.frontends.grpc.codec import DecodeCache, decode
from naiad.frontends.grpc.dispatch import Send, failure, unexpected
from naiad.frontends.grpc.encoding import EncodeCache, encode
from naiad.frontends.grpc.transport import OK, Buffer, Call, Metadata, Reply

log = logging.getLogger(__name__)


class _Collected(threading.local):
    def __init__(self) -> None:
        self.replies: list[Reply] = []


class ReplySink:
    """Collects encoded replies (`core.pending.Sink`). `flush` sends what the calling thread has collected."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._cache = EncodeCache()
        self._collected = _Collected()

    def collect(self, call: Call, outcome: InferResponse | NaiadError) -> None:
        """Encode a reply for this thread's next flush. Never raises."""
        self._collected.replies.append(self._reply(call, outcome))

    def flush(self) -> None:
        replies = self._collected.replies
        if replies:
            self._collected.replies = []
            self._send(replies)

    def _reply(self, call: Call, outcome: InferResponse | NaiadError) -> Reply:
        if isinstance(outcome, NaiadError):
            return failure(call, outcome)
        try:
            return Reply(call, encode(outcome, self._cache), OK)
        except NaiadError as error:
            return failure(call, error)
        except Exception as error:
            log.exception("cannot encode a response of model '%s'", outcome.head.model)
            return failure(call, unexpected(error, "the encoding of the response"))


class GrpcResponder:
    """The way back to the caller of a unary call (`core.pending.Responder`).

    With the reply it lets go of the call, which holds the request by its `state`: without that circle a request's
    memory is given back at once, and not when the garbage collector finds it.
    """

    __slots__ = ("_call", "sink")

    def __init__(self, call: Call, sink: ReplySink) -> None:
        self._call: Call | None = call
        self.sink = sink

    def send(self, outcome: InferResponse | NaiadError, final: bool) -> None:
        call, self._call = self._call, None
        if call is not None:
            self.sink.collect(call, outcome)


class ModelInfer:
    """The handler of the RPC."""

    def __init__(self, engine: Engine, send: Send) -> None:
        self._engine = engine
        self._sink = ReplySink(send)
        self._cache = DecodeCache()

    def __call__(self, call: Call, message: Buffer) -> None:
        request = decode(
            message,
            self._cache,
            time.monotonic_ns(),
            call.deadline,
            trace_id(call.metadata),
            self._engine.lookup,
        )
        call.state = self._engine.infer(request, GrpcResponder(call, self._sink))


def trace_id(metadata: Metadata) -> str:
    """The trace id of a `traceparent` (W3C Trace Context: version, trace id, span id, flags), or nothing."""
    for key, value in metadata:
        if key == "traceparent" and isinstance(value, str):
            fields = value.split("-")
            return fields[1] if len(fields) >= 4 and len(fields[1]) == 32 else ""
    return ""

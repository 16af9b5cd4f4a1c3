"""ModelInfer: decode, one call of the engine, and the way back.

Replies are collected per thread and leave with that thread's flush, in one list. So a batch's replies leave together,
and no earlier than its runner says, whatever other runners do meanwhile.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

from naiad.core.engine import Engine
from naiad.core.errors import NaiadError
from naiad.core.types import InferRequest, InferResponse, Signature
from naiad.frontends.grpc.codec import DecodeCache, decode, outline
from naiad.frontends.grpc.dispatch import Send, failure, unexpected
from naiad.frontends.grpc.encoding import EncodeCache, encode
from naiad.frontends.grpc.transport import OK, Buffer, Call, Reply

log = logging.getLogger(__name__)


TRACE = "traceparent"
_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}").fullmatch


class _Collected(threading.local):
    def __init__(self) -> None:
        self.replies: list[Reply] = []


class ReplySink:
    """Collects encoded replies (`core.pending.Sink`). `flush` sends what the calling thread has collected.

    failed: hears of responses that cannot be encoded, whose requests counted as answered well.
    """

    def __init__(self, send: Send, failed: Callable[[NaiadError, InferResponse], None] = lambda _, __: None) -> None:
        self._send = send
        self._failed = failed
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
            fault = error
        except Exception as error:
            log.exception("cannot encode a response of model '%s'", outcome.head.model)
            fault = unexpected(error, "the encoding of the response")
        self._failed(fault, outcome)
        return failure(call, fault)


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
        self._sink = ReplySink(send, self._unencoded)
        self._cache = DecodeCache()

    def failed(self, call: Call, error: NaiadError) -> None:
        """Count a call that ended without being looked at."""
        self._engine.refused(error, _unread("", None, "", trace_id(call.value(TRACE))))

    def _unencoded(self, error: NaiadError, response: InferResponse) -> None:
        self._engine.refused(error, _unread(response.head.model, int(response.head.version), response.id, ""))

    def __call__(self, call: Call, message: Buffer) -> None:
        received_ns = time.monotonic_ns()
        trace = trace_id(call.value(TRACE))
        reserved = call.adopt()
        try:
            request = self._decoded(call, message, received_ns, trace, reserved)
            call.state = self._engine.infer(request, GrpcResponder(call, self._sink))
        except Exception:
            if reserved:
                call.disown()
            raise

    def _decoded(self, call: Call, message: Buffer, received_ns: int, trace: str, reserved: bool) -> InferRequest:
        try:
            return decode(message, self._cache, received_ns, call.deadline, trace, self._engine.lookup, reserved)
        except NaiadError as error:
            seen = _unread(*outline(message), trace)
            self._engine.refused(error, seen._replace(received_ns=received_ns, nbytes=len(message)))
            raise


def _unread(model: str, version: int | None, request_id: str, trace: str) -> InferRequest:
    """What is known of a request, or of its response, that cannot be read or sent."""
    return InferRequest(Signature(model, version, ()), request_id, (), time.monotonic_ns(), 0, trace_id=trace)


def trace_id(traceparent: str | bytes | None) -> str:
    """The trace id of a `traceparent` (W3C Trace Context: version, trace id, span id, flags), or nothing."""
    if not isinstance(traceparent, str):
        return ""
    fields = traceparent.split("-")
    return fields[1] if len(fields) >= 4 and _TRACE_ID(fields[1]) else ""

"""The transport over grpcio's asyncio server: pure Python, always there.

A thread of its own runs its event loop. Handlers have no (de)serialisers: messages pass as bytes. What the loop
receives within a short time goes to the sink in one list (coalescing.py has the reason); one `send` costs at most one
wake-up of the loop.

A client that goes away, or whose deadline passes, in the moment in which it is answered makes grpcio log an error with
a traceback, although nothing is wrong: `_client_is_there` takes those out of its log.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import cast

import grpc

from naiad.frontends.grpc.aio_calls import AioCall, Context, Stream, UnaryCall
from naiad.frontends.grpc.aio_listening import Listening
from naiad.frontends.grpc.aio_options import options
from naiad.frontends.grpc.coalescing import WAIT, Coalescing
from naiad.frontends.grpc.transport import (
    STOPPING,
    Event,
    EventSink,
    Kind,
    Method,
    Reply,
    Trailers,
    TransportSettings,
    too_large,
)

log = logging.getLogger(__name__)
_MESSAGE = Kind.MESSAGE  # a name of the module is found ten times as fast

_GRPC_LOG = "grpc._cython.cygrpc"
_LAST_WRITES = 1.0
"""Seconds that replies made in time get to reach their clients when everything is answered."""


class AioTransport:
    """A `Transport` over grpc.aio."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._listening = Listening(settings)
        self._events: list[Event] = []
        self._coalescing = Coalescing()
        self._patience: asyncio.TimerHandle | None = None
        self._posted: deque[Sequence[Reply]] = deque()
        self._scheduled = False
        self._refusal: Trailers | None = None
        self._streams: set[Stream] = set()
        self._open = 0
        self._stopping = threading.Lock()
        self._thread: threading.Thread | None = None
        self._thread_id = 0
        self._ready = threading.Event()

    def start(self, methods: Sequence[Method], sink: EventSink) -> int:
        self._sink: EventSink = sink
        thread = threading.Thread(target=self._run, name="naiad-grpc", daemon=True)
        thread.start()
        self._ready.wait()
        try:
            port = asyncio.run_coroutine_threadsafe(self._listen(methods), self._loop).result()
        except (OSError, ValueError):
            self._end_thread(thread)
            raise
        self._thread = thread
        return port

    def send(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            if reply.call.streaming:
                cast(Stream, reply.call).outbox.append(reply)
        if threading.get_ident() == self._thread_id:
            self._apply(replies)
            return
        self._posted.append(replies)
        if not self._scheduled:
            self._scheduled = True
            self._wake()

    def refuse(self, trailers: Trailers) -> None:
        self._refusal = trailers

    def stop(self, grace: float) -> None:
        with self._stopping:
            if self._thread is None:
                return
            asyncio.run_coroutine_threadsafe(self._close(grace), self._loop).result()
            self._end_thread(self._thread)
            self._thread = None

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._thread_id = threading.get_ident()
            self._ready.set()
            self._loop.run_forever()
            self._thread_id = 0  # the system may give it to another thread

    def _end_thread(self, thread: threading.Thread) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join()

    async def _listen(self, methods: Sequence[Method]) -> int:
        logging.getLogger(_GRPC_LOG).addFilter(_client_is_there)  # the same one twice counts once
        self._emptied = asyncio.Event()
        self._server = grpc.aio.server(options=options(self._settings))
        self._server.add_generic_rpc_handlers((_Handlers({m.path: self._handler(m) for m in methods}),))
        port = self._listening.begin(self._server)
        await self._server.start()
        return port

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[bytes, bytes]:
        path, limit = method.path, self._settings.max_message_size

        async def unary(message: bytes, context: Context) -> bytes:
            call = UnaryCall(path, context, self._loop)
            event = Event(_MESSAGE, call, message)
            if len(message) > limit:
                event = Event(Kind.TOO_LARGE, call, too_large(len(message), limit).encode())
            del message  # grpc keeps the traceback of an error, with this frame, until the garbage collector comes
            if self._refusal:
                del event
                await call.finish(self._refusal)
            self._enter()
            try:
                self._emit(event)
                del event
                return await call.answer()
            except asyncio.CancelledError:
                self._emit(Event(Kind.CANCEL, call))
                raise
            finally:
                self._leave()

        async def stream(_: object, context: Context) -> None:
            call = Stream(method, context, self._emit, limit)
            if self._refusal is not None:
                await call.finish(self._refusal)
            self._enter()
            self._streams.add(call)
            try:
                await call.serve()
            finally:
                self._streams.discard(call)
                self._leave()

        if method.streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _enter(self) -> None:
        self._open += 1

    def _leave(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._emptied.set()

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        gathered = len(self._events)
        if gathered == self._coalescing.target:
            if self._patience is not None:
                self._patience.cancel()
            self._loop.call_soon(self._deliver_enough)
        elif gathered == 1:
            self._patience = self._loop.call_later(WAIT, self._deliver_few)

    def _deliver_enough(self) -> None:
        self._coalescing.met(len(self._events))
        self._deliver()

    def _deliver_few(self) -> None:
        self._coalescing.gave_up()
        self._deliver()

    def _deliver(self) -> None:
        events, self._events = self._events, []
        if events:
            self._sink(events)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            return  # the loop is closed, and with it every call

    def _drain(self) -> None:
        self._scheduled = False  # before the first look: what is posted from here on wakes again
        while self._posted:
            self._apply(self._posted.popleft())

    def _apply(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            cast(AioCall, reply.call).take(reply)

    async def _close(self, grace: float) -> None:
        until = self._loop.time() + grace
        self._refusal = self._refusal or STOPPING
        for stream in tuple(self._streams):
            stream.end_when_idle(STOPPING)
        await self._wait_until_empty(until)
        await self._server.stop(None if self._open else _LAST_WRITES)
        await self._wait_until_empty(self._loop.time() + _LAST_WRITES)
        self._listening.end()
        self._deliver()

    async def _wait_until_empty(self, until: float) -> None:
        if self._open == 0:
            return
        self._emptied.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._emptied.wait()
        except TimeoutError:
            return


class _Handlers(grpc.GenericRpcHandler):
    """Methods by path, looked up in one step; grpc itself answers UNIMPLEMENTED for what is not there."""

    def __init__(self, handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._handlers.get(handler_call_details.method)


def _client_is_there(record: logging.LogRecord) -> bool:
    """Tell whether grpcio logs anything else than that an answer could not be sent because its call had ended."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, grpc.aio.InternalError):
        return True
    log.debug("an answer came too late for its client: %s", error)
    return False

"""One call of the asyncio transport: how its handler waits for replies, and what keeps a stream within bounds.

Everything here runs on the transport's loop, except what says otherwise.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, cast

import grpc
from grpc.aio import EOF, BaseError, ServicerContext

from naiad.frontends.grpc.transport import HIGH_WATER, OK, Event, Kind, Metadata, Method, Reply, Trailers, too_large
from naiad.frontends.status import GrpcStatus

Context = ServicerContext[Any, Any]
Emit = Callable[[Event], None]

_STATUS: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class AioCall(ABC):
    """What unary calls and streams have in common: a `Call` of the seam (see there)."""

    __slots__ = ("_context", "deadline", "method", "state")

    streaming: ClassVar[bool]

    @abstractmethod
    def take(self, reply: Reply) -> None:
        """Act on a reply."""

    def __init__(self, method: str, context: Context) -> None:
        remaining = cast("float | None", context.time_remaining())
        self.method = method
        self.deadline = None if remaining is None else time.monotonic() + remaining
        self.state: object = None
        self._context = context

    @property
    def metadata(self) -> Metadata:
        return cast(Metadata, self._context.invocation_metadata() or ())

    @property
    def peer(self) -> str:
        return self._context.peer()

    @property
    def certificate(self) -> bytes | None:
        found = self._context.auth_context().get("x509_pem_cert", ())
        return next((ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in found), None)

    @property
    def writable(self) -> bool:
        return True

    def value(self, key: str) -> str | bytes | None:
        return next((value for name, value in self.metadata if name == key), None)

    def adopt(self) -> bool:
        return False

    def disown(self) -> None:  # noqa: B027 -- there is nothing to undo, in no kind of call
        """Nothing was adopted."""

    async def begin(self, reply: Reply) -> None:
        """Send what goes before everything else."""
        if reply.initial:
            await self._context.send_initial_metadata(reply.initial)

    async def finish(self, trailers: Trailers) -> None:
        """Set how the call ends; with another code than OK this raises grpc's AbortError, which ends the handler."""
        if trailers.code is GrpcStatus.OK:
            if trailers.metadata:
                self._context.set_trailing_metadata(trailers.metadata)
            return
        await self._context.abort(_STATUS[trailers.code], trailers.message, trailers.metadata)


class UnaryCall(AioCall):
    """A call with one message each way."""

    __slots__ = ("_reply",)

    streaming = False

    def __init__(self, method: str, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(method, context)
        self._reply: asyncio.Future[Reply] = loop.create_future()

    def take(self, reply: Reply) -> None:
        """Accept the reply, unless the call has ended."""
        if not self._reply.done():
            self._reply.set_result(reply)

    async def answer(self) -> bytes:
        """Wait for the reply and finish with it: the message to send."""
        reply = await self._reply
        await self.begin(reply)
        if reply.trailers is not OK:
            await self.finish(reply.trailers or OK)
        return b"".join(reply.parts or ())


class Stream(AioCall):
    """A streaming call: one task reads while the handler writes."""

    __slots__ = ("_credits", "_emit", "_ended_here", "_ending", "_limit", "_outstanding", "_wake", "outbox")

    streaming = True

    def __init__(self, method: Method, context: Context, emit: Emit, limit: int) -> None:
        super().__init__(method.path, context)
        self._emit = emit
        self._limit = limit
        self._credits = asyncio.Semaphore(method.window)
        self._outstanding = 0
        self._wake = asyncio.Event()
        self._ending: Trailers | None = None
        self._ended_here = False
        self.outbox: deque[Reply] = deque()
        """Replies not yet written; any thread appends, and posts to the loop that it has (`take`)."""

    @property
    def writable(self) -> bool:
        return len(self.outbox) < HIGH_WATER

    def take(self, reply: Reply) -> None:
        """Act on a reply that stands in the outbox."""
        self._outstanding -= reply.credit
        for _ in range(reply.credit):
            self._credits.release()
        if self._ending is not None:
            self.end_when_idle(self._ending)
        self._wake.set()

    def end_when_idle(self, trailers: Trailers) -> None:
        """End the stream after what is in its outbox, as soon as nothing that it received is unsettled."""
        self._ending = trailers
        if self._outstanding == 0:
            self._end(trailers)

    async def serve(self) -> None:
        """Handle the call from OPEN to its trailers or CANCEL."""
        self._emit(Event(Kind.OPEN, self))
        reader = asyncio.get_running_loop().create_task(self._read())
        try:
            trailers = await self._write()
        except (asyncio.CancelledError, BaseError):
            self._emit(Event(Kind.CANCEL, self))
            raise
        finally:
            reader.cancel()
        if self._ended_here:
            self._emit(Event(Kind.CANCEL, self))
        await self.finish(trailers)

    def _end(self, trailers: Trailers) -> None:
        """End the stream without the service, which is told by CANCEL."""
        self._ended_here = True
        self.outbox.append(Reply(self, None, trailers))
        self._wake.set()

    async def _read(self) -> None:
        while True:
            await self._credits.acquire()
            message = await self._context.read()
            if message is EOF:
                self._emit(Event(Kind.HALF_CLOSE, self))
                return
            if len(message) > self._limit:
                self._end(Trailers(GrpcStatus.RESOURCE_EXHAUSTED, too_large(len(message), self._limit)))
                return
            self._outstanding += 1
            self._emit(Event(Kind.MESSAGE, self, message))

    async def _write(self) -> Trailers:
        full = begun = False
        while True:
            while not self.outbox:
                self._wake.clear()
                await self._wake.wait()
            full = full or not self.writable
            reply = self.outbox.popleft()
            if not begun:
                begun = True
                await self.begin(reply)
            if reply.parts is not None:
                await self._context.write(b"".join(reply.parts))
            if reply.trailers is not None:
                return reply.trailers
            if full and len(self.outbox) <= HIGH_WATER // 2:
                full = False
                self._emit(Event(Kind.WRITABLE, self))

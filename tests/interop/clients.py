"""grpcio's two clients under one interface, so that each case is written once and runs over both.

Methods are named as in the service; messages are of the interop protocol. A call that must end has PATIENCE for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor as Service
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.frontends.grpc.wires import PATIENCE, UNLIMITED
from tests.interop.service import SERVICE

R = TypeVar("R")


class Outcome(NamedTuple):
    """How a call ended, and the metadata that came before its messages and behind them."""

    code: grpc.StatusCode
    text: str
    initial: dict[str, str | bytes]
    trailing: dict[str, str | bytes]


class Conversation(Protocol):
    """A call with a stream of messages in either direction, or both."""

    def send(self, *messages: Message) -> None: ...

    def half_close(self) -> None: ...

    def receive(self) -> Any:
        """The next message; None when there is none any more."""

    def cancel(self) -> None: ...

    def outcome(self) -> Outcome:
        """Wait for the end of the call."""


class Client(Protocol):
    """options: metadata, timeout and compression, as grpcio has them."""

    def unary(self, name: str, request: Message, *, of: Service = SERVICE, **options: Any) -> tuple[Any, Outcome]:
        """The answer to a call (None where it failed), and how it ended."""

    def converse(self, name: str, **options: Any) -> Conversation: ...

    def close(self) -> None: ...


class SyncClient:
    def __init__(self, port: int, **options: Any) -> None:
        self._channel: Any = grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED, **options)

    def unary(self, name: str, request: Message, *, of: Service = SERVICE, **options: Any) -> tuple[Any, Outcome]:
        call = _stub(self._channel.unary_unary, of, name).future(request, **options)
        failed = call.exception(PATIENCE)
        return None if failed else call.result(), _outcome(call)

    def converse(self, name: str, **options: Any) -> Conversation:
        return SyncConversation(_stub(self._channel.stream_stream, SERVICE, name), options)

    def close(self) -> None:
        self._channel.close()


class SyncConversation:
    def __init__(self, start: Any, options: dict[str, Any]) -> None:
        self._requests: SimpleQueue[Message | None] = SimpleQueue()
        self._call = start(iter(self._requests.get, None), **options)

    def send(self, *messages: Message) -> None:
        for message in messages:
            self._requests.put(message)

    def half_close(self) -> None:
        self._requests.put(None)

    def receive(self) -> Any:
        try:
            return next(self._call, None)
        except grpc.RpcError:
            return None

    def cancel(self) -> None:
        self._call.cancel()

    def outcome(self) -> Outcome:
        outcome = _outcome(self._call)
        self.half_close()  # lets go of the thread that waits for requests
        return outcome


class AioClient:
    """Runs the asyncio client on a loop of its own, which moves while a method waits."""

    def __init__(self, port: int, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._channel: Any = self._run(self._opened(port, options))

    async def _opened(self, port: int, options: dict[str, Any]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED, **options)

    def unary(self, name: str, request: Message, *, of: Service = SERVICE, **options: Any) -> tuple[Any, Outcome]:
        async def call() -> tuple[Any, Outcome]:
            started = _stub(self._channel.unary_unary, of, name)(request, **options)
            try:
                answer = await started
            except grpc.RpcError:
                answer = None
            return answer, await _awaited_outcome(started)

        return self._run(call())

    def converse(self, name: str, **options: Any) -> Conversation:
        async def start() -> Any:
            return _stub(self._channel.stream_stream, SERVICE, name)(**options)

        return AioConversation(self._run, self._run(start()))

    def close(self) -> None:
        self._run(self._channel.close())
        self._runner.close()

    def _run(self, step: Coroutine[Any, Any, R]) -> R:
        return self._runner.run(asyncio.wait_for(step, PATIENCE))


class AioConversation:
    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any], call: Any) -> None:
        self._run = run
        self._call = call

    def send(self, *messages: Message) -> None:
        async def write() -> None:
            for message in messages:
                with suppress(grpc.RpcError, asyncio.InvalidStateError):  # a call that has ended takes none
                    await self._call.write(message)

        self._run(write())

    def half_close(self) -> None:
        self._run(self._call.done_writing())

    def receive(self) -> Any:
        async def read() -> Any:
            try:
                message = await self._call.read()
            except (grpc.RpcError, asyncio.CancelledError):
                return None
            return None if message is grpc.aio.EOF else message

        return self._run(read())

    def cancel(self) -> None:
        async def cancel() -> None:
            self._call.cancel()

        self._run(cancel())

    def outcome(self) -> Outcome:
        return cast(Outcome, self._run(_awaited_outcome(self._call)))


CLIENTS: dict[str, Callable[..., Client]] = {"sync": SyncClient, "asyncio": AioClient}


def _stub(kind: Callable[..., Any], service: Service, name: str) -> Any:
    method = service.methods_by_name[name]
    return kind(
        f"/{service.full_name}/{name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )


def _outcome(call: Any) -> Outcome:
    initial, trailing = call.initial_metadata() or (), call.trailing_metadata() or ()
    return Outcome(call.code(), call.details() or "", dict(initial), dict(trailing))


async def _awaited_outcome(call: Any) -> Outcome:
    initial, trailing = await call.initial_metadata() or (), await call.trailing_metadata() or ()
    return Outcome(await call.code(), await call.details() or "", dict(initial), dict(trailing))

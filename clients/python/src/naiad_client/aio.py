"""The client for asyncio: the same methods as Client, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from naiad_client import calls, requests
from naiad_client.cache import Key, MetadataCache
from naiad_client.calls import Call
from naiad_client.connection import ClientOptions, Connection
from naiad_client.deadlines import Deadline
from naiad_client.errors import Cancelled, DeadlineExceeded, status_error
from naiad_client.metadata import Health, IndexEntry, ModelMetadata, ServerMetadata
from naiad_client.protocol.generated.grpc_service_pb2 import ModelInferRequest, ModelStatistics
from naiad_client.protocol.generated.model_config_pb2 import ModelConfig
from naiad_client.requests import InferOptions, Inputs
from naiad_client.results import Result

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Value = TypeVar("Value")


class AsyncClient:
    """A connection to one server, for the tasks of the event loop that it is made in (else RuntimeError).

    It takes what Client takes, and its methods are those of Client; there is no `submit`, since a task does as much.
    Cancelling a task that waits for an inference takes the request back: it is told to the server, which does not
    run it if it has not begun.
    """

    def __init__(self, address: str, **options: Unpack[ClientOptions]) -> None:
        asyncio.get_running_loop()
        self._connection = Connection(address, **options)
        self._retrying = _Wire(self._connection, once=False)
        self._once = _Wire(self._connection, once=True)
        self._cache = MetadataCache()
        self._fetching = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls on their way end with Cancelled."""
        await self._retrying.close()
        await self._once.close()

    async def infer(self, model: str, inputs: Inputs, **options: Unpack[InferOptions]) -> Result:
        """Infer one request and return its outputs: see Client.infer."""
        deadline, key = self._connection.deadline(options.get("timeout")), Key.of(model, options)
        with self._cache.watching(key):
            request = requests.build(await self._known(key, deadline), inputs, options)
            return await self._perform(calls.infer(request), deadline, options.get("headers"), self._wire(request))

    async def live(self, *, timeout: float | None = None) -> bool:
        """Whether the server runs and answers."""
        return await self._read(calls.live(), timeout)

    async def ready(self, model: str = "", version: int | str = "", *, timeout: float | None = None) -> bool:
        """Whether the server, or this model, can be inferred now. A model that there is not is not ready."""
        if model:
            return await self._read(calls.model_ready(model, version), timeout)
        return await self._read(calls.ready(), timeout)

    async def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """The health of the server, or of a service of it: Naiad has one for each model, called like it."""
        return await self._read(calls.health(service), timeout)

    async def server_metadata(self, *, timeout: float | None = None) -> ServerMetadata:
        """Who answers."""
        return await self._read(calls.server_metadata(), timeout)

    async def metadata(self, model: str, version: int | str = "", *, timeout: float | None = None) -> ModelMetadata:
        """The names, datatypes and shapes of a model's tensors, asked for now."""
        return await self._read(calls.metadata(model, version), timeout)

    async def config(self, model: str, version: int | str = "", *, timeout: float | None = None) -> ModelConfig:
        """The config that a model is served with, what the server completed included."""
        return await self._read(calls.config(model, version), timeout)

    async def statistics(
        self, model: str = "", version: int | str = "", *, timeout: float | None = None
    ) -> list[ModelStatistics]:
        """Counts and durations of each version of a model, or of all models."""
        return await self._read(calls.statistics(model, version), timeout)

    async def index(self, *, ready: bool = False, timeout: float | None = None) -> list[IndexEntry]:
        """The models of the repository, or only those that are ready."""
        return await self._read(calls.index(ready), timeout)

    async def _known(self, key: Key, deadline: Deadline) -> ModelMetadata:
        return self._cache.get(key) or await self._fetched(key, deadline)

    async def _fetched(self, key: Key, deadline: Deadline) -> ModelMetadata:
        call = calls.metadata(*key)
        try:
            async with asyncio.timeout(deadline.remaining()), self._fetching:
                found = self._cache.get(key)
                if found is None:
                    found = await self._perform(call, deadline, None, self._retrying)
                    self._cache.put(key, found)
                return found
        except TimeoutError:
            raise DeadlineExceeded("metadata did not come in time", self._connection.where(call.what)) from None

    async def _read(self, call: Call[Request, Response, Value], timeout: float | None) -> Value:
        return await self._perform(call, self._connection.deadline(timeout), None, self._retrying)

    async def _perform(
        self,
        call: Call[Request, Response, Value],
        deadline: Deadline,
        headers: Mapping[str, str] | None,
        wire: _Wire,
    ) -> Value:
        metadata, remaining = self._connection.metadata(headers), deadline.remaining()
        try:
            response = await wire.method(call)(call.request, timeout=remaining, metadata=metadata)
        except grpc.RpcError as error:
            raise status_error(error, self._connection.where(call.what)) from error
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            raise Cancelled("the client was closed", self._connection.where(call.what)) from None
        return call.convert(response)

    def _wire(self, request: ModelInferRequest) -> _Wire:
        return self._once if requests.in_sequence(request) else self._retrying


def _being_cancelled() -> bool:
    """Whether it is the task itself that was cancelled: grpcio raises the same where only the call was."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class _Wire:
    """A channel, and the methods that were called over it."""

    def __init__(self, connection: Connection, *, once: bool) -> None:
        address, options = connection.address, connection.options(once=once)
        if connection.credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options)
        else:
            self._channel = grpc.aio.secure_channel(address, connection.credentials, options)
        self._methods: dict[str, Any] = {}

    def method(self, call: Call[Request, Response, Value]) -> Any:
        """The callable of grpcio."""
        path, serialize, parse = call.method
        found = self._methods.get(path)
        if found is None:
            found = self._methods[path] = self._channel.unary_unary(path, serialize, parse)
        return found

    async def close(self) -> None:
        await self._channel.close()

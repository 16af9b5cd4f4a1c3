"""The client for programs with threads: each method waits for its answer."""

from __future__ import annotations

import threading
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
from naiad_client.errors import DeadlineExceeded, status_error
from naiad_client.futures import InferFuture
from naiad_client.metadata import Health, IndexEntry, ModelMetadata, ServerMetadata
from naiad_client.protocol.generated.grpc_service_pb2 import ModelInferRequest, ModelStatistics
from naiad_client.protocol.generated.model_config_pb2 import ModelConfig
from naiad_client.requests import InferOptions, Inputs
from naiad_client.results import Result

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Value = TypeVar("Value")


class Client:
    """A connection to one server, for any number of threads. It connects with the first call, and again when needed.

    `address` is `HOST:PORT` of the server's gRPC, or one of gRPC's URIs such as `unix:/run/naiad.sock`; ValueError
    for anything else. Every method raises StatusError, or the class of it for its status, when its call fails.
    """

    def __init__(self, address: str, **options: Unpack[ClientOptions]) -> None:
        self._connection = Connection(address, **options)
        self._retrying = _Wire(self._connection, once=False)
        self._once = _Wire(self._connection, once=True)
        self._cache = MetadataCache()
        self._fetching = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls on their way end with Cancelled."""
        self._retrying.close()
        self._once.close()

    def infer(self, model: str, inputs: Inputs, **options: Unpack[InferOptions]) -> Result:
        """Infer one request and return its outputs.

        inputs: the array of the model's only input, or a dict of arrays by the inputs' names; anything that numpy
            makes an array of. The shape is the model's, the batch dimension included. Values are converted to the
            model's datatype where that keeps their meaning; BYTES inputs take `str` and `bytes`.

        Raises InputError for inputs that do not fit the model, before anything is sent.
        """
        deadline, key = self._connection.deadline(options.get("timeout")), Key.of(model, options)
        with self._cache.watching(key):
            request = requests.build(self._known(key, deadline), inputs, options)
            return self._perform(calls.infer(request), deadline, options.get("headers"), self._wire(request))

    def submit(self, model: str, inputs: Inputs, **options: Unpack[InferOptions]) -> InferFuture:
        """Send what `infer` would, and return at once, apart from fetching the metadata of a model not seen before.

        Raises InputError as `infer` does; how the call ends is told by the future.
        """
        deadline, key = self._connection.deadline(options.get("timeout")), Key.of(model, options)
        with self._cache.watching(key):
            request = requests.build(self._known(key, deadline), inputs, options)
        call = calls.infer(request)
        metadata = self._connection.metadata(options.get("headers"))
        sent = self._wire(request).method(call).future(request, timeout=deadline.remaining(), metadata=metadata)
        future = InferFuture(sent, call.convert, self._connection.where(call.what))
        future.add_done_callback(lambda done: self._cache.failed(key, None if done.cancelled() else done.exception()))
        return future

    def live(self, *, timeout: float | None = None) -> bool:
        """Whether the server runs and answers."""
        return self._read(calls.live(), timeout)

    def ready(self, model: str = "", version: int | str = "", *, timeout: float | None = None) -> bool:
        """Whether the server, or this model, can be inferred now. A model that there is not is not ready."""
        if model:
            return self._read(calls.model_ready(model, version), timeout)
        return self._read(calls.ready(), timeout)

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """The health of the server, or of a service of it: Naiad has one for each model, called like it."""
        return self._read(calls.health(service), timeout)

    def server_metadata(self, *, timeout: float | None = None) -> ServerMetadata:
        """Who answers."""
        return self._read(calls.server_metadata(), timeout)

    def metadata(self, model: str, version: int | str = "", *, timeout: float | None = None) -> ModelMetadata:
        """The names, datatypes and shapes of a model's tensors, asked for now."""
        return self._read(calls.metadata(model, version), timeout)

    def config(self, model: str, version: int | str = "", *, timeout: float | None = None) -> ModelConfig:
        """The config that a model is served with, what the server completed included."""
        return self._read(calls.config(model, version), timeout)

    def statistics(
        self, model: str = "", version: int | str = "", *, timeout: float | None = None
    ) -> list[ModelStatistics]:
        """Counts and durations of each version of a model, or of all models."""
        return self._read(calls.statistics(model, version), timeout)

    def index(self, *, ready: bool = False, timeout: float | None = None) -> list[IndexEntry]:
        """The models of the repository, or only those that are ready."""
        return self._read(calls.index(ready), timeout)

    def _known(self, key: Key, deadline: Deadline) -> ModelMetadata:
        return self._cache.get(key) or self._fetched(key, deadline)

    def _fetched(self, key: Key, deadline: Deadline) -> ModelMetadata:
        call, remaining = calls.metadata(*key), deadline.remaining()
        if not self._fetching.acquire(timeout=-1 if remaining is None else remaining):
            raise DeadlineExceeded("other threads were fetching metadata", self._connection.where(call.what))
        try:
            found = self._cache.get(key) or self._perform(call, deadline, None, self._retrying)
            self._cache.put(key, found)
            return found
        finally:
            self._fetching.release()

    def _read(self, call: Call[Request, Response, Value], timeout: float | None) -> Value:
        return self._perform(call, self._connection.deadline(timeout), None, self._retrying)

    def _perform(
        self,
        call: Call[Request, Response, Value],
        deadline: Deadline,
        headers: Mapping[str, str] | None,
        wire: _Wire,
    ) -> Value:
        metadata, remaining = self._connection.metadata(headers), deadline.remaining()
        try:
            response = wire.method(call)(call.request, timeout=remaining, metadata=metadata)
        except grpc.RpcError as error:
            raise status_error(error, self._connection.where(call.what)) from error
        return call.convert(response)

    def _wire(self, request: ModelInferRequest) -> _Wire:
        return self._once if requests.in_sequence(request) else self._retrying


class _Wire:
    """A channel, and the methods that were called over it."""

    def __init__(self, connection: Connection, *, once: bool) -> None:
        address, options = connection.address, connection.options(once=once)
        if connection.credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, connection.credentials, options)
        self._methods: dict[str, Any] = {}

    def method(self, call: Call[Request, Response, Value]) -> Any:
        """The callable of grpcio, which also has `future`."""
        path, serialize, parse = call.method
        found = self._methods.get(path)
        if found is None:
            found = self._methods[path] = self._channel.unary_unary(path, serialize, parse)
        return found

    def close(self) -> None:
        self._channel.close()

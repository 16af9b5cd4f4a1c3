"""The whole gRPC frontend over a real engine with scripted models, and clients made from our own descriptors.

Every way in which the house is wired stands in WIRED; with the native one the runners drive the wire, as in a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from naiad.core.config import ModelConfig
from naiad.core.engine import IndexEntry
from naiad.core.history import ModelHistory
from naiad.frontends.grpc import inference
from naiad.frontends.grpc.service import GrpcService
from naiad.frontends.grpc.transport import TransportSettings
from naiad.frontends.grpc.wired import Wired, aio, native
from naiad.protocol import grpc_service_pb2 as pb
from naiad.protocol import model_config_pb2
from tests.core.house import House
from tests.core.scripted import Scripted, config
from tests.frontends.grpc.requests import raw_request
from tests.frontends.grpc.wires import PATIENCE, UNLIMITED

PLENTY = 1 << 30
"""Bytes that may be in flight."""


def _native(settings: TransportSettings, max_bytes: int) -> Wired:
    pytest.importorskip("naiad._native", reason="naiad._native is not built")
    return native(settings, max_bytes)


WIRED: dict[str, Callable[[TransportSettings, int], Wired]] = {"aio": aio, "native": _native}


class Repository:
    """What stands in the index; remembers how it was asked."""

    def __init__(self) -> None:
        self.entries: tuple[IndexEntry, ...] = ()
        self.asked: list[bool] = []

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        self.asked.append(ready_only)
        return self.entries

    def histories(self) -> tuple[ModelHistory, ...]:
        return ()


class Served:
    """A house with model `m`, its gRPC frontend on a free port, and a channel to it.

    wired: one of WIRED. settings: those of the transport.
    """

    def __init__(self, wired: str = "aio", **settings: Any) -> None:
        self.wired = WIRED[wired](TransportSettings(port=0, **settings), PLENTY)
        self.house = House(budget=self.wired.counter, waiter=self.wired.waiter)
        self.repository = Repository()
        self.house.engine.govern(self.repository)
        self.executable = Scripted()

    def __enter__(self) -> Self:
        self.house.__enter__()
        self.house.serve(described(config("m")), [self.executable])
        self.service = GrpcService(self.house.engine, self.wired.transport)
        self.port = self.service.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=UNLIMITED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.executable.let_go()
        self.channel.close()
        self.service.stop(PATIENCE if kind is None else 0)
        self.house.__exit__(kind, error, trace)

    def rpc(self, name: str) -> Any:
        """A callable for an RPC of the inference service."""
        return stub(self.channel, inference.SERVICE, name)

    def infer(self, value: float = 1.0, **options: Any) -> Any:
        """Start an inference of model `m`; gives grpc's future."""
        return self.rpc("ModelInfer").future(infer_request(value), **options)


def infer_request(value: float = 1.0, rows: int = 1, **options: str) -> pb.ModelInferRequest:
    """A request for the scripted model: `value` in all elements of `rows` rows of 2."""
    return raw_request(("x", "FP32", [rows, 2], np.full((rows, 2), value, np.float32).tobytes()), **options)


def described(model: ModelConfig) -> ModelConfig:
    """The config with a message that has its name."""
    message = model_config_pb2.ModelConfig(name=model.name, backend=model.backend, max_batch_size=model.max_batch_size)
    return replace(model, message=message.SerializeToString())


def stub(channel: grpc.Channel, service: ServiceDescriptor, name: str) -> Any:
    """A callable for a method, as generated stubs have it."""
    method: MethodDescriptor = service.methods_by_name[name]
    return _kind(channel, method)(
        f"/{service.full_name}/{name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )


def _kind(channel: grpc.Channel, method: MethodDescriptor) -> Callable[..., Any]:
    if method.client_streaming:
        return channel.stream_stream if method.server_streaming else channel.stream_unary
    return channel.unary_stream if method.server_streaming else channel.unary_unary


def values(response: pb.ModelInferResponse) -> Sequence[float]:
    """The first output's elements."""
    floats: list[float] = np.frombuffer(response.raw_output_contents[0], np.float32).tolist()
    return floats


def error(call: Any, *arguments: Any) -> tuple[grpc.StatusCode, str]:
    """How a call fails."""
    try:
        call(*arguments, timeout=PATIENCE)
    except grpc.RpcError as failed:
        return failed.code(), failed.details() or ""
    raise AssertionError("the call did not fail")


@contextmanager
def held(executable: Scripted) -> Iterator[None]:
    """Hold runs within the block, and let them go however it ends."""
    executable.hold()
    try:
        yield
    finally:
        executable.let_go()

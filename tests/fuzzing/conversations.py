"""Talks of a real client with a server that has `identity` models: each way to make a call, and each way to end one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tritonclient.grpc import service_pb2

from tests.e2e.models import ask
from tests.e2e.server import PATIENCE

MODEL = "echo"
WIDE = "wide"
WIDTH = 12_000
"""As much as a client may send at once to a server of which it has heard nothing yet: less than 64 KB."""
SERVICE = "/inference.GRPCInferenceService/"
Talk = Callable[[grpc.Channel], None]


def _call(channel: Any, method: str, message: Any, **options: Any) -> bytes:
    answer: bytes = channel.unary_unary(method)(message.SerializeToString(), timeout=PATIENCE, **options)
    return answer


def _infer(channel: grpc.Channel) -> None:
    for value in range(3):
        _call(channel, f"{SERVICE}ModelInfer", ask(MODEL, value, request_id=str(value)))


def _infer_much(channel: grpc.Channel) -> None:
    _call(channel, f"{SERVICE}ModelInfer", ask(WIDE, 1.5, width=WIDTH))


def _infer_compressed(channel: grpc.Channel) -> None:
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        _call(channel, f"{SERVICE}ModelInfer", ask(WIDE, 1.5, width=WIDTH), compression=algorithm)


def _infer_with_metadata(channel: grpc.Channel) -> None:
    metadata = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("key-bin", bytes(40)))
    _call(channel, f"{SERVICE}ModelInfer", ask(MODEL, 1), metadata=(*metadata, ("key", "v" * 500)))


def _infer_in_a_stream(channel: Any) -> None:
    """A server that does not do that may say so."""
    stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer")
    requests = (ask(MODEL, value).SerializeToString() for value in range(5))
    with suppress(grpc.RpcError):
        list(stream(requests, timeout=PATIENCE))


def _reflect_in_a_stream(channel: Any) -> None:
    stream = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
    ]
    requests = [question.SerializeToString() for question in questions]
    assert len(list(stream(iter(requests), timeout=PATIENCE))) == len(questions)


def _ask_around(channel: Any) -> None:
    _call(channel, f"{SERVICE}ServerReady", service_pb2.ServerReadyRequest())
    _call(channel, f"{SERVICE}ModelMetadata", service_pb2.ModelMetadataRequest(name=MODEL))
    _call(channel, f"{SERVICE}ModelConfig", service_pb2.ModelConfigRequest(name=MODEL))
    _call(channel, f"{SERVICE}ModelStatistics", service_pb2.ModelStatisticsRequest())
    _call(channel, f"{SERVICE}RepositoryIndex", service_pb2.RepositoryIndexRequest())


def _err(channel: grpc.Channel) -> None:
    for method, message in {
        f"{SERVICE}ModelInfer": ask("nobody", 1),
        f"{SERVICE}NoMethod": ask(MODEL, 1),
        f"{SERVICE}ModelMetadata": service_pb2.ModelMetadataRequest(name=MODEL, version="none"),
    }.items():
        with suppress(grpc.RpcError):
            _call(channel, method, message)


def _take_back(channel: Any) -> None:
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
    stream = watch(health_pb2.HealthCheckRequest().SerializeToString(), timeout=PATIENCE)
    next(stream)
    stream.cancel()


TALKS: dict[str, Talk] = {
    "infer": _infer,
    "infer much": _infer_much,
    "infer compressed": _infer_compressed,
    "infer with metadata": _infer_with_metadata,
    "infer in a stream": _infer_in_a_stream,
    "reflect in a stream": _reflect_in_a_stream,
    "ask around": _ask_around,
    "err": _err,
    "take back": _take_back,
}


def talk(address: str, name: str) -> None:
    """Have one talk over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as channel:
        TALKS[name](channel)

"""The RPCs that the client makes: where each is, its request, and what becomes of its response. Pure.

Both clients perform the same calls; they differ in how they wait.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from naiad_client.metadata import Health, IndexEntry, ModelMetadata, ServerMetadata
from naiad_client.protocol.generated import grpc_service_pb2 as pb
from naiad_client.protocol.generated import health_pb2
from naiad_client.protocol.generated.model_config_pb2 import ModelConfig
from naiad_client.results import Result

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Value = TypeVar("Value")

_INFERENCE: Final = "inference.GRPCInferenceService"
_HEALTH: Final = "grpc.health.v1.Health"


class Method(NamedTuple, Generic[Request, Response]):
    """An RPC of one request and one response; `path` has its service."""

    path: str
    serialize: Callable[[Request], bytes]
    parse: Callable[[bytes], Response]


class Call(NamedTuple, Generic[Request, Response, Value]):
    """One call: `what` names it in errors, and `convert` makes of its response what the caller gets."""

    method: Method[Request, Response]
    request: Request
    what: str
    convert: Callable[[Response], Value]


def _method(
    name: str, request: type[Request], response: type[Response], service: str = _INFERENCE
) -> Method[Request, Response]:
    return Method(f"/{service}/{name}", request.SerializeToString, response.FromString)


_LIVE: Final = _method("ServerLive", pb.ServerLiveRequest, pb.ServerLiveResponse)
_READY: Final = _method("ServerReady", pb.ServerReadyRequest, pb.ServerReadyResponse)
_SERVER_METADATA: Final = _method("ServerMetadata", pb.ServerMetadataRequest, pb.ServerMetadataResponse)
_MODEL_READY: Final = _method("ModelReady", pb.ModelReadyRequest, pb.ModelReadyResponse)
_METADATA: Final = _method("ModelMetadata", pb.ModelMetadataRequest, pb.ModelMetadataResponse)
_CONFIG: Final = _method("ModelConfig", pb.ModelConfigRequest, pb.ModelConfigResponse)
_STATISTICS: Final = _method("ModelStatistics", pb.ModelStatisticsRequest, pb.ModelStatisticsResponse)
_INFER: Final = _method("ModelInfer", pb.ModelInferRequest, pb.ModelInferResponse)
_INDEX: Final = _method("RepositoryIndex", pb.RepositoryIndexRequest, pb.RepositoryIndexResponse)
_CHECK: Final = _method("Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse, _HEALTH)


def infer(request: pb.ModelInferRequest) -> Call[pb.ModelInferRequest, pb.ModelInferResponse, Result]:
    return Call(_INFER, request, f"infer {request.model_name!r}", Result.from_message)


def live() -> Call[pb.ServerLiveRequest, pb.ServerLiveResponse, bool]:
    return Call(_LIVE, pb.ServerLiveRequest(), "live", attrgetter("live"))


def ready() -> Call[pb.ServerReadyRequest, pb.ServerReadyResponse, bool]:
    return Call(_READY, pb.ServerReadyRequest(), "ready", attrgetter("ready"))


def model_ready(model: str, version: int | str) -> Call[pb.ModelReadyRequest, pb.ModelReadyResponse, bool]:
    request = pb.ModelReadyRequest(name=model, version=str(version))
    return Call(_MODEL_READY, request, f"ready {model!r}", attrgetter("ready"))


def health(service: str) -> Call[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse, Health]:
    def convert(response: health_pb2.HealthCheckResponse) -> Health:
        return Health(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))

    return Call(_CHECK, health_pb2.HealthCheckRequest(service=service), f"health {service!r}", convert)


def server_metadata() -> Call[pb.ServerMetadataRequest, pb.ServerMetadataResponse, ServerMetadata]:
    return Call(_SERVER_METADATA, pb.ServerMetadataRequest(), "server_metadata", ServerMetadata.from_message)


def metadata(model: str, version: int | str) -> Call[pb.ModelMetadataRequest, pb.ModelMetadataResponse, ModelMetadata]:
    request = pb.ModelMetadataRequest(name=model, version=str(version))
    return Call(_METADATA, request, f"metadata {model!r}", ModelMetadata.from_message)


def config(model: str, version: int | str) -> Call[pb.ModelConfigRequest, pb.ModelConfigResponse, ModelConfig]:
    request = pb.ModelConfigRequest(name=model, version=str(version))
    return Call(_CONFIG, request, f"config {model!r}", attrgetter("config"))


def statistics(
    model: str, version: int | str
) -> Call[pb.ModelStatisticsRequest, pb.ModelStatisticsResponse, list[pb.ModelStatistics]]:
    def convert(response: pb.ModelStatisticsResponse) -> list[pb.ModelStatistics]:
        return list(response.model_stats)

    request = pb.ModelStatisticsRequest(name=model, version=str(version))
    return Call(_STATISTICS, request, f"statistics {model!r}", convert)


def index(ready: bool) -> Call[pb.RepositoryIndexRequest, pb.RepositoryIndexResponse, list[IndexEntry]]:
    def convert(response: pb.RepositoryIndexResponse) -> list[IndexEntry]:
        return [IndexEntry.from_message(entry) for entry in response.models]

    return Call(_INDEX, pb.RepositoryIndexRequest(ready=ready), "index", convert)

"""The RPCs of `inference.GRPCInferenceService` that answer at once, each one read of the engine.

Every RPC of the service is registered: those that are not here yet say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from naiad import __version__
from naiad.core.engine import Engine
from naiad.core.errors import Unimplemented
from naiad.core.statistics import BatchStatistics, Duration, VersionStatistics
from naiad.core.types import TensorSpec
from naiad.frontends.grpc.dispatch import OpenStream, Stream, Unary, answering
from naiad.frontends.grpc.transport import Buffer, Call
from naiad.frontends.versions import parse_version
from naiad.protocol import grpc_service_pb2 as pb
from naiad.protocol import model_config_pb2

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
SERVER_NAME = "naiad"
EXTENSIONS = (
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "parameters",
    "statistics",
)
"""Extensions of the protocol that work; names as the protocol has them."""


class InferenceReads:
    """The handlers, by the RPC's name. name: what the server calls itself."""

    def __init__(self, engine: Engine, name: str = SERVER_NAME) -> None:
        self._engine = engine
        self._name = name
        self.handlers: dict[str, Unary] = {
            "ServerLive": answering(pb.ServerLiveRequest, self._server_live),
            "ServerReady": answering(pb.ServerReadyRequest, self._server_ready),
            "ModelReady": answering(pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": answering(pb.ServerMetadataRequest, self._server_metadata),
            "ModelMetadata": answering(pb.ModelMetadataRequest, self._model_metadata),
            "ModelConfig": answering(pb.ModelConfigRequest, self._model_config),
            "ModelStatistics": answering(pb.ModelStatisticsRequest, self._model_statistics),
            "RepositoryIndex": answering(pb.RepositoryIndexRequest, self._repository_index),
        }

    def _server_live(self, _: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=self._engine.live())

    def _server_ready(self, _: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._engine.ready())

    def _model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        return pb.ModelReadyResponse(ready=self._engine.model_ready(request.name, parse_version(request.version)))

    def _server_metadata(self, _: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name=self._name, version=__version__, extensions=EXTENSIONS)

    def _model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        found = self._engine.metadata(request.name, parse_version(request.version))
        return pb.ModelMetadataResponse(
            name=found.name,
            versions=map(str, found.versions),
            platform=found.platform,
            inputs=_tensors(found.inputs),
            outputs=_tensors(found.outputs),
        )

    def _model_config(self, request: pb.ModelConfigRequest) -> pb.ModelConfigResponse:
        config = self._engine.config(request.name, parse_version(request.version))
        return pb.ModelConfigResponse(config=model_config_pb2.ModelConfig.FromString(config.message))

    def _model_statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        found = self._engine.statistics(request.name, parse_version(request.version))
        return pb.ModelStatisticsResponse(model_stats=map(_statistics, found))

    def _repository_index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        if request.repository_name:
            raise Unimplemented("'repository_name' specification is not supported")
        models = [
            pb.RepositoryIndexResponse.ModelIndex(name=e.name, version=e.version, state=e.state, reason=e.reason)
            for e in self._engine.index(request.ready)
        ]
        return pb.RepositoryIndexResponse(models=models)


def not_yet(name: str) -> Callable[[Call, Buffer], None]:
    """A unary handler that refuses."""

    def refuse(_: Call, __: Buffer) -> None:
        raise Unimplemented(f"{name} is not implemented yet by this server")

    return refuse


def no_stream_yet(name: str) -> OpenStream:
    """A streaming handler that refuses."""

    def refuse(_: Call) -> Stream:
        raise Unimplemented(f"{name} is not implemented yet by this server")

    return refuse


def _tensors(specs: Iterable[TensorSpec]) -> Iterable[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(name=s.name, datatype=s.datatype.value, shape=s.shape) for s in specs
    ]


def _statistics(found: VersionStatistics) -> pb.ModelStatistics:
    return pb.ModelStatistics(
        name=found.name,
        version=str(found.version),
        last_inference=found.last_inference_ms,
        inference_count=found.inference_count,
        execution_count=found.execution_count,
        inference_stats=_inference_statistics(found),
        batch_stats=map(_batch_statistics, found.batches),
    )


def _inference_statistics(found: VersionStatistics) -> pb.InferStatistics:
    return pb.InferStatistics(
        success=_duration(found.success),
        fail=_duration(found.fail),
        queue=_duration(found.queue),
        compute_input=_duration(found.compute_input),
        compute_infer=_duration(found.compute_infer),
        compute_output=_duration(found.compute_output),
        cache_hit=_duration(Duration()),
        cache_miss=_duration(Duration()),
    )


def _batch_statistics(found: BatchStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=found.batch_size,
        compute_input=_duration(found.compute_input),
        compute_infer=_duration(found.compute_infer),
        compute_output=_duration(found.compute_output),
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)

"""What a server tells of itself and its models, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from naiad_client.protocol.generated import grpc_service_pb2 as pb


class ServerMetadata(NamedTuple):
    """Who answers. `extensions` are those of the protocol that the server has."""

    name: str
    version: str
    extensions: tuple[str, ...]

    @classmethod
    def from_message(cls, message: pb.ServerMetadataResponse) -> Self:
        return cls(message.name, message.version, tuple(message.extensions))


class TensorMetadata(NamedTuple):
    """An input or output. `datatype` is the protocol's name; in `shape`, -1 is any size, and the batch comes first."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A model's tensors. `versions` are those that can be inferred now."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]

    @classmethod
    def from_message(cls, message: pb.ModelMetadataResponse) -> Self:
        def tensors(side: str) -> tuple[TensorMetadata, ...]:
            return tuple(TensorMetadata(t.name, t.datatype, tuple(t.shape)) for t in getattr(message, side))

        return cls(message.name, tuple(message.versions), message.platform, tensors("inputs"), tensors("outputs"))


class IndexEntry(NamedTuple):
    """A model of the repository. Without a version nothing of it was loaded; `reason` says why it is in its state."""

    name: str
    version: str
    state: str
    reason: str

    @classmethod
    def from_message(cls, message: pb.RepositoryIndexResponse.ModelIndex) -> Self:
        return cls(message.name, message.version, message.state, message.reason)


class Health(StrEnum):
    """What `grpc.health.v1` tells of a service. A service that it does not know is an error, NotFound."""

    UNKNOWN = "UNKNOWN"
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"

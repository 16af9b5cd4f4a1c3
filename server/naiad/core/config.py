"""A model's config as a value: the part of it that the server acts on.

The whole completed message travels along as bytes (`message`) for those who ask for it. Field names are those
of `protos/model_config.proto` where they have one; times are in microseconds as there. Nothing is checked
here: whoever makes a ModelConfig (naiad.protocol.config) has validated it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from naiad.core.types import DataType, Shape

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TensorConfig:
    """An input or output. `dims` has -1 where any size goes and excludes the batch dimension.

    `reshape` is the shape the model itself wants (None: as `dims`); `label_filename` is relative to the
    model's directory.
    """

    name: str
    datatype: DataType
    dims: Shape
    reshape: Shape | None = None
    optional: bool = False
    label_filename: str = ""


class Kind(Enum):
    """Where an instance group's instances live."""

    AUTO = "KIND_AUTO"
    GPU = "KIND_GPU"
    CPU = "KIND_CPU"
    MODEL = "KIND_MODEL"


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """`count` instances on each of `gpus` (KIND_GPU), or on the CPU; 0 is the default of the backend there."""

    name: str = ""
    kind: Kind = Kind.AUTO
    count: int = 1
    gpus: tuple[int, ...] = ()
    profile: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """Limits of a queue: 0 microseconds is no timeout, size 0 is the server's default limit."""

    default_timeout_microseconds: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """How requests are put together. `preferred_batch_size` empty means max_batch_size."""

    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_microseconds: int = 0
    preserve_ordering: bool = False
    queue_policy: QueuePolicy = QueuePolicy()


class Source(Enum):
    """Where the data of a warm-up's input come from."""

    ZERO = "zero_data"
    RANDOM = "random_data"
    FILE = "input_data_file"


@dataclass(frozen=True, slots=True)
class WarmupInput:
    """`dims` are whole, but for the batch dimension. file: in the model's directory `warmup`, with Source.FILE."""

    name: str
    datatype: DataType
    dims: Shape
    source: Source
    file: str = ""


@dataclass(frozen=True, slots=True)
class Warmup:
    """A request to run `count` times before a version serves."""

    name: str
    batch_size: int
    inputs: tuple[WarmupInput, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which version directories are served: the `latest` n, or the `specific` ones, or (neither) all."""

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def select(self, present: frozenset[int] | set[int]) -> tuple[int, ...]:
        """The versions to serve of those `present`, ascending."""
        ordered = sorted(present)
        if self.specific:
            return tuple(v for v in ordered if v in self.specific)
        return tuple(ordered if self.latest is None else ordered[-self.latest :])


class Device(NamedTuple):
    """A place to compute: `Device(Kind.CPU)` or `Device(Kind.GPU, ordinal)`."""

    kind: Kind
    id: int = 0

    def __str__(self) -> str:
        return "cpu" if self.kind is Kind.CPU else f"gpu{self.id}"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model's config. `max_batch_size` 0: the model has no batch dimension and requests run one by one.

    `dynamic_batching` None: each request runs alone even when max_batch_size allows more. `message` is the
    completed `inference.ModelConfig`, serialised.
    """

    name: str
    backend: str = ""
    platform: str = ""
    max_batch_size: int = 0
    inputs: tuple[TensorConfig, ...] = ()
    outputs: tuple[TensorConfig, ...] = ()
    version_policy: VersionPolicy = VersionPolicy()
    instance_groups: tuple[InstanceGroup, ...] = ()
    dynamic_batching: DynamicBatching | None = None
    default_model_filename: str = ""
    cc_model_filenames: Mapping[str, str] = field(default_factory=lambda: _NONE)
    parameters: Mapping[str, str] = field(default_factory=lambda: _NONE)
    graph_optimization_level: int | None = None
    accelerators: tuple[str, ...] = ()
    warmups: tuple[Warmup, ...] = ()
    message: bytes = field(default=b"", repr=False)

    @property
    def batching(self) -> bool:
        """Whether tensors have a batch dimension in front of `dims`."""
        return self.max_batch_size > 0

    def shape(self, tensor: TensorConfig) -> Shape:
        """The full shape of a tensor as clients see it, the batch dimension (-1) included."""
        return (-1, *tensor.dims) if self.batching else tensor.dims

"""What an ONNX graph says of its inputs and outputs, and a config that is completed from it.

Pure: it sees a session's answers only. Completed tensors stand in the graph's order. ONNX Runtime tells the shape []
for a scalar and for a tensor of unknown shape alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from naiad.backends.blank import inner
from naiad.core.config import DynamicBatching, ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig, Problem
from naiad.core.types import DataType, Shape

log = logging.getLogger(__name__)

_DATATYPES = {
    "tensor(bool)": DataType.BOOL,
    "tensor(uint8)": DataType.UINT8,
    "tensor(uint16)": DataType.UINT16,
    "tensor(uint32)": DataType.UINT32,
    "tensor(uint64)": DataType.UINT64,
    "tensor(int8)": DataType.INT8,
    "tensor(int16)": DataType.INT16,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
    "tensor(float16)": DataType.FP16,
    "tensor(float)": DataType.FP32,
    "tensor(double)": DataType.FP64,
    "tensor(bfloat16)": DataType.BF16,
    "tensor(string)": DataType.BYTES,
}


class GraphTensor(NamedTuple):
    """An input or output of the graph: `kind` in ONNX's words, `datatype` None where the protocol has none for it.

    `shape` is the whole shape, -1 for any size.
    """

    name: str
    kind: str
    shape: Shape

    @property
    def datatype(self) -> DataType | None:
        return _DATATYPES.get(self.kind)

    def __str__(self) -> str:
        kind = self.datatype.value if self.datatype else self.kind
        return f"{self.name} ({kind} {written(self.shape)})"


class Graph(NamedTuple):
    """A graph's signature. `defaults` are the inputs that have a value of their own and may be left out."""

    inputs: tuple[GraphTensor, ...]
    defaults: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]

    @classmethod
    def of(cls, session: Any) -> Graph:
        """The signature of an `onnxruntime.InferenceSession`."""
        return cls(
            tuple(map(_tensor, session.get_inputs())),
            tuple(map(_tensor, session.get_overridable_initializers())),
            tuple(map(_tensor, session.get_outputs())),
        )


def _tensor(node: Any) -> GraphTensor:
    """A dimension that is no number is a name, or nothing at all: any size either way."""
    return GraphTensor(
        node.name, node.type, tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)
    )


def complete(config: ModelConfig, graph: Graph, default_max_batch_size: int) -> ModelConfig:
    """Fill in the side, inputs or outputs, that the config leaves empty, and with it the batching.

    A model can be batched when every input and every output that is served has a first dimension of any size. Then
    max_batch_size 0 means `default_max_batch_size` (or the largest preferred one), unless the declared side has the
    whole shapes. A config that declares both sides is taken as it is. Raises InvalidConfig where the graph cannot be
    what the config says.
    """
    if config.inputs and config.outputs:
        return config
    config = _complete_batching(config, graph, default_max_batch_size)
    return replace(
        config,
        inputs=config.inputs or _configs("input", graph.inputs, config),
        outputs=config.outputs or _configs("output", graph.outputs, config),
    )


def _complete_batching(config: ModelConfig, graph: Graph, default: int) -> ModelConfig:
    wanted = {tensor.name for tensor in config.outputs or graph.outputs}
    tensors = (*graph.inputs, *(tensor for tensor in graph.outputs if tensor.name in wanted))
    if any(tensor.shape[:1] != (-1,) for tensor in tensors):
        if config.batching:
            raise InvalidConfig([_cannot_batch(config, listed(tensors))])
        return config
    if not config.batching and not _has_whole_shapes(config, graph):
        preferred = config.dynamic_batching.preferred_batch_size if config.dynamic_batching else ()
        config = replace(config, max_batch_size=max(default, *preferred, 0))
        log.info(
            "model %s can be batched and its config has no max_batch_size: set to %d",
            config.name,
            config.max_batch_size,
        )
    if config.max_batch_size > 1 and config.dynamic_batching is None:
        config = replace(config, dynamic_batching=DynamicBatching())
    return config


def _cannot_batch(config: ModelConfig, found: str) -> Problem:
    expected = "a first dimension of -1 everywhere"
    return Problem(
        f"autofill failed for model '{config.name}': model does not support batching while non-zero max_batch_size is "
        f"specified; it would need {expected}, the model has {found}",
        "max_batch_size",
        found=found,
        expected=expected,
        remedy="Export the model with a batch axis of any size (torch.onnx.export: dynamic_shapes), or write "
        "max_batch_size: 0",
    )


def _has_whole_shapes(config: ModelConfig, graph: Graph) -> bool:
    """Whether the side that a config declares has as many dimensions as the graph, the batch included."""
    ranks = {tensor.name: len(tensor.shape) for tensor in (*graph.inputs, *graph.outputs)}
    declared = (*config.inputs, *config.outputs)
    return bool(declared) and all(len(inner(t)) == ranks.get(t.name) for t in declared)


def _configs(side: str, tensors: Sequence[GraphTensor], config: ModelConfig) -> tuple[TensorConfig, ...]:
    return tuple(_config(side, tensor, config) for tensor in tensors)


def _config(side: str, tensor: GraphTensor, config: ModelConfig) -> TensorConfig:
    if tensor.datatype is None:
        raise InvalidConfig([unservable(side, tensor, config.name, side)])
    dims = tensor.shape[1:] if config.batching else tensor.shape
    if dims:
        return TensorConfig(tensor.name, tensor.datatype, dims)
    return TensorConfig(tensor.name, tensor.datatype, (1,), reshape=() if config.batching else None)


def listed(tensors: Iterable[GraphTensor]) -> str:
    """Tensors for an error's text: `a (FP32 [-1,4]), b (INT64 [])`."""
    return ", ".join(map(str, tensors))


def written(shape: Shape) -> str:
    """A shape as the protocol's error texts write it: `[1,2]`."""
    return "[" + ",".join(map(str, shape)) + "]"


def unservable(side: str, tensor: GraphTensor, model: str, field: str) -> Problem:
    """Why a tensor cannot be served: its type is none of the protocol's."""
    hint = " (scikit-learn: convert with options={'zipmap': False})" if "map(" in tensor.kind else ""
    leave = "; a config may list only the others" if side == "output" else ""
    expected = "a tensor of a datatype of the protocol"
    return Problem(
        f"{side} '{tensor.name}' of model '{model}' is a {tensor.kind}, expected {expected}{hint}{leave}",
        field,
        found=tensor.kind,
        expected=expected,
        remedy=f"Export the model with a tensor for '{tensor.name}'"
        + (", or list only the other outputs in the config" if side == "output" else ""),
    )

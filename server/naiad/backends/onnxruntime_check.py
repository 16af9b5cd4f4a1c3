"""A completed config compared with the ONNX graph that it speaks of. Pure.

Every disagreement is a problem with the field that says it. Texts that users of Triton's backend know are kept, with
what the model has added to them. A graph's tensor of shape [] is taken for a scalar when it is an input; an output
may have any shape then, since ONNX Runtime says [] for an unknown shape too.
"""

from __future__ import annotations

from collections.abc import Iterator

from naiad.backends.blank import inner
from naiad.backends.onnxruntime_graph import Graph, GraphTensor, listed, unservable, written
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.problems import Problem
from naiad.core.types import DataType

_GOES = {
    "input": lambda says, has: has in (-1, says),
    "output": lambda says, has: -1 in (says, has) or says == has,
}
"""Does a dimension of the config go with the graph's? What is sent must fit; what comes back may be less certain."""


def problems(config: ModelConfig, graph: Graph) -> Iterator[Problem]:
    """Where a completed config and the graph disagree."""
    yield from _input_problems(config, graph)
    inputs = {tensor.name: tensor for tensor in (*graph.inputs, *graph.defaults)}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    for i, tensor in enumerate(config.inputs):
        yield from _tensor_problems(config, f"input[{i}]", tensor, inputs)
    for i, tensor in enumerate(config.outputs):
        yield from _tensor_problems(config, f"output[{i}]", tensor, outputs)
    kinds = {t.datatype for t in (*config.inputs, *config.outputs)}
    if DataType.BF16 in kinds and any(t.datatype is DataType.BYTES for t in config.inputs):
        text = f"model '{config.name}' has BYTES inputs and BF16 tensors, which ONNX Runtime cannot run from Python"
        yield Problem(text, "input")


def _input_problems(config: ModelConfig, graph: Graph) -> Iterator[Problem]:
    names = {tensor.name for tensor in config.inputs}
    if missing := [tensor for tensor in graph.inputs if tensor.name not in names]:
        text = (
            f"unable to load model '{config.name}', configuration expects {len(config.inputs)} inputs, model provides "
            f"{len(graph.inputs)}: the configuration lacks {listed(missing)}"
        )
        yield Problem(text, "input")
    required = {tensor.name for tensor in graph.inputs}
    for i, tensor in enumerate(config.inputs):
        if tensor.optional and config.batching:
            text = (
                f"unable to load model '{config.name}', optional input '{tensor.name}' is not supported for models "
                "that support batching"
            )
            yield Problem(text, f"input[{i}].optional")
        elif tensor.optional and tensor.name in required:
            text = (
                f"input '{tensor.name}' of model '{config.name}' cannot be optional: the graph has no default "
                "(an initializer) for it"
            )
            yield Problem(text, f"input[{i}].optional")


def _tensor_problems(
    config: ModelConfig, path: str, wanted: TensorConfig, known: dict[str, GraphTensor]
) -> Iterator[Problem]:
    side = path.partition("[")[0]
    tensor = known.get(wanted.name)
    if tensor is None:
        text = f"unexpected inference {side} '{wanted.name}', allowed {side}s are: {listed(known.values())}"
        yield Problem(f"{text}, for model '{config.name}'", f"{path}.name")
    elif tensor.datatype is None:
        yield Problem(unservable(side, tensor, config.name), f"{path}.data_type")
    elif tensor.datatype is not wanted.datatype:
        text = (
            f"unable to load model '{config.name}', configuration expects datatype {_type(wanted.datatype)} for {side} "
            f"'{wanted.name}', model provides {_type(tensor.datatype)}"
        )
        yield Problem(text, f"{path}.data_type")
    elif text := _shape_fault(config, side, wanted, tensor):
        at = "dims" if wanted.reshape is None else "reshape"
        yield Problem(text, f"{path}.{at}")


def _shape_fault(config: ModelConfig, side: str, wanted: TensorConfig, tensor: GraphTensor) -> str:
    """What is wrong with the shape, or nothing. Outputs may be told more exactly, or less, than the graph does."""
    dims = inner(wanted)
    subject = f"model '{config.name}', tensor '{wanted.name}'"
    if not tensor.shape:
        return "" if side == "output" else _scalar_fault(config, wanted)
    if config.batching and tensor.shape[0] != -1:
        return (
            f"{subject}: for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {written(tensor.shape)}"
        )
    whole = (-1, *dims) if config.batching else dims
    if len(whole) == len(tensor.shape) and all(map(_GOES[side], whole, tensor.shape)):
        return ""
    batch = (
        "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making complete "
        if config.batching
        else ""
    )
    return (
        f"{subject}: the model expects {len(tensor.shape)} dimensions (shape {written(tensor.shape)}) but the model "
        f"configuration specifies {len(whole)} dimensions ({batch}shape {written(whole)})"
    )


def _scalar_fault(config: ModelConfig, wanted: TensorConfig) -> str:
    dims = inner(wanted)
    if all(dim == 1 for dim in dims):
        return ""
    return (
        f"unable to load model '{config.name}', scalar tensor '{wanted.name}', should only provide 1 in the model "
        f"configuration when the model doesn't support batching. Model configuration provided: {written(dims)}."
    )


def _type(datatype: DataType) -> str:
    return "TYPE_STRING" if datatype is DataType.BYTES else f"TYPE_{datatype.value}"

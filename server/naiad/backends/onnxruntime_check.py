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
from naiad.core.spelling import closest
from naiad.core.types import DataType, Shape

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
        found = "BYTES inputs and BF16 tensors"
        text = f"model '{config.name}' has {found}, which ONNX Runtime cannot run from Python"
        remedy = "Export the model with FP32 in place of BF16 at its edges"
        yield Problem(text, "input", found=found, expected="only one of the two", remedy=remedy)


def _input_problems(config: ModelConfig, graph: Graph) -> Iterator[Problem]:
    names = {tensor.name for tensor in config.inputs}
    known = [tensor.name for tensor in (*graph.inputs, *graph.defaults)]
    misspelt = {closest(name, known) for name in names.difference(known)}
    if missing := [tensor for tensor in graph.inputs if tensor.name not in names | misspelt]:
        found, expected = f"{len(config.inputs)} inputs", listed(missing)
        text = (
            f"unable to load model '{config.name}', configuration expects {found}, model provides "
            f"{len(graph.inputs)}: the configuration lacks {expected}"
        )
        remedy = "Add these to the config's inputs, or remove all inputs from it: they are completed from the model"
        yield Problem(text, "input", found=found, expected=expected, remedy=remedy)
    required = {tensor.name for tensor in graph.inputs}
    for i, tensor in enumerate(config.inputs):
        if tensor.optional and config.batching:
            text = (
                f"unable to load model '{config.name}', optional input '{tensor.name}' is not supported for models "
                "that support batching"
            )
            yield _not_optional(text, f"input[{i}].optional", "Remove 'optional', or write max_batch_size: 0")
        elif tensor.optional and tensor.name in required:
            text = (
                f"input '{tensor.name}' of model '{config.name}' cannot be optional: the graph has no default "
                "(an initializer) for it"
            )
            yield _not_optional(text, f"input[{i}].optional", "Remove 'optional', or export the model with a default")


def _not_optional(text: str, field: str, remedy: str) -> Problem:
    return Problem(text, field, found="optional: true", expected="an input that every request has", remedy=remedy)


def _tensor_problems(
    config: ModelConfig, path: str, wanted: TensorConfig, known: dict[str, GraphTensor]
) -> Iterator[Problem]:
    side = path.partition("[")[0]
    tensor = known.get(wanted.name)
    if tensor is None:
        yield _unknown(config, side, path, wanted, known)
    elif tensor.datatype is None:
        yield unservable(side, tensor, config.name, f"{path}.data_type")
    elif tensor.datatype is not wanted.datatype:
        found, expected = _type(wanted.datatype), _type(tensor.datatype)
        text = (
            f"unable to load model '{config.name}', configuration expects datatype {found} for {side} "
            f"'{wanted.name}', model provides {expected}"
        )
        yield Problem(text, f"{path}.data_type", found=found, expected=expected, remedy=f"Write {expected}")
    else:
        yield from _shape_problems(config, path, wanted, tensor)


def _unknown(config: ModelConfig, side: str, path: str, wanted: TensorConfig, known: dict[str, GraphTensor]) -> Problem:
    guess = closest(wanted.name, known)
    expected = listed(known.values())
    return Problem(
        f"unexpected inference {side} '{wanted.name}', allowed {side}s are: {expected}, for model '{config.name}'",
        f"{path}.name",
        found=f"'{wanted.name}'",
        expected=expected,
        remedy=f"Write '{guess}'" if guess else f"Write the name of one of the model's {side}s, or remove it",
    )


def _shape_problems(config: ModelConfig, path: str, wanted: TensorConfig, tensor: GraphTensor) -> Iterator[Problem]:
    """What is wrong with the shape. Outputs may be told more exactly, or less, than the graph does."""
    dims, side = inner(wanted), path.partition("[")[0]
    field = f"{path}.dims" if wanted.reshape is None else f"{path}.reshape"
    if not tensor.shape:
        if side == "input" and any(dim != 1 for dim in dims):
            yield _scalar(config, wanted, field)
    elif config.batching and tensor.shape[0] != -1:
        yield _fixed_batch(config, wanted, tensor, field)
    else:
        whole = (-1, *dims) if config.batching else dims
        if len(whole) != len(tensor.shape) or not all(map(_GOES[side], whole, tensor.shape)):
            yield _other_shape(config, wanted, tensor, whole, field)


def _fixed_batch(config: ModelConfig, wanted: TensorConfig, tensor: GraphTensor, field: str) -> Problem:
    found = written(tensor.shape)
    return Problem(
        f"model '{config.name}', tensor '{wanted.name}': for the model to support batching the shape should have at "
        "least 1 dimension and the first dimension must be -1; but shape expected by the model is " + found,
        field,
        found=found,
        expected="the first dimension must be -1",
        remedy="Export the model with a batch axis of any size (torch.onnx.export: dynamic_shapes), or write "
        f"max_batch_size: 0 and dims: {list(tensor.shape)}",
    )


def _other_shape(config: ModelConfig, wanted: TensorConfig, tensor: GraphTensor, whole: Shape, field: str) -> Problem:
    batch = (
        "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making complete "
        if config.batching
        else ""
    )
    own = tensor.shape[1:] if config.batching else tensor.shape
    remedy = f"Write dims: {list(own)}" + (", without the batch dimension" if config.batching else "")
    if not config.batching and tensor.shape[1:] == whole:
        remedy = f"{remedy}, or set max_batch_size: the model has a batch dimension"
    return Problem(
        f"model '{config.name}', tensor '{wanted.name}': the model expects {len(tensor.shape)} dimensions (shape "
        f"{written(tensor.shape)}) but the model configuration specifies {len(whole)} dimensions ({batch}shape "
        f"{written(whole)})",
        field,
        found=f"shape {written(whole)}",
        expected=f"shape {written(tensor.shape)}",
        remedy=remedy if wanted.reshape is None else f"Write reshape {{ shape: {list(own)} }}",
    )


def _scalar(config: ModelConfig, wanted: TensorConfig, field: str) -> Problem:
    found = written(inner(wanted))
    return Problem(
        f"unable to load model '{config.name}', scalar tensor '{wanted.name}', should only provide 1 in the model "
        f"configuration when the model doesn't support batching. Model configuration provided: {found}.",
        field,
        found=found,
        expected="only provide 1",
        remedy="Write dims: [ 1 ]",
    )


def _type(datatype: DataType) -> str:
    return "TYPE_STRING" if datatype is DataType.BYTES else f"TYPE_{datatype.value}"

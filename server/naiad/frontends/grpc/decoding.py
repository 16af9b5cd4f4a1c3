"""A parsed ModelInferRequest, without its raw tensors, to values of the core: pure.

The order of the checks decides which of several mistakes a client is told of. It is the protocol's: version, the
model itself, parameters, duplicates, data, parameters of outputs. The model is not known here: whoever catches an
error that came after the version asks for the model first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import NamedTuple

from naiad.core.errors import InvalidArgument
from naiad.core.types import Array, DataType, RequestedOutput, Signature, TensorSpec
from naiad.core.validation import prefix
from naiad.frontends.grpc.contents import read_contents
from naiad.frontends.grpc.parameters import output_parameters, refuse_shared_memory, request_parameters
from naiad.frontends.grpc.tensors import check_shape, expected_bytes, view
from naiad.frontends.grpc.transport import Buffer
from naiad.protocol import grpc_service_pb2 as pb


class Header(NamedTuple):
    """What is known of a request before its tensors are looked at. nbytes: each input's `expected_bytes`."""

    signature: Signature
    nbytes: tuple[int | None, ...]


def read(
    message: pb.ModelInferRequest, version: int | None, raws: Sequence[Buffer]
) -> tuple[Header, tuple[Array, ...]]:
    """The request's content and its tensors. Raises InvalidArgument and Unimplemented."""
    model = message.model_name
    parameters = request_parameters(message.parameters)
    inputs = tuple(_input(tensor, message.id) for tensor in message.inputs)
    _refuse_duplicates("input", (spec.name for spec in inputs), message.id)
    _refuse_duplicates("output", (output.name for output in message.outputs), message.id)
    nbytes = tuple(expected_bytes(spec) for spec in inputs)
    data = _data(message, inputs, nbytes, raws)
    outputs = tuple(RequestedOutput(o.name, output_parameters(o.name, o.parameters)) for o in message.outputs)
    return Header(Signature(model, version, inputs, outputs, MappingProxyType(parameters)), nbytes), data


def place(header: Header, raws: Sequence[Buffer]) -> tuple[Array, ...]:
    """Raw tensors as arrays; InvalidArgument unless there is one for each input."""
    inputs, model = header.signature.inputs, header.signature.model
    if len(raws) < len(inputs):
        raise _no_data(inputs[len(raws)].name, model)
    if len(raws) > len(inputs):
        raise InvalidArgument(
            f"got {len(raws)} raw_input_contents for {len(inputs)} inputs of model '{model}', expected one for each"
        )
    return tuple([view(*each) for each in zip(raws, inputs, header.nbytes, strict=True)])


def _input(tensor: pb.ModelInferRequest.InferInputTensor, request_id: str) -> TensorSpec:
    try:
        datatype = DataType[tensor.datatype]
    except KeyError:
        raise InvalidArgument(
            f"{prefix(request_id)}inference input '{tensor.name}' data-type is '{tensor.datatype}', expected one of "
            f"{', '.join(member.value for member in DataType)}"
        ) from None
    shape = tuple(tensor.shape)
    check_shape(tensor.name, datatype, shape, request_id)
    return TensorSpec(tensor.name, datatype, shape)


def _refuse_duplicates(kind: str, names: Iterable[str], request_id: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidArgument(f"{prefix(request_id)}{kind} '{name}' already exists in request")
        seen.add(name)


def _data(
    message: pb.ModelInferRequest,
    inputs: Sequence[TensorSpec],
    nbytes: Sequence[int | None],
    raws: Sequence[Buffer],
) -> tuple[Array, ...]:
    model = message.model_name
    for tensor in message.inputs:
        refuse_shared_memory("input", tensor.name, tensor.parameters)
    if raws:
        _refuse_contents(message)
        return place(Header(Signature(model, None, tuple(inputs)), tuple(nbytes)), raws)
    arrays = []
    for tensor, spec in zip(message.inputs, inputs, strict=True):
        if not tensor.HasField("contents"):
            raise _no_data(spec.name, model)
        arrays.append(read_contents(tensor.contents, spec, model))
    return tuple(arrays)


def _refuse_contents(message: pb.ModelInferRequest) -> None:
    for tensor in message.inputs:
        if tensor.HasField("contents"):
            raise InvalidArgument(
                "contents field must not be specified when using raw_input_contents for "
                f"'{tensor.name}' for model '{message.model_name}'"
            )


def _no_data(name: str, model: str) -> InvalidArgument:
    return InvalidArgument(f"unable to find data for input tensor '{name}' for model '{model}' in request.")

"""From what a caller gives to the message of an inference: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

from numpy.typing import ArrayLike

from naiad_client import parameters, tensors
from naiad_client.errors import InputError
from naiad_client.metadata import ModelMetadata
from naiad_client.parameters import Parameter
from naiad_client.protocol.generated.grpc_service_pb2 import ModelInferRequest

Inputs: TypeAlias = ArrayLike | Mapping[str, ArrayLike]

_SEQUENCE_ID = "sequence_id"


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """Which sequence a request belongs to, and whether it begins or ends it.

    Raises ValueError for the ids 0 and "", which the protocol takes for no sequence.
    """

    id: int | str
    start: bool = False
    end: bool = False

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError(f"a sequence's id must not be 0 or empty, got {self.id!r}")

    @property
    def parameters(self) -> dict[str, Parameter]:
        return {_SEQUENCE_ID: self.id, "sequence_start": self.start, "sequence_end": self.end}


class InferOptions(TypedDict, total=False):
    """What a request says besides its inputs; every one may be left out.

    version: of the model; the server chooses where it is left out.
    outputs: the names of those wanted; all where it is left out.
    id: comes back with the response, and stands in the server's log.
    parameters: for the server (`priority`, and `timeout` in microseconds of waiting) or for the model.
    sequence: for models that keep a state between requests. Such a request is never sent a second time.
    timeout: seconds for the whole call, that for fetching the model's metadata included; math.inf for no limit. That
        of the client where it is left out.
    headers: metadata of the gRPC call, such as `traceparent`; names in lower case.
    """

    version: int | str
    outputs: Iterable[str]
    id: str
    parameters: Mapping[str, Parameter]
    sequence: SequenceStep
    timeout: float
    headers: Mapping[str, str]


def build(metadata: ModelMetadata, inputs: Inputs, options: InferOptions) -> ModelInferRequest:
    """The request for one inference of the model that `metadata` describes; InputError where it cannot be one."""
    request = ModelInferRequest(
        model_name=metadata.name, model_version=str(options.get("version", "")), id=options.get("id", "")
    )
    for name, value in _parameters(options).items():
        where = f"parameter {name!r} for model {metadata.name!r}"
        request.parameters[name].CopyFrom(parameters.encode(value, where))
    for name, given in _by_name(metadata, inputs).items():
        _add_input(request, metadata, name, given)
    for name in _outputs(options):
        request.outputs.add(name=name)
    return request


def in_sequence(request: ModelInferRequest) -> bool:
    """Whether the request belongs to a sequence: it then must not be sent twice."""
    return _SEQUENCE_ID in request.parameters


def _parameters(options: InferOptions) -> dict[str, Parameter]:
    sequence = options.get("sequence")
    return {**options.get("parameters", {}), **(sequence.parameters if sequence else {})}


def _outputs(options: InferOptions) -> Iterable[str]:
    outputs = options.get("outputs", ())
    if isinstance(outputs, str):
        raise InputError(f"outputs: expected several names, such as [{outputs!r}], got {outputs!r}")
    return outputs


def _by_name(metadata: ModelMetadata, inputs: Inputs) -> Mapping[str, ArrayLike]:
    if isinstance(inputs, Mapping):
        return inputs
    if len(metadata.inputs) != 1:
        raise InputError(
            f"model {metadata.name!r} has {len(metadata.inputs)} inputs, {_names(metadata)}: "
            f"expected a dict by these names, got {type(inputs).__name__}"
        )
    return {metadata.inputs[0].name: inputs}


def _add_input(request: ModelInferRequest, metadata: ModelMetadata, name: str, given: ArrayLike) -> None:
    where = f"input {name!r} of model {metadata.name!r}"
    datatype = next((tensor.datatype for tensor in metadata.inputs if tensor.name == name), None)
    if datatype is None:
        raise InputError(f"{where}: there is none of this name, expected some of {_names(metadata)}")
    array = tensors.as_array(given, datatype, where)
    request.raw_input_contents.append(tensors.encode(array, datatype, where))
    request.inputs.add(name=name, datatype=datatype, shape=array.shape)


def _names(metadata: ModelMetadata) -> list[str]:
    return [tensor.name for tensor in metadata.inputs]

"""The parameters of requests, inputs and requested outputs: pure; texts are the protocol's.

What a parameter asks for and this server does not do is an error that names it; parameters that are nobody's are
handed on to the model's backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from naiad.core.errors import InvalidArgument, Unimplemented
from naiad.core.types import Parameter
from naiad.protocol import grpc_service_pb2 as pb

_TYPES: Mapping[str, tuple[str, ...]] = {
    "sequence_id": ("int64_param", "string_param"),
    "sequence_start": ("bool_param",),
    "sequence_end": ("bool_param",),
    "priority": ("int64_param", "uint64_param"),
    "timeout": ("int64_param",),
    "triton_enable_empty_final_response": ("bool_param",),
}
_OTHERS = ("int64_param", "bool_param", "string_param", "double_param")
_OTHERS_TOLD = "int64_param, bool_param, or string_param"  # the protocol's text, as old as it is
_RESERVED = "triton_"
_SHARED_MEMORY = "shared_memory_region"
_CLASSIFICATION = "classification"

Parameters = Mapping[str, pb.InferParameter]


def request_parameters(given: Parameters) -> dict[str, Parameter]:
    """A request's own parameters; InvalidArgument for a value of the wrong type and for a reserved name."""
    return {name: _request_parameter(name, given[name]) for name in sorted(given)}


def output_parameters(name: str, given: Parameters) -> tuple[tuple[str, Parameter], ...]:
    """A requested output's parameters; Unimplemented for shared memory and classification."""
    refuse_shared_memory("output", name, given)
    if _CLASSIFICATION in given:
        _check_classification(given[_CLASSIFICATION])
        raise Unimplemented(
            f"the parameter '{_CLASSIFICATION}' of output '{name}' is not implemented yet by this server"
        )
    return tuple(sorted(_values(given)))


def refuse_shared_memory(kind: str, name: str, given: Parameters) -> None:
    """Raise Unimplemented if a tensor's data is to be in shared memory."""
    if _SHARED_MEMORY in given:
        raise Unimplemented(
            f"Client shared memory is disabled. It is not implemented yet by this server: the parameter "
            f"'{_SHARED_MEMORY}' of {kind} '{name}' cannot be honoured."
        )


def _request_parameter(name: str, value: pb.InferParameter) -> Parameter:
    if name.startswith(_RESERVED) and name not in _TYPES:
        allowed = " ".join(known for known in _TYPES if known.startswith(_RESERVED))
        raise InvalidArgument(
            f"parameter keys starting with '{_RESERVED}' are reserved for Triton usage. Only the following keys "
            f"starting with '{_RESERVED}' are allowed: {allowed}"
        )
    choice = value.WhichOneof("parameter_choice")
    expected = _TYPES.get(name, _OTHERS)
    if choice not in expected:
        told = _OTHERS_TOLD if expected is _OTHERS else " or ".join(expected)
        raise InvalidArgument(f"invalid value type for '{name}' parameter, expected {told}.")
    if name == "priority" and value.int64_param < 0:
        raise InvalidArgument("invalid value for 'priority', expected value >= 0.")
    return cast(Parameter, getattr(value, choice))


def _check_classification(value: pb.InferParameter) -> None:
    if value.WhichOneof("parameter_choice") != "int64_param":
        raise InvalidArgument("invalid value type for 'classification' parameter, expected int64_param")
    if value.int64_param <= 0:
        raise InvalidArgument("invalid value for 'classification' parameter, expected >= 1")


def _values(given: Parameters) -> Iterator[tuple[str, Parameter]]:
    for name in given:
        choice = given[name].WhichOneof("parameter_choice")
        if choice is not None:
            yield name, getattr(given[name], choice)

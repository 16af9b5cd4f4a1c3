"""Parameters of requests and responses: values beside the tensors, such as `priority`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from naiad_client.errors import InputError
from naiad_client.protocol.generated.grpc_service_pb2 import InferParameter

Parameter: TypeAlias = bool | int | float | str


def encode(value: Parameter, where: str) -> InferParameter:
    """Integers travel as int64, above that as uint64; InputError for what is no parameter."""
    match value:
        case bool():
            return InferParameter(bool_param=value)
        case int() if -(2**63) <= value < 2**63:
            return InferParameter(int64_param=value)
        case int() if 0 <= value < 2**64:
            return InferParameter(uint64_param=value)
        case float():
            return InferParameter(double_param=value)
        case str():
            return InferParameter(string_param=value)
    raise InputError(f"{where}: expected bool, str, float or an integer of 64 bits, got {value!r}")


def decode(parameters: Mapping[str, InferParameter]) -> dict[str, Parameter]:
    """The parameters that have a value."""
    chosen = ((name, parameter, parameter.WhichOneof("parameter_choice")) for name, parameter in parameters.items())
    return {name: getattr(parameter, choice) for name, parameter, choice in chosen if choice}

"""Parameters: which values are taken, and the protocol's words for the others."""

from __future__ import annotations

import pytest

from naiad.core.errors import InvalidArgument, NaiadError, Unimplemented
from naiad.core.types import Parameter
from naiad.frontends.grpc.parameters import output_parameters, request_parameters
from naiad.protocol import grpc_service_pb2 as pb

Value = pb.InferParameter


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("p", Value(bool_param=True), True),
        ("p", Value(int64_param=-3), -3),
        ("p", Value(string_param="s"), "s"),
        ("p", Value(double_param=0.5), 0.5),
        ("sequence_id", Value(int64_param=4), 4),
        ("sequence_id", Value(string_param="four"), "four"),
        ("sequence_start", Value(bool_param=False), False),
        ("priority", Value(int64_param=0), 0),
        ("priority", Value(uint64_param=2**64 - 1), 2**64 - 1),
        ("timeout", Value(int64_param=1000), 1000),
        ("triton_enable_empty_final_response", Value(bool_param=True), True),
    ],
)
def test_a_value_of_an_expected_type_is_taken_as_it_is(
    name: str, value: pb.InferParameter, expected: Parameter
) -> None:
    [(key, taken)] = request_parameters({name: value}).items()
    assert (key, type(taken), taken) == (name, type(expected), expected)


BAD_TYPE = "invalid value type for '{}' parameter, expected {}."
ANY = "int64_param, bool_param, or string_param"
RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with "
    "'triton_' are allowed: triton_enable_empty_final_response"
)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("p", Value(uint64_param=1), BAD_TYPE.format("p", ANY)),
        ("p", Value(), BAD_TYPE.format("p", ANY)),
        ("sequence_id", Value(bool_param=True), BAD_TYPE.format("sequence_id", "int64_param or string_param")),
        ("sequence_start", Value(int64_param=1), BAD_TYPE.format("sequence_start", "bool_param")),
        ("sequence_end", Value(int64_param=1), BAD_TYPE.format("sequence_end", "bool_param")),
        ("priority", Value(int64_param=-1), "invalid value for 'priority', expected value >= 0."),
        ("priority", Value(string_param="1"), BAD_TYPE.format("priority", "int64_param or uint64_param")),
        ("timeout", Value(uint64_param=1), BAD_TYPE.format("timeout", "int64_param")),
        ("triton_other", Value(bool_param=True), RESERVED),
    ],
)
def test_a_value_of_another_type_is_refused_in_the_protocols_words(
    name: str, value: pb.InferParameter, text: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        request_parameters({name: value})
    assert str(caught.value) == text


BAD_CLASSIFICATION = "invalid value type for 'classification' parameter, expected int64_param"
NOT_YET = "the parameter 'classification' of output 'out' is not implemented yet by this server"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (Value(string_param="3"), InvalidArgument, BAD_CLASSIFICATION),
        (Value(int64_param=0), InvalidArgument, "invalid value for 'classification' parameter, expected >= 1"),
        (Value(int64_param=3), Unimplemented, NOT_YET),
    ],
)
def test_classification_is_checked_and_then_refused(
    value: pb.InferParameter, error: type[NaiadError], text: str
) -> None:
    with pytest.raises(error) as caught:
        output_parameters("out", {"classification": value})
    assert str(caught.value) == text

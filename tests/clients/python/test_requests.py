"""What callers give, as a request: by name or as the only input, and what is wrong is named."""

from typing import Any

import numpy as np
import pytest

from naiad_client import InferOptions, InputError, ModelMetadata, TensorMetadata, requests

IMAGE, MASK = TensorMetadata("image", "FP32", (-1, 2)), TensorMetadata("mask", "BOOL", (-1,))
ONE = ModelMetadata("one", ("1",), "onnx", (IMAGE,), ())
TWO = ModelMetadata("two", ("1",), "onnx", (IMAGE, MASK), ())


def test_several_inputs_are_given_by_name_in_any_order() -> None:
    request = requests.build(TWO, {"mask": [True], "image": np.zeros((1, 2))}, {})
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [
        ("mask", "BOOL", [1]),
        ("image", "FP32", [1, 2]),
    ]
    assert list(request.raw_input_contents) == [b"\x01", bytes(8)]


def test_an_optional_input_may_be_left_out() -> None:
    assert [tensor.name for tensor in requests.build(TWO, {"image": [[1.0, 2.0]]}, {}).inputs] == ["image"]


def test_one_array_for_several_inputs_is_refused_with_their_names() -> None:
    with pytest.raises(InputError, match=r"model 'two' has 2 inputs, \['image', 'mask'\]: expected a dict .* got list"):
        requests.build(TWO, [[1.0, 2.0]], {})


def test_a_scalar_has_the_empty_shape() -> None:
    (tensor,) = requests.build(ONE, 1.5, {}).inputs
    assert list(tensor.shape) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"parameters": {"p": 2**64}}, r"parameter 'p' for model 'one': expected bool, .*, got 18446744073709551616"),
        ({"parameters": {"p": [1]}}, r"parameter 'p' for model 'one': expected bool, .*, got \[1\]"),
        ({"outputs": "label"}, r"outputs: expected several names, such as \['label'\], got 'label'"),
    ],
)
def test_options_that_no_request_can_have_are_refused(options: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        requests.build(ONE, [[1.0, 2.0]], options)


def test_only_a_request_with_a_sequence_s_id_is_in_a_sequence() -> None:
    other: InferOptions = {"parameters": {"priority": 1}}
    step: InferOptions = {"sequence": requests.SequenceStep("a", end=True)}
    assert not requests.in_sequence(requests.build(ONE, [[1.0, 2.0]], other))
    assert requests.in_sequence(requests.build(ONE, [[1.0, 2.0]], step))

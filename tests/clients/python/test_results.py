"""What a response becomes: outputs by name, by attribute and as an array."""

import pickle
from typing import Any

import numpy as np
import pytest

from naiad_client import MalformedResponse, NotFound, Result
from naiad_client.protocol import grpc_service_pb2 as pb


def response(*outputs: tuple[str, str, Any, bytes]) -> pb.ModelInferResponse:
    message = pb.ModelInferResponse(model_name="m", model_version="3", id="7")
    for name, datatype, shape, raw in outputs:
        message.outputs.add(name=name, datatype=datatype, shape=shape)
        message.raw_output_contents.append(raw)
    return message


LABEL = ("label", "INT64", [2, 1], np.array([3, 4]).tobytes())
NAMES = ("names", "BYTES", [2], b"\x01\0\0\0a\x02\0\0\0\xc3\xa4")


@pytest.fixture
def result() -> Result:
    return Result.from_message(response(LABEL, NAMES, ("model", "FP32", [1], bytes(4))))


def test_outputs_are_had_by_name_and_by_attribute(result: Result) -> None:
    assert list(result) == ["label", "names", "model"]
    assert result["label"].tolist() == result.label.tolist() == [[3], [4]]
    assert {name: array.shape for name, array in result.items()} == {"label": (2, 1), "names": (2,), "model": (1,)}
    assert "label" in dir(result)


def test_who_answered_is_not_hidden_by_an_output_of_that_name(result: Result) -> None:
    assert (result.model, result.version, result.id) == ("m", "3", "7")
    assert result["model"].tolist() == [0.0]


def test_an_output_that_there_is_not_is_told_with_those_that_there_are(result: Result) -> None:
    text = r"no output 'lable' of model 'm', expected one of \['label', 'names', 'model'\]"
    with pytest.raises(AttributeError, match=text):
        _ = result.lable
    with pytest.raises(KeyError, match="no output 'lable'"):
        result["lable"]


def test_strings_are_bytes_and_on_request_str(result: Result) -> None:
    assert result["names"].tolist() == [b"a", b"\xc3\xa4"]
    assert result.text("names").tolist() == ["a", "ä"]
    assert result.text("names", "latin-1").tolist() == ["a", "Ã¤"]


def test_a_result_of_one_output_is_an_array_to_numpy(result: Result) -> None:
    single = Result.from_message(response(LABEL))
    assert np.asarray(single).tolist() == [[3], [4]]
    assert np.add(single, 1).tolist() == [[4], [5]]
    assert np.asarray(single, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match=r"expected one output to make an array of, got \['label', 'names', 'model'\]"):
        np.asarray(result)


def test_arrays_are_read_only(result: Result) -> None:
    with pytest.raises(ValueError, match="read-only"):
        result.label[0] = 1


def test_parameters_of_the_response_are_values() -> None:
    message = response(LABEL)
    message.parameters["cached"].bool_param = True
    message.parameters["node"].string_param = "a"
    message.parameters["empty"].SetInParent()
    assert Result.from_message(message).parameters == {"cached": True, "node": "a"}


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-1, 2]),
        ("INT16", "int_contents", [-1, 2]),
        ("INT32", "int_contents", [-1, 2]),
        ("INT64", "int64_contents", [-1, 2]),
        ("UINT8", "uint_contents", [1, 2]),
        ("UINT16", "uint_contents", [1, 2]),
        ("UINT32", "uint_contents", [1, 2]),
        ("UINT64", "uint64_contents", [1, 2**63]),
        ("FP32", "fp32_contents", [0.5, 2.0]),
        ("FP64", "fp64_contents", [0.1, 2.0]),
        ("BYTES", "bytes_contents", [b"a", b""]),
    ],
)
def test_servers_that_send_typed_contents_are_understood(datatype: str, field: str, values: list[Any]) -> None:
    message = pb.ModelInferResponse(model_name="m")
    output = message.outputs.add(name="y", datatype=datatype, shape=[2])
    getattr(output.contents, field).extend(values)
    assert Result.from_message(message)["y"].tolist() == values


@pytest.mark.parametrize(
    ("datatype", "shape", "values", "text"),
    [
        ("INT8", [1], [300], "expected INT8"),
        ("INT8", [2], [1], r"expected 2 bytes for INT8 \[2\], got 1"),
        ("FP16", [1], [1], "expected raw bytes for datatype 'FP16', got none"),
    ],
)
def test_typed_contents_that_do_not_fit_are_told(datatype: str, shape: list[int], values: list[int], text: str) -> None:
    message = pb.ModelInferResponse(model_name="m")
    message.outputs.add(name="y", datatype=datatype, shape=shape).contents.int_contents.extend(values)
    with pytest.raises(MalformedResponse, match=f"output 'y' of model 'm': {text}"):
        Result.from_message(message)


def test_fewer_raw_outputs_than_outputs_are_told() -> None:
    message = response(LABEL, NAMES)
    del message.raw_output_contents[1]
    with pytest.raises(MalformedResponse, match="response of model 'm': expected 2 raw outputs, got 1"):
        Result.from_message(message)


def test_results_and_errors_survive_pickling(result: Result) -> None:
    copied = pickle.loads(pickle.dumps(result))
    assert (copied.version, copied.label.tolist(), list(copied)) == ("3", [[3], [4]], list(result))
    error = pickle.loads(pickle.dumps(NotFound("gone", "infer 'm'", (("key", "value"),))))
    assert (type(error), str(error), error.trailers) == (NotFound, "infer 'm': NOT_FOUND: gone", (("key", "value"),))


def test_a_result_shows_what_it_holds(result: Result) -> None:
    text = "<Result of 'm', version 3: label: int64[2, 1], names: object[2], model: float32[1]>"
    assert repr(result) == text

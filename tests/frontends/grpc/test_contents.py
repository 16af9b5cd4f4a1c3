"""Typed contents become the arrays that raw contents would have been."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.errors import InvalidArgument
from naiad.core.types import DataType, TensorSpec
from naiad.frontends.grpc.contents import read_contents
from naiad.protocol import grpc_service_pb2 as pb
from tests.frontends.grpc.requests import CONTENTS

Contents = pb.InferTensorContents
UINT8 = np.dtype(np.uint8)


def spec(datatype: DataType, *shape: int) -> TensorSpec:
    return TensorSpec("x", datatype, shape)


@given(st.data())
def test_values_of_every_datatype_arrive_in_their_shape(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from([d for d in CONTENTS if d is not DataType.BYTES]))
    field, values = CONTENTS[datatype]
    given_values = data.draw(st.lists(values, min_size=6, max_size=6))
    contents = Contents()
    getattr(contents, field).extend(given_values)
    array = read_contents(contents, spec(datatype, 2, 3), "m")
    assert (array.dtype, array.shape) == (datatype.dtype, (2, 3))
    assert array.ravel().tolist() == given_values
    assert not array.flags.writeable


def test_strings_arrive_in_wire_form() -> None:
    array = read_contents(Contents(bytes_contents=[b"ab", b""]), spec(DataType.BYTES, 2), "m")
    assert array.tobytes() == b"\x02\0\0\0ab\0\0\0\0"
    assert (array.dtype, array.ndim) == (UINT8, 1)


@pytest.mark.parametrize("datatype", DataType)
def test_contents_without_values_are_an_empty_tensor(datatype: DataType) -> None:
    array = read_contents(Contents(), spec(datatype, 0, 3), "m")
    assert array.size == 0
    assert array.shape == ((0,) if datatype is DataType.BYTES else (0, 3))


@pytest.mark.parametrize("count", [0, 3, 5])
def test_another_number_of_values_than_the_shapes_stays_bytes_for_the_core_to_judge(count: int) -> None:
    array = read_contents(Contents(fp32_contents=[1.0] * count), spec(DataType.FP32, 4), "m")
    assert (array.dtype, array.shape) == (UINT8, (4 * count,))


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (DataType.INT8, 128),
        (DataType.INT8, -129),
        (DataType.INT16, 2**15),
        (DataType.UINT8, 256),
        (DataType.UINT16, 2**16),
    ],
)
def test_a_value_outside_its_datatypes_range_is_refused(datatype: DataType, value: int) -> None:
    field = "int_contents" if datatype.value.startswith("INT") else "uint_contents"
    contents = Contents(**{field: [1, value]})  # type: ignore[arg-type]
    text = f"value {value} of input tensor 'x' for model 'm' is outside the range of datatype '{datatype.value}'"
    with pytest.raises(InvalidArgument, match=text):
        read_contents(contents, spec(datatype, 2), "m")


@pytest.mark.parametrize(
    ("contents", "datatype", "called"),
    [
        (Contents(bool_contents=[True]), DataType.FP32, "BOOL"),
        (Contents(int_contents=[1]), DataType.INT64, "INT32"),
        (Contents(int64_contents=[1]), DataType.INT32, "INT64"),
        (Contents(uint_contents=[1]), DataType.INT8, "UINT32"),
        (Contents(uint64_contents=[1]), DataType.UINT8, "UINT64"),
        (Contents(fp32_contents=[1]), DataType.FP16, "FP32"),
        (Contents(fp32_contents=[1]), DataType.BF16, "FP32"),
        (Contents(fp64_contents=[1]), DataType.FP32, "FP64"),
        (Contents(bytes_contents=[b"1"]), DataType.UINT8, "BYTES"),
    ],
)
def test_the_wrong_field_is_refused_by_the_names_of_both_datatypes(
    contents: pb.InferTensorContents, datatype: DataType, called: str
) -> None:
    text = (
        "unexpected explicit tensor data for input tensor 'x' for model 'm' "
        f"of type '{called}', expected datatype '{datatype.value}'"
    )
    with pytest.raises(InvalidArgument, match=text):
        read_contents(contents, spec(datatype, 1), "m")


def test_two_fields_are_refused() -> None:
    text = (
        "unexpected explicit tensor data for input tensor 'x' for model 'm', "
        r"binary data was already supplied\."
    )
    with pytest.raises(InvalidArgument, match=text):
        read_contents(Contents(fp32_contents=[1], fp64_contents=[1]), spec(DataType.FP32, 1), "m")

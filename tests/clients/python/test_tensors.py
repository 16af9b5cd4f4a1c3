"""Arrays on the wire: exact for what numpy has, converted only where that keeps the meaning, refused otherwise."""

import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.utils import serialize_byte_tensor

from naiad_client import InputError, MalformedResponse, bfloat16, tensors

WHERE = "input 'x' of model 'm'"
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
INTEGERS = [name for name in tensors.DTYPES if "INT" in name]


def encode(value: Any, datatype: str) -> bytes:
    return tensors.encode(tensors.as_array(value, datatype, WHERE), datatype, WHERE)


def passed(array: Any, datatype: str) -> Any:
    """The array after a way to the server and back."""
    return tensors.decode(encode(array, datatype), datatype, array.shape, WHERE)


@pytest.mark.parametrize("datatype", tensors.DTYPES)
@given(st.data())
def test_an_array_of_the_model_s_datatype_comes_back_bit_by_bit(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays.arrays(tensors.DTYPES[datatype], SHAPES))
    back = passed(array, datatype)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not back.flags.writeable or not back.size


@pytest.mark.parametrize("datatype", tensors.DTYPES)
def test_memory_order_and_byte_order_do_not_matter(datatype: str) -> None:
    plain = np.arange(6).reshape(2, 3).astype(tensors.DTYPES[datatype])
    for other in (np.asfortranarray(plain), plain.astype(plain.dtype.newbyteorder(">")), plain[::-1][::-1]):
        assert encode(other, datatype) == plain.tobytes()


@pytest.mark.parametrize("datatype", INTEGERS)
@given(st.integers(-(2**63), 2**64 - 1))
def test_an_integer_is_sent_when_it_fits_and_refused_when_not(datatype: str, value: int) -> None:
    limits = np.iinfo(tensors.DTYPES[datatype])
    if limits.min <= value <= limits.max:
        assert passed(np.array([value]), datatype).tolist() == [value]
    else:
        with pytest.raises(InputError, match=f"{WHERE}: expected {datatype}, got values from {value} to {value}"):
            encode([value], datatype)


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ([1.0], "INT32"),
        ([1], "BOOL"),
        ([0.5], "BOOL"),
        (["text"], "FP32"),
        ([b"bytes"], "INT8"),
        ([1j], "FP32"),
        (np.array(["2026-01-01"], "M8[D]"), "INT64"),
        ([None], "FP32"),
        ([True], "BYTES"),
        ([1.0], "BYTES"),
        ([1], "BF16"),
        ([True], "BF16"),
    ],
    ids=str,
)
def test_what_would_change_its_meaning_is_refused(value: Any, datatype: str) -> None:
    with pytest.raises(InputError, match=f"^{WHERE}: expected .*{datatype if datatype != 'BYTES' else 'str or bytes'}"):
        encode(value, datatype)


@pytest.mark.parametrize(
    ("value", "datatype"), [([1e300], "FP32"), ([70000], "FP16"), ([1e5], "FP16"), ([3.4e38], "BF16")], ids=str
)
def test_a_number_beyond_the_datatype_is_refused(value: list[float], datatype: str) -> None:
    with pytest.raises(InputError, match=f"{WHERE}: a value is beyond the largest {datatype}"):
        encode(value, datatype)


def test_numbers_are_rounded_to_the_model_s_floats() -> None:
    values = np.array([0.1, 1.0, np.inf, np.nan])
    assert passed(values, "FP32").tobytes() == values.astype(np.float32).tobytes()
    assert passed(np.array([3, 255], np.uint8), "FP32").tolist() == [3.0, 255.0]
    assert passed(np.array([True, False]), "FP32").tolist() == [1.0, 0.0]
    assert passed(np.array([True, False]), "INT8").tolist() == [1, 0]


@pytest.mark.parametrize("datatype", [*tensors.DTYPES, "BF16", "BYTES"])
def test_an_empty_list_fits_every_datatype(datatype: str) -> None:
    assert encode([], datatype) == b""
    assert tensors.decode(b"", datatype, [0, 3], WHERE).shape == (0, 3)


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(InputError, match=f"{WHERE}: expected something that numpy makes an array of"):
        encode([[1.0], [1.0, 2.0]], "FP32")


def test_a_datatype_that_the_client_does_not_know_is_named() -> None:
    with pytest.raises(InputError, match=r"the model wants FP8, expected one of \['BOOL',"):
        encode([1.0], "FP8")
    with pytest.raises(MalformedResponse, match=r"expected a datatype of .*, got 'FP8'"):
        tensors.decode(b"\0", "FP8", [1], WHERE)


@pytest.mark.parametrize("size", [0, 3, 5])
def test_bytes_that_do_not_make_the_shape_are_told(size: int) -> None:
    with pytest.raises(MalformedResponse, match=rf"{WHERE}: expected 4 bytes for FP32 \[1\], got {size}"):
        tensors.decode(b"\0" * size, "FP32", [1], WHERE)


@given(arrays.arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32)))
def test_floats_become_the_nearest_bf16(array: Any) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        expected = array.astype(ml_dtypes.bfloat16)
    if (np.isfinite(array) & np.isinf(expected.astype(np.float32))).any():
        with pytest.raises(InputError, match="beyond the largest BF16"):
            encode(array, "BF16")
    else:
        assert np.array_equal(passed(array, "BF16").astype(np.float32), expected.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("bits", "nearest"), [(0x3F808000, 0x3F80), (0x3F818000, 0x3F82), (0x3F808001, 0x3F81), (0x3F817FFF, 0x3F81)]
)
def test_halfway_between_two_bf16_the_even_one_is_taken(bits: int, nearest: int) -> None:
    value = np.array([bits], np.uint32).view(np.float32)
    assert passed(value, "BF16").view(np.uint16).tolist() == [nearest]


def test_bf16_is_taken_as_bits_and_as_bfloat16_and_given_as_bfloat16() -> None:
    values = np.array([[1.5], [-2.0]], ml_dtypes.bfloat16)
    assert encode(values, "BF16") == encode(values.view(np.uint16), "BF16") == b"\xc0\x3f\x00\xc0"
    assert passed(values, "BF16").dtype == values.dtype
    assert passed(values, "BF16").tolist() == [[1.5], [-2.0]]
    assert passed(values, "FP32").tolist() == [[1.5], [-2.0]]


def test_bf16_is_given_as_bits_where_ml_dtypes_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    back = tensors.decode(b"\xc0\x3f", "BF16", [1], WHERE)
    assert (back.dtype.name, back.tolist()) == ("uint16", [0x3FC0])
    assert bfloat16.from_float32(np.array([1.5], np.float32)).tolist() == [0x3FC0]


ELEMENTS = st.one_of(st.binary(max_size=9), st.text(max_size=9))


@given(arrays.arrays(object, SHAPES, elements=ELEMENTS))
def test_strings_travel_as_other_clients_send_them_and_come_back_as_bytes(array: Any) -> None:
    raw = encode(array, "BYTES")
    theirs = serialize_byte_tensor(array)
    assert raw == (theirs.item() if theirs.size else b"")
    back = tensors.decode(raw, "BYTES", array.shape, WHERE)
    expected = [element.encode() if isinstance(element, str) else element for element in array.ravel().tolist()]
    assert (back.shape, back.ravel().tolist()) == (array.shape, expected)


@pytest.mark.parametrize(
    "value", [["ä", "b"], np.array(["ä", "b"]), np.array([b"\xc3\xa4", b"b"]), ["ä", b"b"]], ids=repr
)
def test_strings_may_be_given_in_every_way(value: Any) -> None:
    assert encode(value, "BYTES") == b"\x02\0\0\0\xc3\xa4\x01\0\0\0b"


def test_zeros_at_the_end_of_strings_are_kept() -> None:
    assert encode([b"a\0", "b\0\0"], "BYTES") == b"\x02\0\0\0a\0\x03\0\0\0b\0\0"


def test_an_element_that_is_no_string_is_named() -> None:
    with pytest.raises(InputError, match=f"{WHERE}: expected str or bytes elements, got int at 2"):
        encode(["a", b"b", 3], "BYTES")


@pytest.mark.parametrize(
    ("raw", "shape", "text"),
    [
        (b"\x01", [1], "BYTES element 0 ends at byte 4, got 1 bytes"),
        (b"\x01\0\0\0a\x05\0\0\0bc", [2], "BYTES element 1 ends at byte 14, got 11 bytes"),
        (b"\x01\0\0\0a", [2], r"expected 2 elements for BYTES \[2\], got 1"),
        (b"\x01\0\0\0a", [0], r"expected 0 elements for BYTES \[0\], got 1"),
    ],
)
def test_strings_that_end_early_or_are_too_many_are_told(raw: bytes, shape: list[int], text: str) -> None:
    with pytest.raises(MalformedResponse, match=f"{WHERE}: {text}"):
        tensors.decode(raw, "BYTES", shape, WHERE)

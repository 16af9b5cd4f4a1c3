"""BYTES tensors on the wire and as objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core import strings
from naiad.core.errors import BackendError, InvalidArgument
from naiad.core.types import Array

elements = st.lists(st.binary(max_size=20), max_size=8)


def raw(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


@given(elements)
def test_what_is_encoded_decodes_to_the_same_elements(wanted: list[bytes]) -> None:
    data = raw(strings.encode(wanted))
    strings.check(data, len(wanted), "S", "m")
    decoded = strings.decode(data)
    assert (decoded.dtype, decoded.shape) == (np.dtype(object), (len(wanted),))
    assert list(decoded) == wanted


@given(st.lists(elements, max_size=5))
def test_splitting_what_was_joined_gives_the_parts_without_a_copy(parts: list[list[bytes]]) -> None:
    joined = raw(strings.encode(element for part in parts for element in part))
    views = strings.split(joined, [len(part) for part in parts])
    assert [view.tobytes() for view in views] == [strings.encode(part) for part in parts]
    assert all(view.base is not None for view in views if view.size)


@given(elements, st.data())
def test_no_part_of_a_tensor_passes_for_the_whole(wanted: list[bytes], data: st.DataObject) -> None:
    whole = strings.encode(wanted)
    cut = data.draw(st.integers(0, len(whole)))
    text = strings.fault(raw(whole[:cut]), len(wanted), "S", "m")
    assert (text is None) == (cut == len(whole))


@given(st.binary(max_size=40), st.integers(0, 5))
def test_whatever_passes_the_check_has_the_elements_that_were_promised(data: bytes, count: int) -> None:
    if strings.fault(raw(data), count, "S", "m") is None:
        assert len(strings.decode(raw(data))) == count
        assert strings.encode(strings.decode(raw(data))) == data


def test_a_wrong_tensor_is_an_invalid_argument() -> None:
    with pytest.raises(
        InvalidArgument, match="expected 2 string elements for inference input 'S' for model 'm', got 1"
    ):
        strings.check(raw(strings.encode([b"a"])), 2, "S", "m")


def test_text_travels_as_utf_8_even_where_it_is_not_valid_unicode() -> None:
    data = strings.encode(["é", "\udcff", b"\x00"])
    assert list(strings.decode(raw(data))) == ["é".encode(), b"\xed\xb3\xbf", b"\x00"]


def test_an_element_that_is_neither_bytes_nor_text_is_the_backends_mistake() -> None:
    with pytest.raises(BackendError, match="a BYTES tensor holds bytes or str, got int"):
        strings.encode([1])

"""BYTES tensors between wire form and objects: what comes in goes out, and each way to be wrong has its text."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core import strings
from naiad.core.errors import BackendError, InvalidArgument
from naiad.core.types import Array

ELEMENTS = st.lists(st.binary(max_size=20), max_size=20)


def wire(*elements: bytes) -> Array:
    """Elements in wire form, written here without the code under test."""
    return raw(b"".join(struct.pack("<I", len(element)) + element for element in elements))


def raw(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


@given(ELEMENTS)
def test_encode_writes_each_length_and_the_bytes(elements: list[bytes]) -> None:
    assert strings.encode(elements) == wire(*elements).tobytes()


@given(ELEMENTS)
def test_decode_gives_back_every_byte_of_every_element(elements: list[bytes]) -> None:
    decoded = strings.decode(wire(*elements))
    assert decoded.dtype == object
    assert decoded.tolist() == elements


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), max_size=10))
def test_text_travels_as_utf_8(texts: list[str]) -> None:
    assert strings.encode(texts) == strings.encode([text.encode() for text in texts])


@given(ELEMENTS)
def test_a_whole_tensor_has_no_fault_and_another_count_has_one(elements: list[bytes]) -> None:
    data = wire(*elements)
    assert strings.fault(data, len(elements), "text", "m") is None
    assert strings.fault(data, len(elements) + 1, "text", "m") is not None
    if elements:
        assert strings.fault(data, len(elements) - 1, "text", "m") is not None


@given(ELEMENTS, st.data())
def test_no_part_of_a_tensor_passes_for_the_whole(elements: list[bytes], data: st.DataObject) -> None:
    whole = wire(*elements)
    cut = data.draw(st.integers(0, whole.nbytes))
    text = strings.fault(whole[:cut], len(elements), "text", "m")
    assert (text is None) == (cut == whole.nbytes)


@given(st.binary(max_size=40), st.integers(0, 5))
def test_what_has_no_fault_decodes_to_as_many_elements_as_were_expected(data: bytes, count: int) -> None:
    if strings.fault(raw(data), count, "text", "m") is None:
        elements = strings.decode(raw(data))
        assert len(elements) == count
        assert strings.encode(elements) == data


@given(st.lists(st.lists(st.binary(max_size=10), max_size=4), max_size=6))
def test_split_gives_each_request_its_own_elements_without_a_copy(requests: list[list[bytes]]) -> None:
    data = wire(*(element for request in requests for element in request))
    views = strings.split(data, [len(request) for request in requests])
    assert [strings.decode(view).tolist() for view in views] == requests
    assert all(np.shares_memory(view, data) for view in views if view.size)


@pytest.mark.parametrize(
    ("data", "count", "text"),
    [
        (
            wire(b"a", b"b").tobytes(),
            1,
            "unexpected number of string elements 2 for inference input 'text' for model 'm', expecting 1",
        ),
        (
            wire(b"a").tobytes() + b"\x01\x00",
            2,
            (
                "incomplete string length indicator for inference input 'text' for model 'm', expecting 4 bytes but "
                "only 2 bytes available. Please make sure the string length indicator is in one buffer."
            ),
        ),
        (
            struct.pack("<I", 7) + b"abc",
            1,
            (
                "incomplete string data for inference input 'text', expecting string of length 7 but only 3 bytes "
                "available"
            ),
        ),
        (wire(b"a").tobytes(), 3, "expected 3 string elements for inference input 'text' for model 'm', got 1"),
        (b"", 1, "expected 1 string elements for inference input 'text' for model 'm', got 0"),
    ],
)
def test_each_fault_has_the_text_that_clients_know(data: bytes, count: int, text: str) -> None:
    assert strings.fault(raw(data), count, "text", "m") == text
    with pytest.raises(InvalidArgument) as raised:
        strings.check(raw(data), count, "text", "m")
    assert str(raised.value) == text


def test_a_checked_tensor_without_fault_is_accepted() -> None:
    strings.check(wire(b"a", b""), 2, "text", "m")


def test_text_that_is_no_valid_unicode_travels_too() -> None:
    assert strings.decode(raw(strings.encode(["\udcff"]))).tolist() == [b"\xed\xb3\xbf"]


def test_what_is_neither_bytes_nor_str_cannot_be_sent() -> None:
    with pytest.raises(BackendError, match="holds bytes or str, got int"):
        strings.encode([b"a", 1])


def test_reads_a_view_into_a_message_that_is_not_aligned() -> None:
    message = raw(b"x" + wire(b"abc", b"").tobytes())
    assert strings.decode(message[1:]).tolist() == [b"abc", b""]

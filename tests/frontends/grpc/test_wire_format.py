"""The scan of a message's top level: what it understands, it understands as protobuf does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.frontends.grpc.wire import Field, scan, tag, varint


@given(st.lists(st.tuples(st.integers(1, 15), st.binary(max_size=300)), max_size=5))
def test_fields_are_found_where_they_were_written(fields: list[tuple[int, bytes]]) -> None:
    message = b"".join(bytes([tag(number)]) + varint(len(data)) + data for number, data in fields)
    for form in (message, memoryview(message)):
        found = scan(form)
        assert found is not None
        assert [(f.tag, message[f.content : f.end]) for f in found] == [(tag(n), d) for n, d in fields]
        assert [f.start for f in found] == [0, *(f.end for f in found[:-1])][: len(found)]


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",  # no length
        b"\x0a\x05abc",  # too short
        b"\x0a\x80",  # a length that does not end
        b"\x0a\x80\x80\x80\x80\x80\x01",  # a length of more than five bytes
        b"\x08\x01",  # a number
        b"\x0b\x0c",  # a group
        b"\x02\x00",  # field 0
        b"\x82\x01\x00",  # field 16
        b"\x0a\x01a\x0d\0\0\0\0",  # a fixed-size number behind a string
    ],
)
def test_all_else_is_left_to_protobuf(message: bytes) -> None:
    assert scan(message) is None


def test_a_length_may_be_written_longer_than_it_must() -> None:
    assert scan(b"\x0a\x81\x00a") == [Field(0x0A, 0, 3, 4)]


@pytest.mark.parametrize(("value", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_are_written_in_groups_of_seven_bits(value: int, written: bytes) -> None:
    assert varint(value) == written

"""The fields of a protobuf message by their places in a file: lengths are followed, contents are not read.

Only what every parser refuses is refused: a field that ends behind its message, a tag of zeros as in a file whose
space was reserved before it is written, a wire type that does not exist. Groups, long out of use, are not followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from naiad.repository.windows import Window

VARINT, FIXED64, BYTES, START, END, FIXED32 = range(6)
MAX_FIELDS = 200_000
"""Fields of a file that are looked at; the rest is not judged."""
_LONGEST = 10
"""Bytes of the longest varint."""


class Field(NamedTuple):
    """A field. value: of a varint. start, end: where the content of BYTES lies in the file."""

    number: int
    wire: int
    value: int
    start: int
    end: int


class CutError(Exception):
    """A message that is not whole; the text says what is wrong where."""


class UnclearError(Exception):
    """A message that cannot be followed further, which says nothing against it."""


class Walk:
    """Walks through messages of one file, MAX_FIELDS fields altogether."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._left = MAX_FIELDS

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message from `start` to `end`; raises CutError, UnclearError, OSError."""
        at = start
        while at < end:
            if not self._left:
                raise UnclearError
            self._left -= 1
            field = self._field(at, end)
            yield field
            at = field.end

    def _field(self, at: int, end: int) -> Field:
        tag, start = self._varint(at, end)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise CutError(f"has {'zeros' if not tag else 'no field'} at byte {at} where a field is expected")
        if wire == VARINT:
            value, stop = self._varint(start, end)
            return Field(number, wire, value, start, stop)
        if wire == BYTES:
            length, start = self._varint(start, end)
            return self._checked(Field(number, wire, 0, start, start + length), end)
        if wire in (FIXED64, FIXED32):
            return self._checked(Field(number, wire, 0, start, start + (8 if wire == FIXED64 else 4)), end)
        if wire in (START, END):
            raise UnclearError
        raise CutError(f"has no field at byte {at} where one is expected")

    def _checked(self, field: Field, end: int) -> Field:
        if field.end > end:
            raise CutError(f"has {end - field.start} of the {field.end - field.start} bytes of a field")
        return field

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A varint and where it ends."""
        value = shift = 0
        for byte in self._window.read(at, min(_LONGEST, end - at)):
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise CutError("ends in the middle of a field" if shift < 7 * _LONGEST else f"has no number at byte {at - 10}")

"""Protobuf's wire format as far as a message's top level: what lets tensor bytes stay where they are.

Only what usual encoders write for ModelInferRequest is understood: length-delimited fields with one-byte tags and
lengths of at most five bytes. All else is left to protobuf, which knows every case (`scan` gives None).
"""

from __future__ import annotations

from typing import NamedTuple

from naiad.frontends.grpc.transport import Buffer

_LENGTH_DELIMITED = 2


class Field(NamedTuple):
    """A field of the top level: its tag, and where tag, content and the next field begin."""

    tag: int
    start: int
    content: int
    end: int


def tag(number: int) -> int:
    """The tag of a length-delimited field with a number below 16."""
    return number << 3 | _LENGTH_DELIMITED


def varint(value: int) -> bytes:
    """A number >= 0 as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def scan(message: Buffer) -> list[Field] | None:
    """The fields of the top level in their order, or None for a message that protobuf had better judge."""
    fields: list[Field] = []
    position, size = 0, len(message)
    try:
        while position < size:
            start = position
            field_tag = message[start]
            if field_tag & 0x87 != _LENGTH_DELIMITED or field_tag < 0x0A:
                return None
            length = message[start + 1]
            position = start + 2
            if length > 0x7F:
                length, position = varint_at(message, start + 1)
            fields.append(Field(field_tag, start, position, position + length))
            position += length
    except IndexError:
        return None
    return fields if position == size else None


def varint_at(message: Buffer, position: int) -> tuple[int, int]:
    """A varint and the position behind it; IndexError if it does not end within five bytes."""
    value = 0
    for shift in range(0, 35, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError(position)

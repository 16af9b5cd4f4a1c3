"""Values of protobuf's text format: from tokens to what a field of that type holds. Pure.

Everything raises ValueError with what was expected of the value; the caller knows where, and what was found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from naiad.repository.slips import meant
from naiad.repository.tokens import Kind, Token

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}
_FLOAT_NAMES = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}


def scalar(field: FieldDescriptor, tokens: Sequence[Token]) -> object:
    """The value that `tokens` write: one word, a minus sign and a word, or several strings to be joined."""
    if field.cpp_type in _RANGES:
        return _integer(tokens, *_RANGES[field.cpp_type])
    if field.cpp_type in _FLOATS:
        return _float(tokens)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _bool(tokens)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _enum(field.enum_type, tokens)
    return _string(tokens)


def _signed(tokens: Sequence[Token]) -> tuple[int, Token]:
    return (-1, tokens[1]) if len(tokens) == 2 and tokens[0].text == "-" else (1, tokens[0])


def _number(text: str) -> int:
    """An integer, decimal, 0x… or 0…; ValueError also where Python refuses so many digits."""
    base = 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10
    return int(text, base)


def _integer(tokens: Sequence[Token], low: int, high: int) -> int:
    sign, token = _signed(tokens)
    expected = f"an integer from {low} to {high}"
    if token.kind is not Kind.INTEGER:
        raise ValueError(expected)
    try:
        value = sign * _number(token.text)
    except ValueError:
        raise ValueError(expected) from None
    if not low <= value <= high:
        raise ValueError(expected)
    return value


def _float(tokens: Sequence[Token]) -> float:
    sign, token = _signed(tokens)
    if token.kind is Kind.NAME and token.text.lower() in _FLOAT_NAMES:
        return sign * _FLOAT_NAMES[token.text.lower()]
    decimal = token.kind is Kind.FLOAT or (token.kind is Kind.INTEGER and (token.text == "0" or token.text[0] != "0"))
    if not decimal:
        raise ValueError("a decimal number")
    return sign * float(token.text.rstrip("fF"))


def _bool(tokens: Sequence[Token]) -> bool:
    (sign, token) = _signed(tokens)
    if sign < 0 or token.kind not in (Kind.NAME, Kind.INTEGER) or token.text not in _BOOLS:
        raise ValueError("true or false")
    return _BOOLS[token.text]


def _enum(enum: EnumDescriptor, tokens: Sequence[Token]) -> int:
    sign, token = _signed(tokens)
    if token.kind is Kind.INTEGER:
        return _integer(tokens, -(2**31), 2**31 - 1)
    value = enum.values_by_name.get(token.text) if token.kind is Kind.NAME and sign > 0 else None
    if value is None:
        names = [name for name in enum.values_by_name if not name.endswith("_INVALID")]
        guess = meant(enum, token.text.strip("\"'"))
        hint = f" (did you mean {guess}{', without quotes' if token.kind is Kind.STRING else ''}?)" if guess else ""
        raise ValueError(f"one of {', '.join(names)}{hint}")
    number: int = value.number
    return number


_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\x00-\x7f]|[\x80-\xff]+))"
)
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")
_LETTERS = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b"?": b"?", b"'": b"'", b'"': b'"',
}  # fmt: skip


def _string(tokens: Sequence[Token]) -> str:
    if any(token.kind is not Kind.STRING for token in tokens):
        raise ValueError("a string in quotes")
    data = b"".join(_ESCAPE.sub(_escaped, token.text[1:-1].encode("utf-8")) for token in tokens)
    try:
        return _paired(data).decode("utf-8")
    except UnicodeError:
        raise ValueError("a string of UTF-8") from None


def _paired(data: bytes) -> bytes:
    r"""Characters that were written as two halves, each as \uXXXX, made whole."""
    if _SURROGATE.search(data) is None:
        return data
    return data.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16").encode("utf-8")


def _escaped(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, letter = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        return _character(int(short or long, 16))
    if letter not in _LETTERS:
        raise ValueError(f"a string without the unknown escape \\{ascii(letter.decode('utf-8'))[1:-1]}")
    return _LETTERS[letter]


def _character(code: int) -> bytes:
    if code > 0x10FFFF:
        raise ValueError("a string whose \\U escapes are at most \\U0010ffff")
    return chr(code).encode("utf-8", "surrogatepass")

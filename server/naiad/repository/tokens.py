"""The words of protobuf's text format, with where each one stands. Pure.

Comments run from # to the end of the line. A word that starts like a number but is none, or a string that does not
end on its line, becomes a BAD token, so that whoever meets it can say what was expected there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a token is. A SYMBOL is one character."""

    NAME = "name"
    INTEGER = "integer"
    FLOAT = "float"
    STRING = "string"
    SYMBOL = "symbol"
    BAD = "bad"
    END = "end"


class Position(NamedTuple):
    """A place in a text; lines and columns count from 1, columns in characters."""

    line: int
    column: int


class Token(NamedTuple):
    """A word as it is written."""

    kind: Kind
    text: str
    position: Position

    def __str__(self) -> str:
        """What to call this token in an error."""
        if self.kind is Kind.END:
            return "the end of the file"
        text = self.text if len(self.text) <= 40 else self.text[:37] + "..."
        if not text.isprintable():
            text = ascii(text)[1:-1]
        return text if self.kind is Kind.STRING else f"'{text}'"


_WORD = re.compile(
    r"""(?:[ \t\r\n\f\v]+|\#[^\n]*)*+
        (?: (?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
          | (?P<NUMBER>(?:[0-9]|\.[0-9])(?:[eE][+-]|[A-Za-z0-9_.])*)
          | (?P<STRING>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
          | (?P<OPEN>["'][^\n]*)
          | (?P<SYMBOL>.)
          | (?P<END>\Z))""",
    re.VERBOSE,
)
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?")


def tokenize(text: str) -> Iterator[Token]:
    """The tokens of `text`, and then END, as often as it is asked for."""
    line, line_start = 1, 0
    token = Token(Kind.END, "", Position(1, 1))
    for word in _WORD.finditer(text):
        start = word.start(word.lastgroup or 0)
        if newlines := text.count("\n", word.start(), start):
            line, line_start = line + newlines, text.rindex("\n", 0, start) + 1
        found = word.group(word.lastgroup or 0)
        token = Token(_kind(word.lastgroup or "", found), found, Position(line, start - line_start + 1))
        yield token
    while True:
        yield token


def _kind(group: str, text: str) -> Kind:
    if group == "NUMBER":
        return _number_kind(text)
    if group == "OPEN" or (group == "SYMBOL" and ord(text) < 32):
        return Kind.BAD
    return Kind[group]


def _number_kind(text: str) -> Kind:
    if _INTEGER.fullmatch(text):
        return Kind.INTEGER
    return Kind.FLOAT if _FLOAT.fullmatch(text) else Kind.BAD

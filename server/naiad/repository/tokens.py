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


_SPACE = re.compile(r"(?:[ \t\r\n\f\v]+|#[^\n]*)*")
_WORD = re.compile(
    r"""(?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<NUMBER>(?:[0-9]|\.[0-9])(?:[eE][+-]|[A-Za-z0-9_.])*)
      | (?P<STRING>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<OPEN>["'][^\n]*)
      | (?P<SYMBOL>.)""",
    re.VERBOSE,
)
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?")


def tokenize(text: str) -> Iterator[Token]:
    """The tokens of `text`, and END at the end, again and again."""
    offset, line, line_start = 0, 1, 0
    while True:
        end = _end(_SPACE.match(text, offset))
        line, line_start = _newlines(text, offset, end, line, line_start)
        position = Position(line, end - line_start + 1)
        word = _WORD.match(text, end)
        if word is None:
            yield Token(Kind.END, "", position)
            continue
        yield Token(_kind(word), word.group(), position)
        offset = word.end()


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0


def _newlines(text: str, start: int, end: int, line: int, line_start: int) -> tuple[int, int]:
    count = text.count("\n", start, end)
    return (line + count, text.rindex("\n", start, end) + 1) if count else (line, line_start)


def _kind(word: re.Match[str]) -> Kind:
    if word.lastgroup == "NUMBER":
        return _number_kind(word.group())
    if word.lastgroup == "OPEN" or ord(word.group()[0]) < 32:
        return Kind.BAD
    return Kind[word.lastgroup or "BAD"]


def _number_kind(text: str) -> Kind:
    if _INTEGER.fullmatch(text):
        return Kind.INTEGER
    return Kind.FLOAT if _FLOAT.fullmatch(text) else Kind.BAD

"""config.pbtxt: from its text to the `inference.ModelConfig` message, and where each field stands.

protobuf's own text parser keeps no positions and knows no misspellings; a config is written by hand, so this one
does both. It reads protobuf's text format as C++ does (comments, optional commas and semicolons, `[ ]` lists, `{ }`
and `< >`, adjacent strings joined, numbers for enum values, maps as repeated entries), and the tests compare it
with protobuf's. How deep a text nests is bounded by the message; how large it is, by MAX_BYTES.

What does not keep the rest from being read (a field that does not exist or stands twice, a value of another kind) is
collected, up to MAX_TOLD, and told together.

A field's path is written like `input[0].dims[1]`, with a map's entry by its key: `parameters["key"].string_value`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from naiad.core.problems import InvalidConfig, Problem
from naiad.protocol import model_config_pb2
from naiad.repository import homes, slips
from naiad.repository.names import CONFIG
from naiad.repository.scalars import scalar
from naiad.repository.tokens import Kind, Position, Token, tokenize

MAX_BYTES = 4 << 20
"""A config larger than this is no config."""
MAX_TOLD = 20
"""After so many mistakes of one text the others wait for the next time."""


class ConfigError(InvalidConfig):
    """A text that is no ModelConfig, with the first problem's place. Its field is empty where none had begun."""

    def __init__(self, file: str, found: Sequence[tuple[Problem, Position]]) -> None:
        (first, position), *_ = found
        self.file = file
        self.line, self.column = position
        self.field = first.field
        super().__init__([replace(problem, place=f"{file}:{line}:{column}") for problem, (line, column) in found])


@dataclass(frozen=True, slots=True)
class Parsed:
    """A config as it is written. `positions` has the fields that are written, by path."""

    message: model_config_pb2.ModelConfig
    file: str
    positions: Mapping[str, Position]

    def locate(self, path: str) -> str:
        """`file:line` of a field, or of the message that it would stand in."""
        while path and path not in self.positions:
            path = _parent(path)
        return f"{self.file}:{self.positions[path].line if path else 1}"


_HYPHENATED = re.compile(r"[A-Za-z_]\w*(?:-\w+)+", re.ASCII)
_CLOSED = {"{": "}", "<": ">", "[": "]"}
_VALUES = (Kind.NAME, Kind.INTEGER, Kind.FLOAT, Kind.STRING)
_NO_UTF_8 = f"{CONFIG} that is not UTF-8"
_LAST_STEP = re.compile(r'(?:\.?\w+|\[\d+\]|\["(?:[^"\\]|\\.)*"\])$')


def _parent(path: str) -> str:
    match = _LAST_STEP.search(path)
    return path[: match.start()] if match else ""


def parse(data: bytes, file: str) -> Parsed:
    """Parse a config; `file` is what to call it. Raises ConfigError, and nothing else, for whatever is no config."""
    parser = _Parser(_text(data, file), file)
    message = model_config_pb2.ModelConfig()
    parser.fields(message, "", None)
    if parser.found:
        raise ConfigError(file, parser.found)
    return Parsed(message, file, parser.positions)


def _text(data: bytes, file: str) -> str:
    start = Position(1, 1)
    if len(data) > MAX_BYTES:
        found, expected = f"{len(data)} bytes", f"at most {MAX_BYTES}"
        text = f"the file has {found}, expected {expected}"
        remedy = "Check that the file is a config and no model"
        problem = Problem(text, found=found, expected=expected, remedy=remedy, topic="a config.pbtxt that is too large")
        raise ConfigError(file, [(problem, start)])
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = "the file is UTF-16, expected UTF-8"
        problem = Problem(text, found="UTF-16", expected="UTF-8", remedy="Save it as UTF-8", topic=_NO_UTF_8)
        raise ConfigError(file, [(problem, start)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        position = Position(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        found = f"byte 0x{data[error.start]:02x}"
        text, remedy = f"{found} is not UTF-8", "Save the file as UTF-8"
        problem = Problem(text, found=found, expected="UTF-8", remedy=remedy, topic=_NO_UTF_8)
        raise ConfigError(file, [(problem, position)]) from None


class _Parser:
    """One token ahead, one method for each rule of the grammar."""

    def __init__(self, text: str, file: str) -> None:
        self.positions: dict[str, Position] = {}
        self.found: list[tuple[Problem, Position]] = []
        self._file = file
        self._text = text
        self._lines = text.split("\n")
        self._tokens = tokenize(text)
        self._next = next(self._tokens)

    def fields(self, message: Message, path: str, opened: tuple[str, Token] | None) -> None:
        """Everything up to the end: of the file, or of what `opened` (the closing sign, and what it closes)."""
        closing = opened[0] if opened else ""
        before = ""
        while self._next.text != closing:
            if self._next.kind is not Kind.NAME:
                self._expect_field(message, path, opened, before)
            before = self._next.text
            self._field(message, path)
            if self._at(",") or self._at(";"):
                self._take()
        if opened:
            self._take()

    def _expect_field(self, message: Message, path: str, opened: tuple[str, Token] | None, before: str) -> NoReturn:
        unclosed = f"{opened[1]} of line {opened[1].position.line}" if opened else ""
        end = f" or '{opened[0]}' to end {unclosed}" if opened else ""
        remedy = slips.of_field(self._next, self._rest(self._next), before, unclosed)
        self._fail(path, f"a field of {message.DESCRIPTOR.name}{end}", remedy)

    def _field(self, message: Message, path: str) -> None:
        name = self._take()
        field = message.DESCRIPTOR.fields_by_name.get(name.text)
        if field is None:
            self._pass_unknown(message, path, name)
            return
        path = f"{path}.{name.text}" if path else name.text
        self._refuse_twice(message, field, path, name)
        self._colon(name, path, field)
        if field.is_repeated and self._at("["):
            self._list(message, field, path, name)
        else:
            self._value(message, field, path, name)

    def _pass_unknown(self, message: Message, path: str, name: Token) -> None:
        """Say that there is no such field, and go on behind its value; where that has no end, there is no going on."""
        written = _HYPHENATED.match(self._rest(name))
        text = written[0] if written else name.text
        self._note(homes.unknown(message, text, path), name)
        while self._next.position.line == name.position.line and self._column() < name.position.column + len(text):
            self._take()
        if self._at(":"):
            self._take()
        elif not any(map(self._at, "{<[")):
            raise ConfigError(self._file, self.found)
        self._pass_value()

    def _pass_value(self) -> None:
        """Read a value of whatever kind, to its end."""
        closing: list[str] = []
        while True:
            token = self._next
            if token.kind in (Kind.END, Kind.BAD):
                raise ConfigError(self._file, self.found)
            closes = token.kind is Kind.SYMBOL and token.text in _CLOSED.values()
            if closes and (not closing or closing.pop() != token.text):
                raise ConfigError(self._file, self.found)
            if token.kind is Kind.SYMBOL and token.text in _CLOSED:
                closing.append(_CLOSED[token.text])
            self._take()
            signed = token.text == "-" and token.kind is Kind.SYMBOL
            joined = token.kind is Kind.STRING and self._next.kind is Kind.STRING
            if not closing and not signed and not joined:
                return

    def _column(self) -> int:
        return self._next.position.column

    def _rest(self, token: Token) -> str:
        """The line from a token on."""
        line, column = token.position
        return self._lines[line - 1][column - 1 :] if line <= len(self._lines) else ""

    def _colon(self, name: Token, path: str, field: FieldDescriptor) -> None:
        optional = field.message_type is not None
        if self._at(":"):
            self._take()
        elif not (optional and self._next.text in ("{", "<", "[")):
            expected = "'{'" if optional else "':'"
            remedy = slips.of_message(field, self._next) if optional else slips.of_colon(name, self._next)
            self._fail(path, f"{expected} after {name}", remedy)

    def _list(self, message: Message, field: FieldDescriptor, path: str, name: Token) -> None:
        self.positions.setdefault(path, name.position)
        self._take()
        if self._at("]"):
            self._take()
            return
        while True:
            self._value(message, field, path, self._next)
            if self._at("]"):
                self._take()
                return
            if not self._at(","):
                expected = f"',' or ']' in the list {name} of line {name.position.line}"
                self._fail(path, expected, slips.of_list(self._next))
            self._take()

    def _value(self, message: Message, field: FieldDescriptor, path: str, name: Token) -> None:
        container: Any = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._map_entry(field, container, path, name)
            return
        if field.is_repeated:
            self.positions.setdefault(path, name.position)
            path = f"{path}[{len(container)}]"
        self.positions[path] = name.position
        if field.message_type is not None:
            child = container.add() if field.is_repeated else container
            child.SetInParent()
            self._message(field, child, path, name)
            return
        value = self._scalar(field, path)
        if value is None:
            return
        if field.is_repeated:
            container.append(value)
        else:
            setattr(message, field.name, value)

    def _message(self, field: FieldDescriptor, message: Message, path: str, name: Token) -> None:
        if not (self._at("{") or self._at("<")):
            self._fail(path, "'{'", slips.of_message(field, self._next))
        closing = "}" if self._take().text == "{" else ">"
        self.fields(message, path, (closing, name))

    def _map_entry(self, field: FieldDescriptor, container: Any, path: str, name: Token) -> None:
        """One entry; its positions go under its key, which is known only at its end."""
        entry = container.GetEntryClass()()
        outer, self.positions = self.positions, {}
        inside = f"{path}[{len(container)}]"
        self._message(field, entry, inside, name)
        key = path + map_key(entry.key)
        for written, position in self.positions.items():
            outer[key + written.removeprefix(inside).removeprefix(".value")] = position
        outer.setdefault(path, name.position)
        outer[key] = name.position
        self.positions = outer
        if entry.DESCRIPTOR.fields_by_name["value"].message_type is not None:
            container[entry.key].CopyFrom(entry.value)
        else:
            container[entry.key] = entry.value

    def _scalar(self, field: FieldDescriptor, path: str) -> object | None:
        """The value, or None for one that the field cannot have, which is noted."""
        tokens = [self._take()]
        if tokens[0].text == "-" and tokens[0].kind is Kind.SYMBOL:
            tokens.append(self._take())
        while tokens[-1].kind is Kind.STRING and self._next.kind is Kind.STRING:
            tokens.append(self._take())
        try:
            return scalar(field, tokens)
        except ValueError as error:
            remedy = slips.of_value(field, tokens[-1], self._rest(tokens[-1]), str(error))
            problem = self._mistake(path, _written(tokens), f"{error} for '{field.name}'", remedy)
            if tokens[-1].kind not in _VALUES:
                self._refuse(problem, tokens[0])
            self._note(problem, tokens[0])
            return None

    def _refuse_twice(self, message: Message, field: FieldDescriptor, path: str, name: Token) -> None:
        if field.containing_oneof is not None:
            other = message.WhichOneof(field.containing_oneof.name)
            if other not in (None, field.name):
                expected, remedy = f"one of '{other}' and {name}, not both", f"Remove '{other}' or {name}"
                self._note(self._mistake(path, str(name), expected, remedy), name)
        if field.is_repeated:
            return
        present = (
            message.HasField(field.name) if field.has_presence else getattr(message, field.name) != field.default_value
        )
        if present:
            line = self.positions[path].line
            expected = f"it once: it stands in line {line} already"
            self._note(self._mistake(path, f"{name} again", expected, "Remove one of the two"), name)

    def _at(self, symbol: str) -> bool:
        return self._next.text == symbol and self._next.kind is Kind.SYMBOL

    def _take(self) -> Token:
        token, self._next = self._next, next(self._tokens)
        return token

    def _fail(self, path: str, expected: str, remedy: str) -> NoReturn:
        """Refuse the next token."""
        self._refuse(self._mistake(path, str(self._next), expected, remedy), self._next)

    def _mistake(self, path: str, found: str, expected: str, remedy: str) -> Problem:
        text = f"found {found}, expected {expected}"
        remedy = slips.of_file(self._text) or remedy
        return Problem(text, path, found=found, expected=expected, remedy=remedy, topic=f"{CONFIG}: found {found}")

    def _note(self, problem: Problem, token: Token) -> None:
        """Keep a problem that does not keep the rest from being read."""
        self.found.append((problem, token.position))
        if len(self.found) == MAX_TOLD:
            raise ConfigError(self._file, self.found)

    def _refuse(self, problem: Problem, token: Token) -> NoReturn:
        raise ConfigError(self._file, [*self.found, (problem, token.position)])


def map_key(key: object) -> str:
    """How a path names a map's entry: `["key"]`, or `[3]` for a number."""
    return f"[{json.dumps(key, ensure_ascii=False)}]"


def _written(tokens: list[Token]) -> str:
    if len(tokens) == 1:
        return str(tokens[0])
    return " ".join(map(str, tokens)) if tokens[0].kind is Kind.STRING else f"'{''.join(t.text for t in tokens)}'"

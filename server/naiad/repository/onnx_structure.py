"""Whether an ONNX file is whole: a protobuf message, as in onnx.proto of github.com/onnx/onnx.

Looked at are the fields of the model, of its graph, of the graph's initializers, and whatever stands last in the
model and the graph: in a file that is written from its beginning, what is missing is missing at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from naiad.repository.structure import WHOLE, Structure, is_zero
from naiad.repository.windows import Window
from naiad.repository.wire import BYTES, VARINT, CutError, Field, UnclearError, Walk

_MODEL = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES}
"""ModelProto's fields that a file can begin with, and their wire types."""
_GRAPH, _OPSET = 7, 8
_MODEL_MESSAGES = frozenset({8, 14, 20, 25, 26})
_INITIALIZER = 5
_GRAPH_MESSAGES = frozenset({1, 11, 12, 13, 14, 15, 16})
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_KEY, _VALUE = 1, 2
_LONGEST_TEXT = 4096
"""Bytes of a file's name that are read, the longest path of Linux."""
_MOST_DIGITS = 20


def check(window: Window) -> Structure:
    """What is wrong with an ONNX file, and which files with its tensors it needs; raises OSError."""
    if is_zero(window.read(0, 16)):
        return Structure("begins with zeros")
    needs: dict[str, int] = {}
    walk = Walk(window)
    try:
        if not _is_model(window):
            return WHOLE
        _model(walk, window, needs)
    except CutError as error:
        return Structure(str(error), needs)
    except UnclearError:
        pass
    return Structure("", needs)


def _is_model(window: Window) -> bool:
    """Whether the first field is one of a model. Text, HTML and Git LFS pointers have none."""
    first = window.read(0, 1)[0]
    return _MODEL.get(first >> 3) == first & 7


def _model(walk: Walk, window: Window, needs: dict[str, int]) -> None:
    fields = list(walk.fields(0, window.size))
    for field in fields:
        if field.number == _GRAPH and field.wire == BYTES:
            _graph(walk, window, field, needs)
    last = fields[-1]
    if last.number in _MODEL_MESSAGES and last.wire == BYTES:
        _through(walk, last)
    there = {field.number for field in fields}
    if missing := [what for number, what in ((_GRAPH, "a graph"), (_OPSET, "an opset")) if number not in there]:
        raise CutError(f"ends after {window.size} bytes without {' and '.join(missing)}")


def _graph(walk: Walk, window: Window, graph: Field, needs: dict[str, int]) -> None:
    last = None
    for last in walk.fields(graph.start, graph.end):
        if last.number == _INITIALIZER and last.wire == BYTES:
            _tensor(walk, window, last, needs)
    if last and last.number in _GRAPH_MESSAGES and last.wire == BYTES:
        _through(walk, last)


def _through(walk: Walk, message: Field) -> None:
    for _ in walk.fields(message.start, message.end):
        pass


def _tensor(walk: Walk, window: Window, tensor: Field, needs: dict[str, int]) -> None:
    """Note where a tensor's data lies, if that is in another file."""
    entries: dict[str, str] = {}
    external = False
    for field in walk.fields(tensor.start, tensor.end):
        if field.number == _EXTERNAL_DATA and field.wire == BYTES:
            entries |= dict(_entry(walk, window, field))
        elif field.number == _DATA_LOCATION and field.wire == VARINT:
            external = field.value == _EXTERNAL
    if external and (location := entries.get("location")):
        needs[location] = max(needs.get(location, 0), _number(entries, "offset") + _number(entries, "length"))


def _entry(walk: Walk, window: Window, entry: Field) -> Iterator[tuple[str, str]]:
    texts = {f.number: _text(window, f) for f in walk.fields(entry.start, entry.end) if f.wire == BYTES}
    if _KEY in texts:
        yield texts[_KEY], texts.get(_VALUE, "")


def _text(window: Window, field: Field) -> str:
    count = min(field.end - field.start, _LONGEST_TEXT)
    return window.read(field.start, count).decode("utf-8", "surrogateescape")


def _number(entries: dict[str, str], key: str) -> int:
    text = entries.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0

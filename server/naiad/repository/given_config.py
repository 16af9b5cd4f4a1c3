"""The config that a client gives with a load: ModelConfig as JSON.

Enums are known whatever their case, and a field by either of its names. What is not known is refused by name, all of
it at once. So are parameters by which a framework would read or write files of its host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from naiad.core.errors import InvalidArgument
from naiad.core.spelling import closest
from naiad.protocol import model_config_pb2

MAX_CHARACTERS = 1 << 20
OF_SESSIONS = "session."
"""How parameters begin that a framework gets as they are."""
_NUMBERS = re.compile(r"[0-9.,;-]*", re.ASCII)
_OF_FILES = re.compile("file|path|folder|directory|root")


def parse(text: str) -> model_config_pb2.ModelConfig:
    """The config; raises InvalidArgument with all that is wrong with it."""
    message = model_config_pb2.ModelConfig()
    try:
        value = _object(text)
        unknown: list[str] = []
        known = _known(value, message.DESCRIPTOR, "", unknown)
        if not unknown:
            json_format.ParseDict(known, message)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"Invalid config override: {error}") from None
    if problems := [*unknown, *_of_files(message)]:
        raise InvalidArgument(f"Invalid config override: {', '.join(problems)}")
    return message


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"got {len(text)} characters, expected {MAX_CHARACTERS} at most")
    value = json.loads(text, object_pairs_hook=_unique)
    if isinstance(value, dict):
        return value
    raise ValueError(f"got {type(value).__name__}, expected an object with the fields of a model's config")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' is given twice")
    return found


def _known(value: Any, kind: Descriptor, path: str, unknown: list[str]) -> Any:
    """A message's JSON with its enums as they are written; what is not known of it is added to `unknown`."""
    if not isinstance(value, dict):
        return value
    fields = {field.name: field for field in kind.fields} | {field.json_name: field for field in kind.fields}
    found = {}
    for name, content in value.items():
        if name in fields:
            found[name] = _content(content, fields[name], f"{path}{name}", unknown)
        else:
            guess = closest(name, [field.name for field in kind.fields])
            unknown.append(f"there is no field '{path}{name}'" + (f", did you mean '{guess}'?" if guess else ""))
    return found


def _content(value: Any, field: FieldDescriptor, path: str, unknown: list[str]) -> Any:
    message, enum = field.message_type, field.enum_type
    if message is not None and message.GetOptions().map_entry:
        inner = message.fields_by_name["value"]
        if not isinstance(value, dict):
            return value
        return {key: _content(each, inner, f'{path}["{key}"]', unknown) for key, each in value.items()}
    if isinstance(value, list):
        return [_content(each, field, f"{path}[{i}]", unknown) for i, each in enumerate(value)]
    if message is not None:
        return _known(value, message, f"{path}.", unknown)
    if enum is not None and isinstance(value, str):
        return next((name for name in enum.values_by_name if name.lower() == value.lower()), value)
    return value


def _of_files(message: model_config_pb2.ModelConfig) -> Iterator[str]:
    """Parameters that may name a file of the host, which a client has no business with."""
    for key, parameter in message.parameters.items():
        value = parameter.string_value
        if key.startswith(OF_SESSIONS) and (_OF_FILES.search(key) or not _NUMBERS.fullmatch(value)):
            yield (
                f"parameter '{key}' is '{value}', expected a number, for it may name a file of the server; "
                "write it into the model's config.pbtxt"
            )

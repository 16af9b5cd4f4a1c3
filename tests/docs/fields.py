"""What the server does with each field of a config, found out by setting it.

A field's path is written from the config inwards, without the brackets of lists: `input.reshape.shape`. To find out
what becomes of a field it is set in a sound config, and both are read. The field is

- `refused` when there is an error now, `warning` when there is a warning,
- `served` when the value that the server acts on is another one,
- `checked` when nothing else happens: what it says must make sense, and that is all,
- `group` when it is a message that says nothing without its fields.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from naiad.core.config import ModelConfig
from naiad.core.problems import Problem, Severity
from naiad.protocol import model_config_pb2 as pb
from naiad.protocol.config import from_message
from naiad.protocol.config_rules import problems_of_completed

NAME = "model"
KEY = "1"
"""Of a map's only entry: a text, and a number as well."""
TENSOR = {"data_type": "TYPE_FP32", "dims": [3, 4, 5]}
SOUND: dict[str, Any] = {
    "backend": "onnxruntime",
    "max_batch_size": 8,
    "input": [{"name": "INPUT0", **TENSOR}],
    "output": [{"name": "OUTPUT0", **TENSOR}],
    "instance_group": [{"kind": "KIND_GPU", "count": 1}],
}
SENSIBLE: dict[str, Any] = {
    "name": NAME,
    "platform": "onnxruntime_onnx",
    "version_policy.latest": {"num_versions": 2},
    "version_policy.specific": {"versions": [2]},
    "version_policy.specific.versions": [4],
    "input": {"name": "INPUT1", **TENSOR},
    "input.dims": [6],
    "input.reshape": {"shape": [60]},
    "input.reshape.shape": [12, 5],
    "output": {"name": "OUTPUT1", **TENSOR},
    "output.dims": [6],
    "output.reshape": {"shape": [60]},
    "output.reshape.shape": [12, 5],
    "model_warmup.inputs": {**TENSOR, "input_data_file": "x.raw"},
    "model_warmup.inputs.dims": [6],
}
"""What to set where anything else would be a mistake, or no change."""


Steps = tuple[FieldDescriptor, ...]
"""What leads from the config to a field, the field itself being the last."""


class Fate(NamedTuple):
    """What becomes of a field, and which of its enum values are refused while others are not."""

    status: str
    refused: frozenset[str] = frozenset()


def fields(message: Descriptor = pb.ModelConfig.DESCRIPTOR, above: Steps = ()) -> Iterator[Steps]:
    """Every field of a config, and of all messages in it."""
    for field in message.fields:
        yield (*above, field)
        if (inner := _message_of(field)) is not None:
            yield from fields(inner, (*above, field))


def path(steps: Steps) -> str:
    return ".".join(step.name for step in steps)


def fate(steps: Steps, value: Any = None) -> Fate:
    """Set a field, an enum to each of its values, and tell what becomes of it; `value` is set instead, if given."""
    field = steps[-1]
    if value is not None:
        return Fate(_status(steps, value))
    told = {
        value.name: _status(steps, value.name)
        for value in (field.enum_type.values if field.enum_type else ())
        if value.name != "TYPE_INVALID"
    }
    if not told:
        return Fate(_status(steps, SENSIBLE.get(path(steps), _sample(field))))
    refused = frozenset(name for name, status in told.items() if status == "refused")
    if refused == told.keys():
        return Fate("refused")
    others = set(told.values()) - {"refused", "checked"} or {"served" if refused else "checked"}
    return Fate(others.pop(), refused)


def _message_of(field: FieldDescriptor) -> Descriptor | None:
    """The message that a field holds, of a map's entries their value's."""
    inner: Descriptor | None = field.message_type
    if inner is not None and _is_map(field):
        inner = inner.fields_by_name["value"].message_type
    return inner


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _sample(field: FieldDescriptor) -> Any:
    if field.message_type is not None and _message_of(field) is not None:
        return {}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    numeric = field.cpp_type != FieldDescriptor.CPPTYPE_STRING and field.message_type is None
    return 3 if numeric else "text"


def _status(steps: Steps, value: Any) -> str:
    """What becomes of a field with this value; it is compared with the message around it being there without it."""
    around = fate(steps[:-1]).status if steps[1:] else ""
    if around == "refused":
        return around
    before = deepcopy(SOUND)
    _inside(before, steps[:-1])
    after = deepcopy(before)
    _set(after, steps, value)
    (sound, known), (config, problems) = _read(before), _read(after)
    severities = {problem.severity for problem in problems if problem not in known}
    if Severity.ERROR in severities:
        return "refused"
    if severities or around == "warning":
        return "warning"
    if config != sound:
        return "served"
    return "group" if steps[-1].message_type is not None and not steps[-1].is_repeated else "checked"


def _read(config: dict[str, Any]) -> tuple[ModelConfig | None, list[Problem]]:
    """What the server makes of a config: the value that it acts on, and all that is wrong."""
    value, problems = from_message(json_format.ParseDict(config, pb.ModelConfig()), NAME)
    if value is None:
        return None, list(problems)
    return replace(value, message=b""), [*problems, *problems_of_completed(value)]


def _set(config: dict[str, Any], steps: Steps, value: Any) -> None:
    """Set what `steps` lead to. A list gets one element more unless `value` is the whole, a map the entry of KEY."""
    field, message = steps[-1], _inside(config, steps[:-1])
    for other in field.containing_oneof.fields if field.containing_oneof else ():
        if other is not field:
            message.pop(other.name, None)
    if _is_map(field):
        message[field.name] = {KEY: value}
    elif field.is_repeated and not isinstance(value, list):
        message.setdefault(field.name, []).append(value)
    else:
        message[field.name] = value


def _inside(config: dict[str, Any], steps: Steps) -> dict[str, Any]:
    """The message that `steps` lead to, made where there is none; of a list the first one."""
    message = config
    for i, field in enumerate(steps):
        if field.name not in message:
            _set(config, steps[: i + 1], SENSIBLE.get(path(steps[: i + 1]), {}))
        found = message[field.name]
        message = found[KEY] if _is_map(field) else found[0] if field.is_repeated else found
    return message

"""A field that does not exist where it is written: what was probably meant, and where else it would be right. Pure.

A name that is nearly one of the same message comes first, then the one place of a config where the name is right,
then a name that is only like it. Of many places those that people write most are told, and none is guessed among the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from naiad.core.problems import Problem
from naiad.core.spelling import SURE, closest
from naiad.protocol import model_config_pb2
from naiad.repository.names import CONFIG

_CONFIG = model_config_pb2.ModelConfig.DESCRIPTOR
_FREQUENT = (
    "",
    "input",
    "output",
    "instance_group",
    "dynamic_batching",
    "version_policy",
    "optimization",
    "parameters",
)
_MOST = 3
"""Of more places none is likelier than the others."""
_MEANT = {
    "shape": "dims", "size": "dims", "dimension": "dims", "dimensions": "dims", "dtype": "data_type",
    "batch_size": "max_batch_size", "instances": "instance_group", "versions": "version_policy",
    "backend_name": "backend", "filename": "default_model_filename", "model_filename": "default_model_filename",
}  # fmt: skip
"""What other formats call a field."""


def unknown(message: Message, name: str, path: str) -> Problem:
    """Why there is no field `name` in a message that stands at `path`, and what to do about it."""
    known, here = list(message.DESCRIPTOR.fields_by_name), message.DESCRIPTOR.name
    subject = f"unknown field '{name}' in {here}"
    plain = name.replace("-", "_")
    if guess := _surely(plain, known):
        return _guess(subject, name, path, guess)
    if places := _places(plain, path):
        place = " or ".join(f"'{place}'" if place else "the config itself" for place in places)
        text, expected = f"{subject}, it is a field of {place}", f"a field of {place}"
        return _problem(text, name, path, expected, f"Move it into {place}")
    if like := closest(plain, known):
        return _guess(subject, name, path, like)
    expected = f"one of {', '.join(known)}"
    return _problem(f"{subject}, expected {expected}", name, path, expected, f"Write one of these, or remove '{name}'")


def _guess(subject: str, name: str, path: str, guess: str) -> Problem:
    return _problem(f"{subject}, did you mean '{guess}'?", name, path, f"'{guess}'", f"Write '{guess}'")


def _problem(text: str, name: str, path: str, expected: str, remedy: str) -> Problem:
    topic = f"{CONFIG}: unknown field '{name}'"
    return Problem(text, path, found=f"'{name}'", expected=expected, remedy=remedy, topic=topic)


def _surely(name: str, known: Sequence[str]) -> str:
    """The field of the same message that was surely meant: by its plural, another word for it, or a slip of the pen."""
    candidates = (
        name,
        name.removesuffix("s"),
        f"{name}s",
        _MEANT.get(name, ""),
        _MEANT.get(name.removesuffix("s"), ""),
    )
    return next((n for n in candidates if n in known), "") or closest(name, known, SURE) or ""


def _places(name: str, path: str) -> Sequence[str]:
    """Where in a config a field of that name would be right, as far as that can be told.

    Those below `path` first, then the config itself: a brace may stand too late.
    """
    every = list(dict.fromkeys(_homes(_CONFIG.fields, name, "")))
    top = path.partition("[")[0].partition(".")[0]
    for likely in (
        [home for home in every if top and home.startswith(f"{top}.")],
        [home for home in every if top and not home],
        [home for home in every if home in _FREQUENT],
        every,
    ):
        if likely:
            return likely if len(likely) <= _MOST else ()
    return ()


def _homes(fields: Sequence[FieldDescriptor], name: str, path: str) -> Iterator[str]:
    """Every message of a config that has such a field; of a map that of its values."""
    for field in fields:
        if field.name == name:
            yield path
        if field.message_type is not None:
            inside = f"{path}.{field.name}" if path else field.name
            entry = field.message_type if field.message_type.GetOptions().map_entry else None
            value = entry.fields_by_name["value"].message_type if entry else field.message_type
            if value is not None:
                yield from _homes(value.fields, name, inside)

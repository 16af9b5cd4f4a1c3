"""The text of `naiad serve --help`: the settings by group, and what becomes of tritonserver's other flags."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from naiad.settings.fields import GROUPS
from naiad.settings.model import has_default
from naiad.settings.tritonserver import ALIASES, FOREIGN, Verdict

WIDTH = 96
INDENT = " " * 6

_INTRODUCTION = """\
Usage: naiad serve --model-repository=DIRECTORY [flags]

Serve model repositories. Each setting is also an environment variable (--grpc-port: NAIAD_GRPC_PORT) and a key of the
file that --config-file names (grpc-port); a flag wins over the environment, the environment over the file. A boolean
may be written --flag, --flag=true, --flag false, and so on."""


def help_text() -> str:
    """The whole text, at most WIDTH columns wide."""
    return "\n\n".join([*_wrapped(_INTRODUCTION), *(_group(*each) for each in _groups()), _foreign()]) + "\n"


def _wrapped(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield textwrap.fill(" ".join(paragraph.split()), WIDTH)


def _groups() -> Iterator[tuple[str, dict[str, FieldInfo]]]:
    for group in GROUPS:
        yield group.heading, group.model_fields


def _group(heading: str, fields: dict[str, FieldInfo]) -> str:
    return "\n".join([f"{heading}:", *(_setting(name, field) for name, field in fields.items())])


def _setting(name: str, field: FieldInfo) -> str:
    text = f"{meaning_of(name, field)} {default_of(field)}".rstrip()
    return f"  --{name.replace('_', '-')} {value_of(field)}\n{_indented(text)}"


def _indented(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)


def meaning_of(name: str, field: FieldInfo) -> str:
    """What a setting does, and which other names it has."""
    also = [f"--{alias} is the same." for alias, setting in ALIASES.items() if setting == name]
    return " ".join([field.description or "", *also])


def value_of(field: FieldInfo) -> str:
    """What a setting's value looks like."""
    if field.title:
        return field.title
    if get_origin(field.annotation) is Literal:
        return "|".join(get_args(field.annotation))
    return "true|false" if field.annotation is bool else "N"


def default_of(field: FieldInfo) -> str:
    """The default as a sentence; empty where there is none."""
    return f"Default: {plain(field.default)}." if has_default(field) else ""


def plain(value: object) -> str:
    """A value as it is written on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _foreign() -> str:
    lines = ["Known from tritonserver:"]
    for verdict in Verdict:
        names = " ".join(f"--{each.name}" for each in FOREIGN if each.verdict is verdict)
        lines.append(f"  {verdict.value}:")
        lines.append(_indented(names))
    return "\n".join(lines)

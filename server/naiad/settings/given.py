"""A value that somebody gave, as text, and where; and the names under which values may be given.

The same names stand in every source: `grpc-port` is `--grpc-port` on the command line, `NAIAD_GRPC_PORT` in the
environment, `grpc-port` (or `grpc_port`) in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from naiad.core.spelling import closest


class BadSettings(Exception):
    """Settings cannot be used; the text has one line per mistake. A place's reader raises it for one mistake."""


class Flag(NamedTuple):
    """A name, with hyphens, that a value may be given under.

    setting: the field of Settings, empty for what only tritonserver has. boolean: the flag alone says true.
    repeats: the value is a list.
    """

    name: str
    setting: str
    boolean: bool = False
    repeats: bool = False

    @property
    def key(self) -> str:
        """What its values belong to: one setting under all of its names, or a flag that only tritonserver has."""
        return self.setting or self.name


class Given(NamedTuple):
    """One value: a text, or several of a list. origin: where it stands, as a message begins with it."""

    flag: Flag
    texts: tuple[str, ...]
    origin: str


class Source(NamedTuple):
    """What one place gives, in its order; the mistakes in it, and what looks like a setting and is none, by line."""

    given: list[Given]
    mistakes: list[str]
    warnings: list[str]

    @classmethod
    def empty(cls) -> Source:
        """A place that nothing has been read from yet."""
        return cls([], [], [])


Flags = Mapping[str, Flag]


def unknown(shown: str, name: str, names: Iterable[str], prefix: str = "") -> str:
    """Say that there is no setting `name`, and which one was probably meant."""
    meant = closest(name, names)
    hint = f"did you mean {prefix}{meant}?" if meant else "`naiad serve --help` lists the settings"
    return f"{shown}: there is no such setting; {hint}"

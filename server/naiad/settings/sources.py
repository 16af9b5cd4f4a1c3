"""From the three places where settings may stand to one value for each.

The command line wins over the environment, the environment over the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from naiad.settings import tritonserver
from naiad.settings.arguments import from_arguments
from naiad.settings.environment import from_environment
from naiad.settings.file import CONFIG_FILE, from_file
from naiad.settings.given import Flags, Given


class Gathered(NamedTuple):
    """What all places together give: for each setting what is given last, with all that its list was given."""

    values: dict[str, Given]
    warnings: list[str]


def gather(arguments: Sequence[str], environment: Mapping[str, str], flags: Flags, own: Collection[str]) -> Gathered:
    """Raises BadSettings."""
    line = from_arguments(arguments, flags, own)
    surroundings = from_environment(environment, flags)
    file = _file([*surroundings.given, *line], flags)
    values: dict[str, Given] = {}
    for source in (file, surroundings.given, line):
        values |= _settings(source)
    warnings = tritonserver.judge(given for given in [*file, *surroundings.given, *line] if not given.flag.setting)
    return Gathered(values, [*surroundings.warnings, *warnings])


def _file(given: Iterable[Given], flags: Flags) -> list[Given]:
    named = [(each.texts[-1], each.origin) for each in given if each.flag.name == CONFIG_FILE]
    if not named:
        return []
    path, origin = named[-1]
    return from_file(Path(path), origin, flags)


def _settings(source: Iterable[Given]) -> dict[str, Given]:
    """One source's values by setting: of a list all, of others the last."""
    found: dict[str, Given] = {}
    for given in source:
        name, before = given.flag.setting, found.get(given.flag.setting)
        if before is not None and given.flag.repeats:
            given = given._replace(texts=(*before.texts, *given.texts))  # noqa: PLW2901
        if name:
            found[name] = given
    return found

"""From the three places where settings may stand to one value for each.

The command line wins over the environment, the environment over the file, whatever the value belongs to: a setting,
or a flag that only tritonserver has. What is wrong in one place keeps nobody from looking at the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from naiad.settings import tritonserver
from naiad.settings.arguments import from_arguments
from naiad.settings.environment import from_environment
from naiad.settings.file import CONFIG_FILE, from_file
from naiad.settings.given import Flags, Given, Source


class Gathered(NamedTuple):
    """What all places together give: for each setting what is given last, with all that its list was given."""

    values: dict[str, Given]
    mistakes: list[str]
    warnings: list[str]


def gather(arguments: Sequence[str], environment: Mapping[str, str], flags: Flags, own: Collection[str]) -> Gathered:
    """Read all places. own: names that tritonserver does not have."""
    line = from_arguments(arguments, flags, own)
    surroundings = from_environment(environment, flags)
    sources = (_file([*surroundings.given, *line.given], flags), surroundings, line)
    values: dict[str, Given] = {}
    for source in sources:
        values |= _values(source.given)
    judged = tritonserver.judge(given for given in values.values() if not given.flag.setting)
    return Gathered(
        {key: given for key, given in values.items() if given.flag.setting},
        [*(mistake for source in reversed(sources) for mistake in source.mistakes), *judged.refusals],
        [*(warning for source in sources for warning in source.warnings), *judged.warnings],
    )


def _file(given: Iterable[Given], flags: Flags) -> Source:
    named = [(each.texts[-1], each.origin) for each in given if each.flag.name == CONFIG_FILE]
    return from_file(*named[-1], flags) if named else Source.empty()


def _values(given: Iterable[Given]) -> dict[str, Given]:
    """One place's values by what they belong to: of a list all, of others the last."""
    found: dict[str, Given] = {}
    for each in given:
        before = found.get(each.flag.key) if each.flag.repeats else None
        found[each.flag.key] = each._replace(texts=(*before.texts, *each.texts)) if before else each
    return found

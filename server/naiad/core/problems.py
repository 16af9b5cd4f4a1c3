"""What is wrong with a config or a model's files, as values that can be collected and shown.

A check reports all that it finds, so that a reader repairs a config once. Who knows only the field of the config
leaves `place` empty; who knows where the config came from fills it in with `located`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from naiad.core.errors import InvalidArgument

Locate = Callable[[str], str]
"""From a field's path, like `input[0].dims`, to where it stands, like `config.pbtxt:12`."""


class Severity(Enum):
    """An ERROR keeps a model from being served, a WARNING does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `field` is the path of the config's field, `place` a file with or without a line."""

    text: str
    field: str = ""
    place: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text

    def located(self, locate: Locate) -> Problem:
        """This problem with its place, unless it has one."""
        return self if self.place else replace(self, place=locate(self.field))


class InvalidConfig(InvalidArgument):
    """A config or the files it speaks of cannot be served; `problems` are the errors among what was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)

    def located(self, locate: Locate) -> InvalidConfig:
        """The same error with the places of its problems."""
        return InvalidConfig([problem.located(locate) for problem in self.problems])


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that keep a model from being served."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


def raise_errors(problems: Iterable[Problem]) -> None:
    """Raise InvalidConfig when there are errors among `problems`."""
    if found := errors(problems):
        raise InvalidConfig(found)

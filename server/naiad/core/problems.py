"""What is wrong with a config or a model's files, as values that can be collected and shown.

A check reports all that it finds, so that a reader repairs a config once. Who knows only the field of the config
leaves `place` empty; who knows where the config came from fills it in with `located`. Whatever shows a problem, a
check, the log or the index of a running server, shows the same words: those of `str(problem)`.
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


class Cause(Enum):
    """Who can do something about an error.

    The model's owner (MISTAKE), another host that has the GPU (NO_GPU), a later version of the server, or nobody.
    """

    MISTAKE = "mistake"
    NO_GPU = "no GPU"
    NOT_YET = "not yet"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `field` is the path of the config's field, `place` a file with or without a line.

    text: what is wrong, in the words that users of the protocol know where there are any.
    found, expected: the two sides of it, each as it would stand in a sentence; the text may say them too.
    remedy: what to do, as a sentence without its full stop; empty where there is no telling.
    topic: what it is about, in few words that are the same for every model; empty where the field says it.
    """

    text: str
    field: str = ""
    place: str = ""
    severity: Severity = Severity.ERROR
    found: str = ""
    expected: str = ""
    remedy: str = ""
    cause: Cause = Cause.MISTAKE
    topic: str = ""

    @property
    def message(self) -> str:
        """The text, with what was found and what was expected where it does not say them itself."""
        found = "" if self.found in self.text else f", found {self.found}"
        expected = "" if self.expected in self.text else f", expected {self.expected}"
        return f"{self.text}{found}{expected}"

    def __str__(self) -> str:
        told = f"{self.place}: {self.message}" if self.place else self.message
        if not self.remedy:
            return told
        return f"{told}{'' if told.endswith(('.', '?', '!')) else '.'} {self.remedy}"

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

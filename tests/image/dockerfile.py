"""Read a Dockerfile and a .dockerignore as far as ours use them; pure, and an error for anything else.

Not read: heredocs, parser directives, ARG inside a stage, ONBUILD.
"""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

_ONCE = ("USER", "WORKDIR", "ENTRYPOINT", "CMD", "HEALTHCHECK")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`line` is where it begins, `value` what follows the keyword, its lines joined."""

    line: int
    keyword: str
    value: str

    @property
    def flags(self) -> dict[str, str]:
        """`--name=value` before the arguments."""
        given = takewhile(lambda word: word.startswith("--"), self.value.split())
        return {name: value for name, _, value in (word.removeprefix("--").partition("=") for word in given)}

    @property
    def arguments(self) -> list[str]:
        """The words after the flags."""
        return self.value.split()[len(self.flags) :]


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def all(self, keyword: str) -> list[Instruction]:
        return [each for each in self.instructions if each.keyword == keyword]

    def one(self, keyword: str) -> Instruction:
        """The only instruction with this keyword; ValueError if there is none, or more."""
        (found,) = self.all(keyword)
        return found

    @property
    def environment(self) -> dict[str, str]:
        words = [word for each in self.all("ENV") for word in shlex.split(each.value)]
        return {name: value for name, _, value in (word.partition("=") for word in words)}

    @property
    def commands(self) -> list[list[str]]:
        """The commands of every RUN, as words."""
        return [shlex.split(part) for each in self.all("RUN") for part in each.value.split("&&")]

    @property
    def health_command(self) -> list[str]:
        words: list[str] = json.loads(self.one("HEALTHCHECK").value.split(" CMD ", 1)[1])
        return words


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`arguments` are the ARGs before the first stage, with their defaults; `bases` of stages are substituted."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        (found,) = (stage for stage in self.stages if stage.name == name)
        return found


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile; ValueError with the line for what is not understood."""
    arguments: dict[str, str] = {}
    begun: list[tuple[str, str, list[Instruction]]] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            begun.append((*_from(instruction, arguments), []))
        elif begun:
            begun[-1][2].append(instruction)
        elif instruction.keyword == "ARG":
            name, _, default = instruction.value.partition("=")
            arguments[name] = default
        else:
            raise ValueError(f"line {instruction.line}: {instruction.keyword} before FROM")
    stages = tuple(Stage(name, base, tuple(instructions)) for name, base, instructions in begun)
    for stage in stages:
        _refuse_repeated(stage)
    return Dockerfile(arguments, stages)


def _instructions(text: str) -> Iterator[Instruction]:
    """Logical lines: comments and empty lines left out, continued lines joined without a break, as builders do."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun if parts else number
        parts.append(line.removesuffix("\\"))
        if line.endswith("\\"):
            continue
        keyword, _, value = "".join(parts).strip().partition(" ")
        yield Instruction(begun, keyword, value.strip())
        parts = []
    if parts:
        raise ValueError(f"line {begun}: continued, but the file ends")


def _from(instruction: Instruction, arguments: Mapping[str, str]) -> tuple[str, str]:
    match = re.fullmatch(r"(\S+) AS ([a-z]+)", instruction.value)
    if match is None:
        raise ValueError(f"line {instruction.line}: got FROM {instruction.value!r}, expected FROM IMAGE AS NAME")
    base = re.sub(r"\$\{(\w+)\}", lambda use: arguments[use.group(1)], match.group(1))
    return match.group(2), base


def _refuse_repeated(stage: Stage) -> None:
    for keyword in _ONCE:
        if len(stage.all(keyword)) > 1:
            raise ValueError(f"line {stage.all(keyword)[1].line}: a second {keyword} in stage {stage.name}")


def is_sent(path: str, ignore: str) -> bool:
    """Whether a file of the tree reaches the builder, given the text of .dockerignore: the last pattern wins."""
    lines = [line.strip() for line in ignore.splitlines()]
    sent = True
    for line in (line for line in lines if line and not line.startswith("#")):
        if _matches(path, line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


def _matches(path: str, pattern: str) -> bool:
    """A pattern matches a path, or a directory above it; `**/` stands for any number of directories."""
    candidates = [path, *(str(parent) for parent in PurePosixPath(path).parents if parent.name)]
    return any(_same(candidate.split("/"), pattern.split("/")) for candidate in candidates)


def _same(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        return any(_same(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _same(path[1:], pattern[1:])

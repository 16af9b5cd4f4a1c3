"""What a repository held when it was looked at, as values. Nothing here touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from naiad.core.problems import Problem


class FileStat(NamedTuple):
    """What tells that a file was changed or replaced. `mtime_ns` in nanoseconds since 1970."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """A version's directory. `files` by path relative to it, with / between; `problem` is why it could not be read.

    passed_over: where there are no files, what was taken for a copy that has not ended.
    """

    path: Path
    files: Mapping[str, FileStat]
    problem: Problem | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when a file of the version does."""
        return _digest(self.problem, sorted(self.files.items()))


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A model's directory.

    config: the bytes of config.pbtxt, None where there is none. files: the other files beside it. problems: what the
    directory itself shows; an error among them keeps the whole model from being served. strays: directories that are
    no versions; models: those of them that look like models.
    """

    name: str
    path: Path
    config_path: Path
    config: bytes | None
    files: Mapping[str, FileStat]
    versions: Mapping[int, VersionFiles]
    problems: tuple[Problem, ...] = ()
    strays: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when the config or a file beside it does; versions have their own."""
        return _digest(self.config, sorted(self.files.items()))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models, by name.

    `unreadable` are the repositories whose models are not known, each with the reason; `empty` those without any.
    """

    models: Mapping[str, ModelSnapshot]
    unreadable: Mapping[Path, Problem]
    empty: tuple[Path, ...] = ()


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

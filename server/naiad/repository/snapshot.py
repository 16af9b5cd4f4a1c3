"""What a repository held when it was looked at, as values. Nothing here touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from naiad.core.problems import Problem


class FileStat(NamedTuple):
    """What tells that a file was changed or replaced. Times in nanoseconds since 1970, by the file system's clock.

    ctime_ns: when the file, or the link that it was found by, was last written, renamed or put in place. Nobody can
    set it, so it is the newest thing that is known of a file.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int
    device: int


class Marker(NamedTuple):
    """A file by which whoever writes a model says how far that is: `.ready` or `.publishing`.

    content: of `.publishing` alone, and no more of it than a marker can have.
    """

    stat: FileStat
    content: bytes = b""


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """A version's directory. `files` by path relative to it, with / between; `problem` is why it could not be read.

    passed_over: where there are no files, what was taken for a copy that has not ended.
    markers: by name. copies: what tools write under a name of its own and rename when it is complete, like `files`.
    stat: the directory's own, None where that is not known.
    """

    path: Path
    files: Mapping[str, FileStat]
    problem: Problem | None = None
    passed_over: tuple[str, ...] = ()
    markers: Mapping[str, Marker] = field(default_factory=_none)
    copies: Mapping[str, FileStat] = field(default_factory=_none)
    stat: FileStat | None = None


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A model's directory.

    config: the bytes of config.pbtxt, None where there is none. files: the other files beside it. problems: what the
    directory itself shows; an error among them keeps the whole model from being served. strays: directories that are
    no versions; models: those of them that look like models. markers: those that count for all of the model.
    config_stat: of the file that `config` was read from, taken after that. listed: whether the directory was looked
    into; where it was not, nothing is known of its versions.
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
    markers: Mapping[str, Marker] = field(default_factory=_none)
    config_stat: FileStat | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models, by name.

    `unreadable` are the repositories whose models are not known, each with the reason; `empty` those without any.
    """

    models: Mapping[str, ModelSnapshot]
    unreadable: Mapping[Path, Problem]
    empty: tuple[Path, ...] = ()

"""Who else can change what is served: loading a model's file can run code, so whoever may write one may run it.

Looked at are a repository's own directory and, where that is closed, each model's directory, its config, and its
versions' directories and files. Only write permission for everyone counts: a group is there to share, and a sticky
bit does not keep anybody from adding a version. It is a warning, since mounts in containers often have it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from naiad.core.problems import Problem, Severity
from naiad.repository.snapshot import ModelSnapshot

_EXPECTED = "no write permission for others"


def of_repository(path: Path) -> Problem | None:
    """The warning that everyone can write to a repository's own directory."""
    return _problem(path, path, 1) if is_open(path) else None


def of_model(model: ModelSnapshot) -> Problem | None:
    """The warning that everyone can write to something of a model, at the first such place."""
    found = list(dict.fromkeys(filter(is_open, _paths(model))))
    return _problem(found[0], model.path, len(found)) if found else None


def _paths(model: ModelSnapshot) -> Iterator[Path]:
    yield model.path
    yield model.config_path
    for version in model.versions.values():
        yield version.path
        for name in _with_parents(version.files):
            yield version.path / name


def _with_parents(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        parents = PurePosixPath(name).parents
        yield from (str(parent) for parent in reversed(parents[:-1]))
        yield name


def is_open(path: Path) -> bool:
    """Whether everyone can write to a file or directory."""
    try:
        return bool(path.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _problem(path: Path, top: Path, count: int) -> Problem:
    mode = f"mode {stat.S_IMODE(path.stat().st_mode):04o}"
    more = f", and to {count - 1} more of '{top}'" if count > 1 else ""
    return Problem(
        f"everyone can write to '{path}'{more}, and loading a model can run what its files hold ({mode})",
        place=str(path),
        severity=Severity.WARNING,
        found=mode,
        expected=_EXPECTED,
        remedy=f"Take the permission away: chmod -R o-w '{top}'",
        topic="everyone can write to its files",
    )

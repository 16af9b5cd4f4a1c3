"""What the system says when a path cannot be read, as problems with a remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from naiad.core.problems import Problem
from naiad.core.spelling import closest


def of_repository(path: Path, error: OSError) -> Problem:
    """Why a repository's models are not known."""
    why = f"{error.strerror or error}: '{error.filename}'" if error.filename else str(error)
    return Problem(
        f"the repository cannot be read: {why}",
        place=str(path),
        found=error.strerror or str(error),
        expected="a directory of models",
        remedy=_find(path) if error.errno == errno.ENOENT else _remedy(path, error),
    )


def of_entry(path: Path, error: OSError) -> Problem:
    """Why a file, a directory or a link of a model cannot be read; without a place."""
    expected = "something that can be read"
    if path.is_symlink():
        text = f"'{path}' is a link to '{path.readlink()}', which cannot be followed: {error.strerror}"
        found, expected = f"a link to '{path.readlink()}'", "a link to a file or directory that exists"
    else:
        text, found = f"'{path}' cannot be read: {error.strerror}", error.strerror or str(error)
    topic = "what cannot be read"
    return Problem(text, found=found, expected=expected, remedy=_remedy(path, error), topic=topic)


def _find(path: Path) -> str:
    """Where a directory that does not exist may be."""
    parent = next(above for above in path.absolute().parents if above.is_dir())
    missing = path.absolute().relative_to(parent).parts[0]
    guess = closest(missing, _directories(parent))
    return f"Did you mean '{parent / guess}'?" if guess else f"Create it, or give another: '{parent}' exists"


def _directories(parent: Path) -> list[str]:
    try:
        with os.scandir(parent) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _remedy(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return f"Let the user that serves (uid {os.geteuid()}) read it: chmod -R a+rX '{path}'"
        case errno.ENOTDIR:
            return "Give the directory that holds the models"
        case errno.ELOOP | errno.ENOENT:
            return "Point the link at what it should lead to, or remove it"
    return "Check the file system that it is on"

"""Where models come from: a local directory, which is a repository or a single model's own directory.

A directory is a single model's when it has a config.pbtxt, or a version directory with something in it that is not
again a model: a file, or a directory named like one (`model.onnx/`). Anything else is a repository, whose
directories are models.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from naiad.repository.names import CONFIG, is_leftover, version


class LocalDirectory:
    """A directory as a user names it; `path` is kept as given, for messages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def models(self) -> Mapping[str, Path]:
        """The directories of models by name, also what only looks like one; raises OSError when it is unreadable.

        Links that lead nowhere are listed: whether they matter is for the model to say.
        """
        if self.is_model():
            return {Path(os.path.abspath(self.path)).name: self.path}  # noqa: PTH100 - a link keeps its own name
        with os.scandir(self.path) as entries:
            return {e.name: Path(e.path) for e in sorted(entries, key=_name) if not is_leftover(e.name) and _may_be(e)}

    def is_model(self) -> bool:
        """Whether this is a model's own directory; raises OSError when it is unreadable."""
        with os.scandir(self.path) as entries:
            listed = list(entries)
        return any(entry.name == CONFIG for entry in listed) or any(map(_is_version, listed))


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _may_be(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a directory, or a link that may be meant to be one."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not entry.is_file())
    except OSError:
        return True


def _is_version(entry: os.DirEntry[str]) -> bool:
    if version(entry.name) is None:
        return False
    try:
        with os.scandir(entry.path) as inside:
            files = [e for e in inside if not is_leftover(e.name)]
        return not any(e.name == CONFIG for e in files) and any("." in e.name or e.is_file() for e in files)
    except OSError:
        return False

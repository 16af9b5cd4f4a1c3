"""Whether a version's files are whole, as far as their formats tell: ONNX, zip (as PyTorch writes it), safetensors.

It takes milliseconds however large they are, and what was found out is kept until a file changes. A file that cannot
be judged, or not be read, is taken as whole: loading it tells what is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from naiad.repository import formats, onnx_structure, safetensors_structure, zip_structure
from naiad.repository.names import stays_inside
from naiad.repository.snapshot import FileStat, ModelSnapshot, VersionFiles
from naiad.repository.structure import EMPTY, WHOLE, Structure
from naiad.repository.windows import Window

_CHECKS: dict[str, Callable[[Window], Structure]] = {
    ".onnx": onnx_structure.check,
    ".pt": zip_structure.check,
    ".pth": zip_structure.check,
    ".pt2": zip_structure.check,
    ".zip": zip_structure.check,
    ".npz": zip_structure.check,
    ".safetensors": safetensors_structure.check,
}
CHANGED = Structure("changed while it was looked at")


class Completeness:
    """Remembers what was found out, by path. For one thread."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[FileStat, Structure]] = {}

    def missing(self, version: VersionFiles) -> str:
        """Which file of a version is not whole, and why; empty where all are, as far as can be told. Raises nothing."""
        if version.problem:
            return ""
        for name, stat in sorted(version.files.items()):
            structure = self._structure(version.path / name, stat)
            if fault := structure.fault or _unmet(version, name, structure):
                return f"'{name}' {fault}"
        return ""

    def retain(self, models: Iterable[ModelSnapshot]) -> None:
        """Forget every file that is in none of these models."""
        kept = {v.path / name for model in models for v in model.versions.values() for name in v.files}
        self._known = {path: known for path, known in self._known.items() if path in kept}

    def _structure(self, path: Path, stat: FileStat) -> Structure:
        check = _CHECKS.get(path.suffix)
        if not stat.size:
            return EMPTY if check or formats.of_file(path.name) else WHOLE
        if check is None:
            return WHOLE
        known = self._known.get(path)
        if known and known[0] == stat:
            return known[1]
        found = _look(path, stat, check)
        if found is not CHANGED:
            self._known[path] = stat, found
        return found


def _look(path: Path, stat: FileStat, check: Callable[[Window], Structure]) -> Structure:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != stat.size:
                return CHANGED
            return check(Window(file.fileno(), stat.size))
    except OSError:
        return WHOLE


def _unmet(version: VersionFiles, name: str, structure: Structure) -> str:
    """Which file beside it a file lacks, or nothing."""
    for location, size in structure.needs.items():
        if not stays_inside(location):
            continue
        beside = str(PurePosixPath(name).parent / location)
        there = _size(version, beside)
        if there is None:
            return f"needs '{beside}', which is not there"
        if there < size:
            return f"needs {size} bytes of '{beside}', which has {there}"
    return ""


def _size(version: VersionFiles, name: str) -> int | None:
    """The bytes of a file, also of one whose name is passed over otherwise; None where there is none."""
    if name in version.files:
        return version.files[name].size
    try:
        return (version.path / name).stat().st_size
    except (OSError, ValueError):
        return None

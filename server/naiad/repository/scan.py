"""From sources to a snapshot: what is on the disk now, without judging what is in the files.

An entry that cannot be read (a link that leads nowhere or in circles, a missing permission) is a problem of its
model alone, and of its version alone where it stands in one. What vanishes between listing and looking is passed
over. Files are followed through links; a version with more than MAX_FILES, or deeper than MAX_DEPTH, is no version.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from naiad.core.problems import Problem, Severity
from naiad.repository.names import CONFIG, is_leftover, no_version, version
from naiad.repository.pbtxt import MAX_BYTES
from naiad.repository.snapshot import FileStat, ModelSnapshot, Snapshot, VersionFiles
from naiad.repository.source import LocalDirectory

MAX_FILES = 10_000
"""A version with more files is taken for a link to something else."""
MAX_DEPTH = 32
"""Levels of directories in a version."""


def scan(sources: Iterable[LocalDirectory]) -> Snapshot:
    """Look at every source once. A name that is in two of them is a problem, and neither is chosen."""
    found: dict[str, list[Path]] = {}
    unreadable: dict[Path, str] = {}
    for source in _distinct(sources):
        try:
            for name, path in source.models().items():
                found.setdefault(name, []).append(path)
        except OSError as error:
            unreadable[source.path] = reason(error)
    models = (_model(name, paths) for name, paths in sorted(found.items()))
    return Snapshot({model.name: model for model in models if model is not None}, unreadable)


def _distinct(sources: Iterable[LocalDirectory]) -> Iterator[LocalDirectory]:
    """Each directory once, however often and by whichever links it was named."""
    seen: set[str] = set()
    for source in sources:
        real = os.path.realpath(source.path)
        if real not in seen:
            seen.add(real)
            yield source


def reason(error: OSError) -> str:
    """What the system says of a path, in words."""
    return f"{error.strerror or error}: '{error.filename}'" if error.filename else str(error)


def _model(name: str, paths: list[Path]) -> ModelSnapshot | None:
    """A model's directory, or None when it is gone by now."""
    if len(paths) > 1:
        where = ", ".join(f"'{path}'" for path in paths)
        return _broken(name, paths[0], f"model appears in two or more repositories: {where}")
    if not name.isprintable():
        return _broken(name, paths[0], f"a model's name must be printable text, got {name!a}")
    try:
        return _Directory(name, paths[0]).snapshot()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not paths[0].is_symlink():
            return None
        return _broken(name, paths[0], _unreadable_text(paths[0], error))
    except Exception as error:  # noqa: BLE001 - what is odd about one model is not to hide the others
        return _broken(name, paths[0], f"'{paths[0]}' cannot be looked at: {type(error).__name__}: {error}")


def _broken(name: str, path: Path, text: str) -> ModelSnapshot:
    return ModelSnapshot(name, path, path / CONFIG, None, {}, {}, (Problem(text, place=str(path)),))


class _Directory:
    """One model's directory while it is looked at."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._files: dict[str, FileStat] = {}
        self._versions: dict[int, VersionFiles] = {}
        self._problems: list[Problem] = []
        self._config: bytes | None = None

    def snapshot(self) -> ModelSnapshot:
        with os.scandir(self._path) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if not is_leftover(entry.name):
                    self._look_at(entry)
        return ModelSnapshot(
            self._name,
            self._path,
            self._path / CONFIG,
            self._config,
            self._files,
            self._versions,
            tuple(self._problems),
        )

    def _look_at(self, entry: os.DirEntry[str]) -> None:
        number = version(entry.name)
        try:
            status = entry.stat()
        except OSError as error:
            self._unreadable(entry, number, error)
            return
        if stat.S_ISDIR(status.st_mode):
            self._directory(entry, number)
        elif entry.name == CONFIG:
            self._config = self._read_config(entry, status)
        elif stat.S_ISREG(status.st_mode):
            self._files[entry.name] = _file_stat(status)
            if number is not None:
                self._warn(f"ignore '{entry.name}' which is a file: a version is a directory", entry)

    def _directory(self, entry: os.DirEntry[str], number: int | None) -> None:
        if entry.name == CONFIG:
            self._problems.append(Problem(f"'{CONFIG}' is a directory, expected a file", place=entry.path))
        elif number is not None:
            self._versions[number] = read_version(Path(entry.path))
        elif text := no_version(entry.name):
            self._warn(text, entry)

    def _unreadable(self, entry: os.DirEntry[str], number: int | None, error: OSError) -> None:
        if not entry.is_symlink() and isinstance(error, FileNotFoundError):
            return
        text = _unreadable_text(Path(entry.path), error)
        if number is not None:
            self._versions[number] = VersionFiles(Path(entry.path), {}, text)
        elif entry.name == CONFIG:
            self._problems.append(Problem(text, place=entry.path))
        else:
            self._warn(text, entry)

    def _read_config(self, entry: os.DirEntry[str], status: os.stat_result) -> bytes | None:
        if not stat.S_ISREG(status.st_mode):
            self._problems.append(Problem(f"'{CONFIG}' is not a regular file", place=entry.path))
            return None
        try:
            with Path(entry.path).open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            self._unreadable(entry, None, error)
            return None

    def _warn(self, text: str, entry: os.DirEntry[str]) -> None:
        self._problems.append(Problem(text, place=entry.path, severity=Severity.WARNING))


def _file_stat(status: os.stat_result) -> FileStat:
    return FileStat(status.st_size, status.st_mtime_ns, status.st_ino)


def _unreadable_text(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return f"'{path}' is a link to '{path.readlink()}', which cannot be followed: {error.strerror}"
    return f"'{path}' cannot be read: {error.strerror}"


def read_version(path: Path) -> VersionFiles:
    """A version's directory with all its files; whatever cannot be read becomes its problem."""
    files: dict[str, FileStat] = {}
    try:
        for name, status in _walk(path, "", frozenset()):
            files[name] = _file_stat(status)
            if len(files) > MAX_FILES:
                return VersionFiles(path, {}, f"'{path}' has more than {MAX_FILES} files")
    except _UnreadableError as error:
        return VersionFiles(path, files, str(error))
    return VersionFiles(path, files)


class _UnreadableError(Exception):
    pass


def _walk(path: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files below a directory. `above`: the directories on the way, by which a circle is noticed."""
    try:
        here = path.stat()
        with os.scandir(path) as entries:
            listed = sorted((e for e in entries if not is_leftover(e.name)), key=lambda e: e.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _UnreadableError(_unreadable_text(path, error)) from None
    if (here.st_dev, here.st_ino) in above:
        raise _UnreadableError(f"'{path}' is a link to a directory that it stands in")
    if len(above) == MAX_DEPTH:
        raise _UnreadableError(f"'{path}' is deeper than {MAX_DEPTH} levels below its version's directory")
    above |= {(here.st_dev, here.st_ino)}
    for entry in listed:
        yield from _walk_entry(entry, prefix + entry.name, above)


def _walk_entry(
    entry: os.DirEntry[str], name: str, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, os.stat_result]]:
    try:
        status = entry.stat()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not entry.is_symlink():
            return
        raise _UnreadableError(_unreadable_text(Path(entry.path), error)) from None
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(Path(entry.path), f"{name}/", above)
    elif stat.S_ISREG(status.st_mode):
        yield name, status
    else:
        raise _UnreadableError(f"'{entry.path}' is neither a file nor a directory")

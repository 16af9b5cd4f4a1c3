"""The files of a version's directory, however deep, as far as a look without reading them tells.

Files are followed through links; a directory with more than MAX_FILES, or deeper than MAX_DEPTH, is no version. What
vanishes between listing and looking is passed over. Markers are the only files that are read, and are looked for
before all others.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from naiad.core.problems import Problem
from naiad.repository import unreadable
from naiad.repository.names import PUBLISHING, READY, is_copy, is_leftover
from naiad.repository.snapshot import FileStat, Marker, VersionFiles

MAX_FILES = 10_000
"""A version with more files is taken for a link to something else."""
MAX_DEPTH = 32
"""Levels of directories in a version."""
MAX_MARKER = 4096
"""Bytes of a marker that are read."""


def _file_stat(status: os.stat_result, link_ctime_ns: int = 0) -> FileStat:
    ctime_ns = max(status.st_ctime_ns, link_ctime_ns)
    return FileStat(status.st_size, status.st_mtime_ns, status.st_ino, ctime_ns, status.st_dev)


def entry_stat(entry: os.DirEntry[str]) -> FileStat:
    """What a look tells of an entry that was listed; raises OSError."""
    link_ctime_ns = entry.stat(follow_symlinks=False).st_ctime_ns if entry.is_symlink() else 0
    return _file_stat(entry.stat(), link_ctime_ns)


def file_stat(path: Path) -> FileStat:
    """What a look would tell of one file now; raises OSError."""
    link = path.lstat()
    return _file_stat(path.stat(), link.st_ctime_ns if stat.S_ISLNK(link.st_mode) else 0)


def read(path: Path, limit: int) -> tuple[bytes, FileStat]:
    """The first bytes of a file, and its stat once they were read; raises OSError."""
    with path.open("rb") as file:
        content = file.read(limit)
        link_ctime_ns = path.lstat().st_ctime_ns if path.is_symlink() else 0
        return content, _file_stat(os.fstat(file.fileno()), link_ctime_ns)


def markers(path: Path) -> dict[str, Marker]:
    """The markers of a directory; one that cannot be read is there nevertheless."""
    found: dict[str, Marker] = {}
    for name in (READY, PUBLISHING):
        try:
            marker = file_stat(path / name)
        except OSError:
            continue
        found[name] = Marker(marker, _marked(path / name) if name == PUBLISHING else b"")
    return found


def _marked(path: Path) -> bytes:
    """What a marker says, nothing where that cannot be read."""
    try:
        return read(path, MAX_MARKER)[0] if path.is_file() else b""
    except OSError:
        return b""


def read_version(path: Path) -> VersionFiles:
    """A version's directory with all its files; whatever cannot be read becomes its problem."""
    files: dict[str, FileStat] = {}
    copies: dict[str, FileStat] = {}
    problem: Problem | None = None
    marked = markers(path)
    try:
        own = _file_stat(path.stat())
    except OSError:
        own = None
    try:
        _collect(path, files, copies)
    except _UnreadableError as error:
        problem = replace(error.problem, place=str(path))
    passed_over = () if files or problem else _passed_over(path)
    return VersionFiles(path, files, problem, passed_over, marked, copies, own)


def _collect(path: Path, files: dict[str, FileStat], copies: dict[str, FileStat]) -> None:
    for name, found in _walk(path, "", frozenset()):
        (copies if is_copy(name.rpartition("/")[2]) else files)[name] = found
        if len(files) + len(copies) > MAX_FILES:
            files.clear()
            copies.clear()
            raise _UnreadableError(_too_many(path))


def _too_many(path: Path) -> Problem:
    return Problem(
        f"'{path}' has more than {MAX_FILES} files",
        found=f"more than {MAX_FILES} files",
        expected="the files of one model",
        remedy="Remove what is not the model's, or the link that leads elsewhere",
        topic="too many files",
    )


def _passed_over(path: Path) -> tuple[str, ...]:
    """The files in the making of a version that has no others."""
    try:
        with os.scandir(path) as entries:
            return tuple(sorted(e.name for e in entries if not e.name.startswith(".") and is_leftover(e.name)))
    except OSError:
        return ()


class _UnreadableError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _walk(path: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, FileStat]]:
    """The regular files below a directory, and the copies that go on there.

    above: the directories on the way, by which a circle is noticed.
    """
    try:
        here = path.stat()
        with os.scandir(path) as entries:
            listed = sorted((e for e in entries if not is_leftover(e.name) or is_copy(e.name)), key=lambda e: e.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _UnreadableError(unreadable.of_entry(path, error)) from None
    if (here.st_dev, here.st_ino) in above:
        raise _UnreadableError(_odd(path, "a link to a directory that it stands in", "Remove the link"))
    if len(above) == MAX_DEPTH:
        depth = f"deeper than {MAX_DEPTH} levels below its version's directory"
        raise _UnreadableError(_odd(path, depth, "Move the model's files further up"))
    above |= {(here.st_dev, here.st_ino)}
    for entry in listed:
        walk = _walk_copy if is_copy(entry.name) else _walk_entry
        yield from walk(entry, prefix + entry.name, above)


def _walk_copy(entry: os.DirEntry[str], name: str, _: frozenset[tuple[int, int]]) -> Iterator[tuple[str, FileStat]]:
    """A copy that goes on, where it is a plain file; nothing about it is a fault of the version."""
    try:
        if entry.is_file():
            yield name, entry_stat(entry)
    except OSError:
        return


def _walk_entry(
    entry: os.DirEntry[str], name: str, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, FileStat]]:
    try:
        status, found = entry.stat(), entry_stat(entry)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not entry.is_symlink():
            return
        raise _UnreadableError(unreadable.of_entry(Path(entry.path), error)) from None
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(Path(entry.path), f"{name}/", above)
    elif stat.S_ISREG(status.st_mode):
        yield name, found
    else:
        raise _UnreadableError(_odd(Path(entry.path), "neither a file nor a directory", "Remove it"))


def _odd(path: Path, what: str, remedy: str) -> Problem:
    expected = "a plain file or directory"
    return Problem(f"'{path}' is {what}", found=what, expected=expected, remedy=remedy, topic=what)

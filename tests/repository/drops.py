"""A repository on a real disk whose clock a test turns, and the ways in which people put files into it.

A way is a generator: it does one thing to the disk after the other, and time passes wherever it yields. Names that the
server knows mean what they mean there; a model file is whole when it is as long as its first bytes say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from naiad.repository.names import PUBLISHING, READY, is_leftover
from naiad.repository.scan import scan
from naiad.repository.snapshot import FileStat, Marker, ModelSnapshot, VersionFiles
from naiad.repository.source import LocalDirectory

EPOCH_NS = 1_800_000_000 * 10**9
"""Wall time when the clock shows 0."""
NAME = "m"
CHECKED, UNCHECKED = "model.onnx", "weights.bin"
"""A file that tells whether it is whole, and one that does not."""
BAD = b"bad"
Way = Callable[["Disk", int, bool], Iterator[None]]
"""Puts a version of that number in place, good or bad."""


def content(number: int, good: bool, size: int = 64) -> bytes:
    """The whole of a model file: its length, and whether it can be loaded."""
    body = (b"good" if good else BAD) + b" %d " % number
    return b"%08d" % size + body + bytes(size - 8 - len(body))


def is_whole(file: bytes) -> bool:
    return len(file) >= 8 and len(file) == int(file[:8])


class Disk:
    """What is done is done at `now`, in seconds; every ctime that `look` tells is such a time."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.root = root / "repository"
        self.aside = root / "aside"
        self.model = self.root / NAME
        self._written: dict[int, float] = {}
        self._numbers = count(1)
        for path in (self.aside, self.model):
            path.mkdir(parents=True)
            self._listed(path)

    def version(self, number: int) -> Path:
        return self.model / str(number)

    def place(self, name: str) -> Path:
        """A path beside the repository that nothing has had before."""
        return self.aside / f"{name}{next(self._numbers)}"

    def make(self, path: Path) -> None:
        if not path.is_dir():
            path.mkdir(parents=True)
            self._listed(path, path.parent)

    def write(self, path: Path, data: bytes, *, more: bool = False, old: bool = False) -> None:
        """Write a file, or more of one. old: with an mtime of long ago, as a copy that preserves it."""
        new = not path.exists()
        with path.open("ab" if more else "wb") as file:
            file.write(data)
        self._stamp(path, 0 if old else self._wall_ns)
        self._touched(path)
        if new:
            self._listed(path.parent)

    def touch(self, path: Path) -> None:
        self._stamp(path, self._wall_ns)
        self._touched(path)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)
        self._touched(target)
        self._listed(source.parent, target.parent)

    def link(self, path: Path, target: Path) -> None:
        """Have a link lead to `target`, in one step."""
        new = self.place("link")
        new.symlink_to(target)
        self._touched(new)
        self.rename(new, path)

    def remove(self, path: Path) -> None:
        path.unlink()
        self._listed(path.parent)

    def remove_directory(self, path: Path) -> None:
        path.rmdir()
        self._listed(path.parent)

    def look(self) -> ModelSnapshot | None:
        """What is there now."""
        model = scan([LocalDirectory(self.root)]).models.get(NAME)
        if model is None:
            return None
        config_stat = None if model.config_stat is None else self._dated(model.config_stat)
        versions = {number: self._dated_version(version) for number, version in model.versions.items()}
        return replace(
            model, versions=versions, markers=self._dated_markers(model.markers), config_stat=config_stat,
            files=self._dated_files(model.files),
        )  # fmt: skip

    @property
    def _wall_ns(self) -> int:
        return EPOCH_NS + round(self.now * 1e9)

    def _stamp(self, path: Path, mtime_ns: int) -> None:
        """Give a file an mtime that nothing had before: the kernel's clock is coarser than a test is fast."""
        mtime_ns += next(self._numbers)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def _touched(self, *paths: Path) -> None:
        for path in paths:
            self._written[path.lstat().st_ino] = self.now

    def _listed(self, *directories: Path) -> None:
        """An entry of these came or went."""
        for directory in directories:
            self._stamp(directory, self._wall_ns)
        self._touched(*directories)

    def _dated(self, stat: FileStat) -> FileStat:
        return stat._replace(ctime_ns=EPOCH_NS + round(self._written[stat.inode] * 1e9))

    def _dated_files(self, files: Mapping[str, FileStat]) -> dict[str, FileStat]:
        return {name: self._dated(stat) for name, stat in files.items()}

    def _dated_markers(self, found: Mapping[str, Marker]) -> dict[str, Marker]:
        return {name: marker._replace(stat=self._dated(marker.stat)) for name, marker in found.items()}

    def _dated_version(self, version: VersionFiles) -> VersionFiles:
        return replace(
            version, files=self._dated_files(version.files), copies=self._dated_files(version.copies),
            markers=self._dated_markers(version.markers), stat=self._dated(version.stat) if version.stat else None,
        )  # fmt: skip


def _clear(disk: Disk, version: Path) -> Iterator[None]:
    """Remove what is in a version's directory, one of the files that count after the other."""
    for path in sorted(version.iterdir(), key=lambda path: (not is_leftover(path.name), path.name)):
        disk.remove(path)
        if not is_leftover(path.name):
            yield


def _staged(disk: Disk, number: int, good: bool) -> Path:
    """A finished version beside the repository."""
    path = disk.place("staged")
    disk.make(path)
    disk.write(path / CHECKED, content(number, good))
    disk.write(path / UNCHECKED, b"weights", old=True)
    return path


def renamed_in(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """`mv`, after what was there was moved away."""
    staged, version = _staged(disk, number, good), disk.version(number)
    yield
    if version.exists():
        disk.rename(version, disk.place("away"))
        yield
    disk.rename(staged, version)


def copied(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """`cp -r` over what is there: each file is emptied, and written in pieces."""
    version, data = disk.version(number), content(number, good)
    disk.make(version)
    yield
    disk.write(version / UNCHECKED, b"")
    yield
    disk.write(version / UNCHECKED, b"weights", more=True)
    yield
    disk.write(version / CHECKED, b"")
    for at in range(0, len(data), 24):
        yield
        disk.write(version / CHECKED, data[at : at + 24], more=True)


def copied_with_old_times(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """`cp -p`: files with the mtimes that they had elsewhere."""
    version = disk.version(number)
    disk.make(version)
    for name, data in ((CHECKED, content(number, good)), (UNCHECKED, b"weights")):
        yield
        disk.write(version / name, data[: len(data) // 2], old=True)
        yield
        disk.write(version / name, data[len(data) // 2 :], more=True, old=True)


def synced(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """rsync: each file is written under a name of its own, and renamed."""
    version = disk.version(number)
    disk.make(version)
    for name, data in ((UNCHECKED, b"weights"), (CHECKED, content(number, good))):
        yield
        copy = version / f".{name}.a1B2c3"
        disk.write(copy, data[:10])
        yield
        disk.write(copy, data[10:], more=True)
        yield
        disk.rename(copy, version / name)


def edited(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """An editor: a swap file, a backup, and the new file under the old name."""
    version = disk.version(number)
    disk.make(version)
    disk.write(version / f".{CHECKED}.swp", b"swap")
    yield
    if (version / CHECKED).exists():
        disk.rename(version / CHECKED, version / f"{CHECKED}~")
        yield
    disk.write(version / CHECKED, content(number, good))
    yield
    disk.remove(version / f".{CHECKED}.swp")


def linked(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """A link that is led to another directory, as Kubernetes does."""
    version, target = disk.version(number), _staged(disk, number, good)
    yield
    if version.exists() and not version.is_symlink():
        yield from _clear(disk, version)
        disk.remove_directory(version)
        yield
    disk.link(version, target)


def marked_ready(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """A copy that ends with the marker `.ready`."""
    yield from copied(disk, number, good)
    yield
    disk.write(disk.version(number) / READY, b"")


def published(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """A copy under the marker `.publishing`, which may pause for as long as it likes."""
    disk.make(disk.version(number))
    disk.write(disk.version(number) / PUBLISHING, b"somebody")
    yield
    yield from copied(disk, number, good)
    yield
    disk.remove(disk.version(number) / PUBLISHING)


def in_pieces(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """One file that tells whether it is whole, written as slowly as somebody likes."""
    version, data = disk.version(number), content(number, good, 200)
    disk.make(version)
    disk.write(version / CHECKED, b"")
    for at in range(0, len(data), 40):
        yield
        disk.write(version / CHECKED, data[at : at + 40], more=True)


def touched(disk: Disk, number: int, _: bool) -> Iterator[None]:
    """`touch` of every file; nothing is put in place."""
    version = disk.version(number)
    for path in sorted(version.iterdir()) if version.exists() else ():
        yield
        disk.touch(path)


def removed(disk: Disk, number: int, _: bool) -> Iterator[None]:
    """`rm -r`, or of a link."""
    version = disk.version(number)
    if version.is_symlink():
        disk.remove(version)
    elif version.exists():
        yield from _clear(disk, version)
        disk.remove_directory(version)


def moved_away_and_back(disk: Disk, number: int, _: bool) -> Iterator[None]:
    version, away = disk.version(number), disk.place("away")
    if version.exists():
        disk.rename(version, away)
        yield
        disk.rename(away, version)


def model_replaced(disk: Disk, number: int, good: bool) -> Iterator[None]:
    """The model's directory is moved away, and another one in its place is filled."""
    disk.rename(disk.model, disk.place("model"))
    yield
    disk.make(disk.model)
    yield
    yield from copied(disk, number, good)


@dataclass(frozen=True, slots=True)
class Manner:
    """patient: its pauses may be longer than the settling time. whole_model: it is at work on every version.

    harmless: it changes no content, and leaves nothing half.
    """

    way: Way
    patient: bool = False
    whole_model: bool = False
    harmless: bool = False


MANNERS = (
    *map(Manner, (renamed_in, copied, copied_with_old_times, synced, edited, linked, marked_ready)),
    *map(Manner, (removed, moved_away_and_back)),
    Manner(touched, harmless=True),
    Manner(published, patient=True),
    Manner(in_pieces, patient=True),
    Manner(model_replaced, whole_model=True),
)

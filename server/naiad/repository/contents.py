"""Whether files still hold what they held: a name for the content of each, which a touch or an equal copy keeps.

- A file whose stat is unchanged is unchanged: nothing is read.
- At first sight nothing is read either. The stat names the content, until idle time is spent on learning its digest;
  the name stays the same then.
- A file whose stat changed has the same name still when its content is one that was learnt, and another otherwise.
  Only a content of the same size is read to find that out.
- Up to READ_AT_ONCE bytes are read where the answer is asked for; more is left to `learn`, so that a large file of one
  model keeps nobody else waiting.
- What changes while it is read is not remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from naiad.repository.snapshot import FileStat, ModelSnapshot
from naiad.repository.walking import file_stat

STEP = 8 * 1024 * 1024
"""Bytes that `learn` reads where it is not told: some 10 ms."""
FILE_COSTS = 64 * 1024
"""Bytes that could be read in the time that it takes to open a file."""
READ_AT_ONCE = STEP
"""Bytes of a version's files that `identity` itself reads to compare them."""

REMEMBERED = 8
"""Contents of one path whose names are kept, for when it comes back to one of them."""


@dataclass(slots=True)
class _File:
    """What is known of one path. digest: of the content, once it was learnt. names: of contents that were."""

    stat: FileStat
    name: str
    digest: bytes | None = None
    names: dict[bytes, str] = field(default_factory=dict)

    def remember(self, digest: bytes) -> None:
        self.digest = digest
        self.names.pop(digest, None)
        self.names[digest] = self.name
        if len(self.names) > REMEMBERED:
            del self.names[next(iter(self.names))]


@dataclass(slots=True)
class _Reading:
    """A file that is being read. Where it cannot be, it tells nothing."""

    path: Path
    stat: FileStat
    file: BinaryIO
    hash: blake2b = field(default_factory=lambda: blake2b(digest_size=16))


class Digests:
    """Remembers files by their paths. For one thread."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        self._unsure: dict[Path, FileStat] = {}
        self._unlearnt: dict[Path, FileStat] = {}
        self._reading: _Reading | None = None

    def identity(self, model: ModelSnapshot, number: int, config: str, beside: Collection[str] = ()) -> str | None:
        """A name for all that a version is loaded from; another one when that has changed.

        config: what the config says, as far as a change of it is a change of the version. beside: the files in the
        model's directory that the version depends on. None: files have to be compared first; ask again when `learn`
        has come to an end, and treat the version as unchanged until then.
        """
        version = model.versions[number]
        files = {name: (version.path / name, stat) for name, stat in version.files.items()}
        files |= {f"../{name}": (model.path / name, model.files[name]) for name in beside if name in model.files}
        for path, stat in files.values():
            self._see(path, stat)
        unsure = [(path, stat) for path, stat in files.values() if path in self._unsure]
        if sum(stat.size for _, stat in unsure) > READ_AT_ONCE:
            return None
        for path, _ in unsure:
            self._read_whole(path)
        names = sorted((name, self._files[path].name) for name, (path, _) in files.items())
        return _digest(repr((config, str(version.problem or ""), names)).encode("utf-8", "surrogateescape")).hex()

    def learn(self, limit: int = STEP) -> bool:
        """Read up to `limit` bytes of what is not known yet, first what an identity waits for; whether more is left.

        Each file counts for FILE_COSTS at least.
        """
        left = limit
        while left > 0 and (self._unsure or self._unlearnt):
            left -= max(FILE_COSTS, self._learn_some(left))
        return bool(self._unsure or self._unlearnt)

    def _learn_some(self, limit: int) -> int:
        """Read some of one file; gives how much."""
        if self._reading and self._unsure and self._reading.path not in self._unsure:
            self._stop()
        if self._reading is None and (path := next(iter(self._unsure or self._unlearnt), None)):
            self._start(path)
        return self._step(self._reading, limit) if self._reading else 0

    def retain(self, models: Iterable[ModelSnapshot]) -> None:
        """Forget every file that is in none of these models."""
        kept = set(_paths(models))
        if self._reading and self._reading.path not in kept:
            self._stop()
        for known in (self._files, self._unsure, self._unlearnt):
            for path in known.keys() - kept:
                del known[path]

    def close(self) -> None:
        """Close the file that is being read."""
        self._stop()

    def _see(self, path: Path, stat: FileStat) -> None:
        known = self._files.get(path)
        if known is None:
            self._files[path] = _File(stat, _name(stat))
            self._unlearnt[path] = stat
        elif self._unsure.get(path, known.stat) != stat:
            self._changed(path, known, stat)

    def _changed(self, path: Path, known: _File, stat: FileStat) -> None:
        """Another stat than before: nothing to compare with, another size, or unsure whether it is the same."""
        self._unsure.pop(path, None)
        if self._reading and self._reading.path == path:
            self._stop()
        if known.stat == stat:
            return
        if known.digest is not None and known.stat.size == stat.size:
            self._unsure[path] = stat
        else:
            self._take(path, stat)

    def _take(self, path: Path, stat: FileStat) -> None:
        """Another content, which is not known."""
        self._unsure.pop(path, None)
        self._files[path] = _File(stat, _name(stat), None, self._files[path].names)
        self._unlearnt[path] = stat

    def _read_whole(self, path: Path) -> None:
        if self._reading is None or self._reading.path != path:
            self._stop()
            self._start(path)
        while self._reading:
            self._step(self._reading, STEP)

    def _start(self, path: Path) -> None:
        stat = self._unsure[path] if path in self._unsure else self._unlearnt[path]
        try:
            if file_stat(path) == stat:
                self._reading = _Reading(path, stat, path.open("rb", buffering=0))
                return
        except OSError:
            pass
        self._give_up(path, stat)

    def _step(self, reading: _Reading, limit: int) -> int:
        """Read up to `limit` bytes; gives how many they were."""
        try:
            chunk = reading.file.read(limit)
            ended = not chunk or reading.file.tell() >= reading.stat.size
            same = not ended or file_stat(reading.path) == reading.stat
        except OSError:
            chunk, ended, same = b"", True, False
        reading.hash.update(chunk)
        if ended:
            self._stop()
            done = self._learnt if same else self._give_up_reading
            done(reading)
        return len(chunk)

    def _learnt(self, reading: _Reading) -> None:
        known, digest = self._files[reading.path], reading.hash.digest()
        if self._unsure.pop(reading.path, None) is not None:
            known.stat = reading.stat
            known.name = known.names.get(digest) or digest.hex()
        self._unlearnt.pop(reading.path, None)
        known.remember(digest)

    def _give_up_reading(self, reading: _Reading) -> None:
        self._give_up(reading.path, reading.stat)

    def _give_up(self, path: Path, stat: FileStat) -> None:
        """The file is not what was looked at, or cannot be read: it counts as changed, and is not learnt."""
        if path in self._unsure:
            self._take(path, stat)
        self._unlearnt.pop(path, None)

    def _stop(self) -> None:
        if self._reading:
            self._reading.file.close()
            self._reading = None


def _paths(models: Iterable[ModelSnapshot]) -> Iterator[Path]:
    for model in models:
        yield from (model.path / name for name in model.files)
        for version in model.versions.values():
            yield from (version.path / name for name in version.files)


def _name(stat: FileStat) -> str:
    return " ".join(map(str, stat))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()

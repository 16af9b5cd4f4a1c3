"""From sources to a snapshot: what is on the disk now, without judging what is in the files.

An entry that cannot be read (a link that leads nowhere or in circles, a missing permission) is a problem of its
model alone, and of its version alone where it stands in one. What vanishes between listing and looking is passed
over. Links are followed. A config's stat is taken after it was read: what is written meanwhile shows in it. Markers
are looked for first, so that files which come later than a marker are seen to be newer.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from naiad.core.problems import Problem, Severity
from naiad.repository import exposure, unreadable, walking
from naiad.repository.names import CONFIG, CONFIGS, is_leftover, no_version, version
from naiad.repository.pbtxt import MAX_BYTES
from naiad.repository.snapshot import FileStat, ModelSnapshot, Snapshot, VersionFiles
from naiad.repository.source import LocalDirectory


def scan(sources: Iterable[LocalDirectory], config_name: str = "", only: Collection[str] | None = None) -> Snapshot:
    """Look at every source once. A name that is in two of them is a problem, and neither is chosen.

    config_name: `configs/NAME.pbtxt` is read instead of config.pbtxt where a model has it; empty for none. only: the
    models to look into, None for all.
    """
    found: dict[str, list[Path]] = {}
    unknown: dict[Path, Problem] = {}
    exposed: set[Path] = set()
    empty: list[Path] = []
    for source in _distinct(sources):
        if exposure.is_open(source.path):
            exposed.add(source.path)
        try:
            listed = source.models()
        except OSError as error:
            unknown[source.path] = unreadable.of_repository(source.path, error)
            continue
        if not listed:
            empty.append(source.path)
        for name, path in listed.items():
            found.setdefault(name, []).append(path)
    wanted = found.keys() if only is None else found.keys() & only
    models = (_model(name, found[name], config_name) for name in sorted(wanted))
    snapshots = {model.name: _with_exposure(model, exposed) for model in models if model is not None}
    return Snapshot(snapshots, unknown, tuple(empty))


def scan_model(name: str, path: Path) -> ModelSnapshot:
    """Look at one model's directory, whatever that is called; it must exist."""
    return _model(name, [path]) or _broken(name, path, Problem(f"'{path}' is gone"))


def _with_exposure(model: ModelSnapshot, exposed: set[Path]) -> ModelSnapshot:
    """The model with the warning that everyone can write to it, unless that is told of its repository."""
    problem = None if exposed & {model.path, model.path.parent} else exposure.of_model(model)
    return replace(model, problems=(*model.problems, problem)) if problem else model


def _distinct(sources: Iterable[LocalDirectory]) -> Iterator[LocalDirectory]:
    """Each directory once, however often and by whichever links it was named."""
    seen: set[str] = set()
    for source in sources:
        real = os.path.realpath(source.path)
        if real not in seen:
            seen.add(real)
            yield source


def _model(name: str, paths: list[Path], config_name: str = "") -> ModelSnapshot | None:
    """A model's directory, or None when it is gone by now."""
    path = paths[0]
    if len(paths) > 1:
        return _broken(name, path, _twice(paths))
    if not name.isprintable():
        text, remedy = f"a model's name must be printable text, got {name!a}", "Rename the directory"
        return _broken(name, path, Problem(text, found=f"{name!a}", expected="printable text", remedy=remedy))
    try:
        return _Directory(name, path, config_name).snapshot()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        return _broken(name, path, unreadable.of_entry(path, error))
    except Exception as error:  # noqa: BLE001 - what is odd about one model is not to hide the others
        return _broken(name, path, Problem(f"'{path}' cannot be looked at: {type(error).__name__}: {error}"))


def _twice(paths: list[Path]) -> Problem:
    where = ", ".join(f"'{path}'" for path in paths)
    return Problem(
        f"model appears in two or more repositories: {where}",
        found=where,
        expected="each name in one repository only",
        remedy="Remove or rename all but one of them",
    )


def _broken(name: str, path: Path, problem: Problem) -> ModelSnapshot:
    problems = (replace(problem, place=str(path)),)
    return ModelSnapshot(name, path, path / CONFIG, None, {}, {}, problems, listed=False)


class _Directory:
    """One model's directory while it is looked at."""

    def __init__(self, name: str, path: Path, config_name: str = "") -> None:
        self._name = name
        self._path = path
        self._config_path = path / CONFIG
        self._config_name = config_name
        self._files: dict[str, FileStat] = {}
        self._versions: dict[int, VersionFiles] = {}
        self._problems: list[Problem] = []
        self._strays: list[str] = []
        self._config: bytes | None = None
        self._config_stat: FileStat | None = None

    def snapshot(self) -> ModelSnapshot:
        markers = walking.markers(self._path)
        with os.scandir(self._path) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if not is_leftover(entry.name):
                    self._look_at(entry)
        self._look_for_named_config()
        models = tuple(filter(self._looks_like_a_model, self._strays))
        if not models:
            self._problems += filter(None, map(self._no_version, self._strays))
        return ModelSnapshot(
            self._name,
            self._path,
            self._config_path,
            self._config,
            self._files,
            self._versions,
            tuple(self._problems),
            tuple(self._strays),
            models,
            markers,
            self._config_stat,
        )

    def _look_for_named_config(self) -> None:
        path = self._path / CONFIGS / f"{self._config_name}.pbtxt"
        if not self._config_name or not path.is_file():
            return
        self._config_path = path
        try:
            self._config, self._config_stat = walking.read(path, MAX_BYTES + 1)
        except OSError as error:
            self._problems.append(replace(unreadable.of_entry(path, error), place=str(path)))

    def _looks_like_a_model(self, stray: str) -> bool:
        try:
            return LocalDirectory(self._path / stray).is_model()
        except OSError:
            return False

    def _no_version(self, stray: str) -> Problem | None:
        problem = no_version(stray)
        return None if problem is None else replace(problem, place=str(self._path / stray))

    def _look_at(self, entry: os.DirEntry[str]) -> None:
        number = version(entry.name)
        try:
            status, found = entry.stat(), walking.entry_stat(entry)
        except OSError as error:
            self._unreadable(entry, number, error)
            return
        if stat.S_ISDIR(status.st_mode):
            self._directory(entry, number)
        elif entry.name == CONFIG:
            self._read_config(entry, status)
        elif stat.S_ISREG(status.st_mode):
            self._files[entry.name] = found
            if number is not None:
                text = f"ignore '{entry.name}' which is a file: a version is a directory"
                remedy = f"Put the model's file into a directory '{entry.name}'"
                topic = "a file that is called like a version"
                self._warn(Problem(text, found="a file", expected="a directory", remedy=remedy, topic=topic), entry)

    def _directory(self, entry: os.DirEntry[str], number: int | None) -> None:
        if entry.name == CONFIG:
            self._no_config(f"'{CONFIG}' is a directory", "a directory", entry)
        elif number is not None:
            self._versions[number] = walking.read_version(Path(entry.path))
        elif no_version(entry.name):
            self._strays.append(entry.name)

    def _no_config(self, text: str, found: str, entry: os.DirEntry[str]) -> None:
        remedy = f"Write the config into a plain file named {CONFIG}"
        topic = f"{CONFIG} that is no file"
        self._problems.append(
            Problem(text, place=entry.path, found=found, expected="a file", remedy=remedy, topic=topic)
        )

    def _unreadable(self, entry: os.DirEntry[str], number: int | None, error: OSError) -> None:
        if not entry.is_symlink() and isinstance(error, FileNotFoundError):
            return
        problem = replace(unreadable.of_entry(Path(entry.path), error), place=entry.path)
        if number is not None:
            self._versions[number] = VersionFiles(Path(entry.path), {}, problem)
        elif entry.name == CONFIG:
            self._problems.append(problem)
        else:
            self._warn(problem, entry)

    def _read_config(self, entry: os.DirEntry[str], status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            self._no_config(f"'{CONFIG}' is not a regular file", "something else", entry)
            return
        try:
            self._config, self._config_stat = walking.read(Path(entry.path), MAX_BYTES + 1)
        except OSError as error:
            self._unreadable(entry, None, error)

    def _warn(self, problem: Problem, entry: os.DirEntry[str]) -> None:
        self._problems.append(replace(problem, place=entry.path, severity=Severity.WARNING))

"""From repositories to what the manager should make of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from naiad.core.problems import InvalidConfig, Severity
from naiad.repository.loading import Loaded, Loader
from naiad.repository.manager import Candidate
from naiad.repository.reading import ModelReading, read
from naiad.repository.scan import scan
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.source import LocalDirectory

log = logging.getLogger(__name__)


def candidates(roots: Sequence[Path], loader: Loader) -> Iterator[Candidate]:
    """What repositories, or single models' directories, ask for now; warnings go to the log.

    A model that cannot be read for whatever reason is a candidate with that problem.
    """
    snapshot = scan(map(LocalDirectory, roots))
    for path, why in snapshot.unreadable.items():
        log.error("the repository %s cannot be read: %s", path, why)
    for model in snapshot.models.values():
        yield _candidate(model, loader)


def _candidate(model: ModelSnapshot, loader: Loader) -> Candidate:
    try:
        reading = read(model)
        _warn(reading)
        return Candidate(model.name, _wanted(reading, loader), str(reading.error or ""))
    except Exception as error:
        log.exception("reading model %s", model.name)
        return Candidate(model.name, {}, f"'{model.path}' cannot be read: {type(error).__name__}: {error}")


def _warn(reading: ModelReading) -> None:
    for problem in reading.problems:
        if problem.severity is Severity.WARNING:
            log.warning("model %s: %s", reading.model.name, problem)


def _wanted(reading: ModelReading, loader: Loader) -> dict[int, Callable[[], Loaded] | str]:
    return {
        number: str(resolved)
        if isinstance(resolved, InvalidConfig)
        else partial(loader.load, resolved, number, reading.locate)
        for number, resolved in reading.versions.items()
    }

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
from naiad.repository.source import LocalDirectory

log = logging.getLogger(__name__)


def candidates(roots: Sequence[Path], loader: Loader) -> Iterator[Candidate]:
    """What repositories, or single models' directories, ask for now; warnings go to the log. Raises nothing."""
    snapshot = scan(map(LocalDirectory, roots))
    for path, why in snapshot.unreadable.items():
        log.error("the repository %s cannot be read: %s", path, why)
    for model in snapshot.models.values():
        reading = read(model)
        for problem in reading.problems:
            if problem.severity is Severity.WARNING:
                log.warning("model %s: %s", model.name, problem)
        yield _candidate(reading, loader)


def _candidate(reading: ModelReading, loader: Loader) -> Candidate:
    wanted: dict[int, Callable[[], Loaded] | str] = {
        number: str(resolved)
        if isinstance(resolved, InvalidConfig)
        else partial(loader.load, resolved, number, reading.locate)
        for number, resolved in reading.versions.items()
    }
    return Candidate(reading.model.name, wanted, str(reading.error or ""))

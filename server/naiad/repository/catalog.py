"""From repositories to what the manager should make of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from naiad.core.problems import InvalidConfig, Severity
from naiad.repository import repositories
from naiad.repository.asked import NOT_ASKED, Asked, left_out
from naiad.repository.loading import Loaded, Loader
from naiad.repository.manager import Candidate
from naiad.repository.reading import ModelReading, read
from naiad.repository.scan import scan
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.source import LocalDirectory

log = logging.getLogger(__name__)

_EVERYTHING = Asked()


def candidates(roots: Sequence[Path], loader: Loader, asked: Asked = _EVERYTHING) -> Iterator[Candidate]:
    """What repositories, or single models' directories, ask for now; warnings go to the log.

    A model that cannot be read for whatever reason is a candidate with that problem, and so is one that is asked for
    and in no repository.
    """
    snapshot = scan(map(LocalDirectory, roots), asked.config_name)
    for problem in repositories.problems(roots, snapshot):
        log.log(logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING, "%s", problem)
    for name, model in snapshot.models.items():
        yield _candidate(model, loader, asked) if asked.asks_for(name) else Candidate(name, {}, idle=NOT_ASKED)
    for name in sorted((asked.models or frozenset()) - snapshot.models.keys()):
        yield Candidate(name, {}, f"no repository has a model '{name}', which --load-model names")


def _candidate(model: ModelSnapshot, loader: Loader, asked: Asked) -> Candidate:
    try:
        reading = read(model)
        _warn(reading)
        if not asked.complete and reading.config and (missing := [*left_out(reading.config, reading.locate)]):
            return Candidate(model.name, {}, str(InvalidConfig(missing)))
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

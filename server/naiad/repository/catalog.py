"""From what is on the disk to what the manager should make of it: one Candidate for each model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from naiad.core.config import ModelConfig
from naiad.core.problems import InvalidConfig, Severity
from naiad.protocol import model_config_pb2
from naiad.repository.asked import Asked, left_out
from naiad.repository.contents import Digests
from naiad.repository.loading import Loaded, Loader
from naiad.repository.reading import ModelReading, read
from naiad.repository.resolve import Resolved
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.wanted import Candidate, Progress, Wish

log = logging.getLogger(__name__)

SWAP = "swap"
"""The parameter of a config by which a model says how its versions take each other's place."""
REPLACE = "replace"

_NOTHING: Mapping[int, str] = MappingProxyType({})


class Entry(NamedTuple):
    """A candidate. unsure: of some version it is not known yet whether it changed; it is wanted as it was."""

    candidate: Candidate
    unsure: bool = False


class Catalog:
    """For one thread. replace: what serves is unloaded before the next is loaded, where a config does not say."""

    def __init__(self, loader: Loader, asked: Asked, digests: Digests, *, replace: bool = False) -> None:
        self._loader = loader
        self._asked = asked
        self._digests = digests
        self._replace = replace
        self._warned: dict[str, list[str]] = {}

    def entry(
        self, model: ModelSnapshot, waiting: Mapping[int, str] = _NOTHING, former: Candidate | None = None
    ) -> Entry:
        """What a model asks for; its warnings go to the log. former: what it asked for before.

        A model that cannot be read, for whatever reason, is a candidate with that problem.
        """
        present = frozenset({*model.versions, *waiting})
        try:
            reading = read(model)
            self._warn(reading)
            problem = self._problem(reading)
            wanted, unsure = ({}, False) if problem else self._wanted(reading, former)
            return Entry(Candidate(model.name, wanted, problem, waiting=waiting, present=present), unsure)
        except Exception as error:
            log.exception("reading model %s", model.name)
            problem = f"'{model.path}' cannot be read: {type(error).__name__}: {error}"
            return Entry(Candidate(model.name, {}, problem, waiting=waiting, present=present))

    def forget(self, name: str) -> None:
        self._warned.pop(name, None)

    def _problem(self, reading: ModelReading) -> str:
        """Why nothing of a model can be served."""
        if not self._asked.complete and reading.config and (missing := [*left_out(reading.config, reading.locate)]):
            return str(InvalidConfig(missing))
        return str(reading.error or "")

    def _warn(self, reading: ModelReading) -> None:
        """Log warnings that were not logged when the model was read before."""
        name = reading.model.name
        before, now = self._warned.get(name, []), [str(p) for p in reading.problems if p.severity is Severity.WARNING]
        self._warned[name] = now
        for warning in now:
            if warning not in before:
                log.warning("model %s: %s", name, warning)

    def _wanted(self, reading: ModelReading, former: Candidate | None) -> tuple[dict[int, Wish], bool]:
        wanted, unsure = {}, False
        for number, resolved in reading.versions.items():
            wish = self._wish(reading, number, resolved)
            if wish is None:
                unsure = True
                wish = former.wanted.get(number) if former is not None else None
            if wish is not None:
                wanted[number] = wish
        return wanted, unsure

    def _wish(self, reading: ModelReading, number: int, resolved: Resolved | InvalidConfig) -> Wish | None:
        """How a version is wanted; None while that is not known."""
        if isinstance(resolved, InvalidConfig):
            identity = self._digests.identity(reading.model, number, str(resolved))
            return None if identity is None else Wish(identity, str(resolved))
        config = resolved.config
        beside = [output.label_filename for output in config.outputs if output.label_filename]
        identity = self._digests.identity(reading.model, number, essence(config), beside)
        if identity is None:
            return None
        replace = config.parameters.get(SWAP, REPLACE if self._replace else "") == REPLACE
        return Wish(identity, _load(self._loader, resolved, number, reading), config.instance_groups, replace)


def essence(config: ModelConfig) -> str:
    """What of a config a version is loaded by: all but what is applied to one that serves."""
    message = model_config_pb2.ModelConfig.FromString(config.message)
    message.ClearField("version_policy")
    if SWAP in message.parameters:
        del message.parameters[SWAP]
    for group in message.instance_group or (message.instance_group.add(),):
        group.count = 0
    return message.SerializeToString(deterministic=True).hex()


def _load(loader: Loader, resolved: Resolved, number: int, reading: ModelReading) -> Callable[[Progress], Loaded]:
    return lambda progress: loader.load(resolved, number, reading.locate, progress)


def missing(asked: Asked, known: Iterator[str] | Mapping[str, object]) -> Iterator[Candidate]:
    """What is asked for by name and in no repository."""
    for name in sorted((asked.models or frozenset()).difference(known)):
        yield Candidate(name, {}, f"no repository has a model '{name}', which --load-model names")

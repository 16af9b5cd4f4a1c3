"""What repositories hold, from look to look: which models are to be served otherwise than before, and which are gone.

What is on the disk becomes what is wanted only when it has settled and is whole; until then a model stays as it was.
A repository that cannot be read says nothing of its models: they stay as they were, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from naiad.core.errors import NotFound
from naiad.core.problems import Problem, Severity, errors
from naiad.repository import repositories
from naiad.repository.asked import Asked
from naiad.repository.catalog import Catalog, missing
from naiad.repository.clocks import Clocks
from naiad.repository.completeness import Completeness
from naiad.repository.contents import Digests
from naiad.repository.loading import Loader
from naiad.repository.markers import has_ended
from naiad.repository.overrides import OverrideDirectory, check_backends, kept_in, with_config
from naiad.repository.reading import read
from naiad.repository.scan import scan, scan_model
from naiad.repository.snapshot import ModelSnapshot, Snapshot
from naiad.repository.source import LocalDirectory
from naiad.repository.stability import CHANGING, Judgement, Settling
from naiad.repository.wanted import Candidate

log = logging.getLogger(__name__)


class Findings(NamedTuple):
    """What a look comes to: the models that are wanted otherwise than before, and those that were removed."""

    candidates: Sequence[Candidate] = ()
    gone: Sequence[str] = ()


@dataclass(slots=True)
class _Model:
    """What is known of one model. path: where it was seen last. due: when to look again, whatever happens."""

    settling: Settling
    path: Path
    judgement: Judgement | None = None
    candidate: Candidate | None = None
    unsure: bool = False

    @property
    def due(self) -> float | None:
        return self.judgement.due if self.judgement is not None else None


@dataclass(slots=True)
class Watch:
    """How changes are to be judged. settle_secs: how long files must have stayed as they are."""

    settle_secs: float
    clock: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    make_clocks: Callable[[], Clocks] = field(default=Clocks)


class Survey:
    """For one thread. replace: see Catalog."""

    def __init__(
        self, roots: Sequence[Path], loader: Loader, asked: Asked, watch: Watch, *, replace: bool = False
    ) -> None:
        self.roots = tuple(roots)
        self._asked = asked
        self._watch = watch
        self._digests = Digests()
        self._completeness = Completeness()
        self._catalog = Catalog(loader, asked, self._digests, replace=replace)
        self._clocks = watch.make_clocks()
        self._models: dict[str, _Model] = {}
        self._told: set[str] = set()

    @property
    def due(self) -> float | None:
        """When to look again at `due_models`, by the clock; None for no need to."""
        return min((model.due for model in self._models.values() if model.due is not None), default=None)

    def due_models(self) -> set[str]:
        """The models that are to be looked at by now, whether something was seen to change or not."""
        now = self._watch.clock()
        return {name for name, model in self._models.items() if model.due is not None and model.due <= now}

    @property
    def unsettled(self) -> bool:
        """Whether there are models of which something waits that may come to be wanted."""
        return any(model.judgement is not None and model.judgement.waiting for model in self._models.values())

    # As things are: for a server that does not watch.

    def once(self, only: Collection[str] | None = None) -> list[Candidate]:
        """What is asked for of all models, or of some, as they are on the disk now, settled or not."""
        snapshot = scan(map(LocalDirectory, self.roots), self._asked.config_name, only)
        if only is None:
            self._tell(snapshot)
        found = [self._at_once(model) for model in snapshot.models.values()]
        return [*found, *missing(self._asked, snapshot.models)] if only is None else found

    def _at_once(self, model: ModelSnapshot) -> Candidate:
        if not self._asked.asks_for(model.name):
            return _by_name(model)
        return self._catalog.entry(model).candidate

    def others(self, known: Collection[str]) -> Findings:
        """Models that are there by now, as such that are not to be loaded, and which of `known` are gone."""
        try:
            names = {name for root in self.roots for name in LocalDirectory(root).models()}
        except OSError:
            return Findings()
        new = scan(map(LocalDirectory, self.roots), self._asked.config_name, names.difference(known)).models
        return Findings([*map(_by_name, new.values())], sorted(set(known) - names))

    def has(self, name: str) -> bool:
        """Whether a repository has a model of that name now, or cannot be read."""
        snapshot = scan(map(LocalDirectory, self.roots), self._asked.config_name, {name})
        return name in snapshot.models or bool(snapshot.unreadable)

    def of(self, name: str, config: str = "") -> Candidate:
        """What a model asks for as it is on the disk now, by a config given as JSON if there is one.

        Raises NotFound where there is no such model, InvalidArgument with what is wrong with that config.
        """
        snapshot = scan(map(LocalDirectory, self.roots), self._asked.config_name, {name})
        model = snapshot.models.get(name)
        if model is None:
            raise NotFound("; ".join(map(str, snapshot.unreadable.values())) or "there is no such model")
        return self._catalog.entry(with_config(model, config)).candidate

    def given(self, name: str, directory: OverrideDirectory, config: str, *, code: bool) -> Candidate:
        """What a model asks for of which a client gives config and files.

        code: whether backends are taken that run code of these files. Raises InvalidArgument.
        """
        model = with_config(scan_model(name, directory.path), config)
        if not code:
            check_backends(read(model))
        candidate = self._catalog.entry(model).candidate
        self._digests.retain([])
        return kept_in(directory, candidate)

    # As things settle.

    def look(self, only: Collection[str] | None = None) -> Findings:
        """Look at all models, or at some of them."""
        now, wall_ns = self._watch.clock(), self._watch.wall_ns()
        if only is None:
            self._clocks = self._watch.make_clocks()
        snapshot = scan(map(LocalDirectory, self.roots), self._asked.config_name, only)
        if only is None:
            self._tell(snapshot)
        names = {*snapshot.models, *(self._models if only is None else self._models.keys() & only)}
        candidates, gone = [], []
        for name in sorted(names - self._unknown(snapshot)):
            judged = self._judge(name, snapshot.models.get(name), now, wall_ns)
            if judged.gone:
                gone.append(name)
                self._forget(name)
            elif (candidate := self._candidate(name, judged)) is not None:
                candidates.append(candidate)
        if only is None:
            self._retain(snapshot)
        return Findings(candidates, gone)

    def _unknown(self, snapshot: Snapshot) -> set[str]:
        """Models that were in a repository which cannot be read now, and are not seen elsewhere."""
        unreadable = set(snapshot.unreadable)
        return {
            name
            for name, model in self._models.items()
            if name not in snapshot.models and unreadable & {model.path, model.path.parent}
        }

    def _judge(self, name: str, seen: ModelSnapshot | None, now: float, wall_ns: int) -> Judgement:
        model = self._models.get(name)
        if model is None:
            settling = Settling(self._watch.settle_secs, ended=has_ended, incomplete=self._incomplete)
            model = self._models[name] = _Model(settling, Path())
        if seen is not None:
            model.path = seen.path
        return model.settling.judge(seen, now, wall_ns, self._clocks.ours(model.path))

    def _incomplete(self, model: ModelSnapshot, number: int) -> str:
        return self._completeness.missing(model.versions[number])

    def _candidate(self, name: str, judged: Judgement) -> Candidate | None:
        """What is wanted of a model, if that is something else than before."""
        model = self._models[name]
        before, model.judgement = model.judgement, judged
        self._tell_waiting(name, before.waiting if before is not None else {}, judged.waiting)
        same = before is not None and (before.view, before.waiting) == (judged.view, judged.waiting)
        if same and not model.unsure:
            return None
        former = model.candidate
        if judged.view is None:
            idle = "" if judged.waiting else "still changing"
            model.candidate = Candidate(name, {}, idle=idle, waiting=judged.waiting, present=frozenset(judged.waiting))
        else:
            model.candidate, model.unsure = self._catalog.entry(judged.view, judged.waiting, former)
        return None if former == model.candidate else model.candidate

    def _tell_waiting(self, name: str, before: Mapping[int, str], now: Mapping[int, str]) -> None:
        """Log what may have to wait for ever; what still changes is no news."""
        for number, reason in now.items():
            if reason != before.get(number) and not reason.startswith(CHANGING):
                log.warning("model %s version %d waits: %s", name, number, reason)

    def _forget(self, name: str) -> None:
        del self._models[name]
        self._catalog.forget(name)

    def _retain(self, snapshot: Snapshot) -> None:
        views = (m.judgement.view for m in self._models.values() if m.judgement is not None)
        kept = [*snapshot.models.values(), *(view for view in views if view is not None)]
        self._digests.retain(kept)
        self._completeness.retain(kept)

    def _tell(self, snapshot: Snapshot) -> None:
        """Log what is wrong with repositories, once until it is something else."""
        found = {str(problem): problem for problem in repositories.problems(self.roots, snapshot)}
        for text in found.keys() - self._told:
            log.log(_level(found[text]), "%s", text)
        self._told = set(found)

    # In idle time.

    def learn(self) -> bool:
        """Read a little of what tells later whether a file has changed; whether more is left."""
        return self._digests.learn()

    def unsure(self) -> Iterator[str]:
        """Models to look at when nothing is left to learn."""
        return (name for name, model in self._models.items() if model.unsure)

    def close(self) -> None:
        self._digests.close()


def _by_name(model: ModelSnapshot) -> Candidate:
    """A model that is not to be loaded; what is told of it is why it could not be."""
    return Candidate(model.name, {}, idle="" if model.listed else "; ".join(map(str, errors(model.problems))))


def _level(problem: Problem) -> int:
    return logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING

"""What others read of the manager's state: the engine's map, the index and the histories, immutable and replaced whole.

Several changes are published together, and one costs as much as its own model: thousands of models load in a time
that grows with their number, not with its square. Names and reasons in the index can be encoded as UTF-8, whatever
bytes a directory's name is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from naiad.core.engine import Engine, IndexEntry, Served
from naiad.core.histogram import Distribution
from naiad.core.history import LIFE_NS, ModelHistory, Standing
from naiad.core.lifecycle import WIRE_STATES, Phase


class Publisher:
    """The manager's thread changes and publishes; reads may come from any thread.

    strict: the server is ready only while every model that is to be served is.
    """

    def __init__(self, engine: Engine, *, strict: bool = False) -> None:
        self._engine = engine
        self._strict = strict
        self._served: dict[str, Served] = {}
        self._models: dict[str, _Model] = {}
        self._public: Mapping[str, tuple[IndexEntry, ...]] = MappingProxyType({})
        self._public_histories: Mapping[str, ModelHistory] = MappingProxyType({})
        self._public_failures: tuple[IndexEntry, ...] = ()
        self._ready = False
        self._changed = True

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        """What was published last, by name and version."""
        public = self._public
        return tuple(
            entry for name in sorted(public) for entry in public[name] if entry.state == "READY" or not ready_only
        )

    def histories(self) -> tuple[ModelHistory, ...]:
        """What was published last, by name."""
        public = self._public_histories
        return tuple(public[name] for name in sorted(public))

    def failures(self) -> tuple[IndexEntry, ...]:
        """Of what was published last the versions that are not loaded and were to be, and the models without any."""
        return self._public_failures

    def tell(self, name: str, versions: Mapping[int, Standing], problem: str = "", idle: str = "") -> None:
        """Say how a model's versions stand, and what is wrong with the model, or that none of it is asked for."""
        model = self._model(name)
        model.entries = tuple(_entries(_text(name), versions, problem, idle))
        model.failures = _of(model.entries, versions, problem, Phase.FAILED, Phase.WAITING)
        model.failed = bool(_of(model.entries, versions, problem, Phase.FAILED))
        self._change(model, model.history._replace(versions=MappingProxyType(dict(versions)), problem=problem))

    def loaded(self, name: str, seconds: float) -> None:
        """Say that a version was loaded, and how long it took."""
        model = self._model(name)
        model.loads.add([int(seconds * 1e9)])
        self._change(model, model.history._replace(loads=model.history.loads + 1, load_ns=model.loads.read()))

    def failed(self, name: str) -> None:
        """Say that a version could not be loaded, or a model of which nothing can be."""
        model = self._model(name)
        self._change(model, model.history._replace(load_failures=model.history.load_failures + 1))

    def drained(self, name: str, seconds: float) -> None:
        """Say that the last request of a version that is let go was answered, so long after that was decided."""
        model = self._model(name)
        model.drains.add([int(seconds * 1e9)])
        self._change(model, model.history._replace(drain_ns=model.drains.read()))

    def rolled_back(self, name: str) -> None:
        """Say that what served before a swap serves again."""
        model = self._model(name)
        self._change(model, model.history._replace(rollbacks=model.history.rollbacks + 1))

    def serve(self, name: str, served: Served) -> None:
        """Say where a model's requests go from now on."""
        before = self._served.get(name)
        self._served[name] = served
        if self._ready and _swapped(before, served):
            model = self._model(name)
            self._change(model, model.history._replace(swaps=model.history.swaps + 1))
        self._changed = True

    def forget(self, name: str) -> None:
        """Say that there is no such model any more."""
        self._models.pop(name, None)
        self._served.pop(name, None)
        self._changed = True

    def publish(self, ready: bool) -> None:
        """Show all that was said since the last time. ready: the first pass of loading has ended."""
        if not self._changed and ready == self._ready:
            return
        self._changed, self._ready = False, ready
        models = self._models
        self._public = MappingProxyType({name: model.entries for name, model in models.items()})
        self._public_histories = MappingProxyType({name: model.history for name, model in models.items()})
        self._public_failures = tuple(entry for name in sorted(models) for entry in models[name].failures)
        failed = self._strict and any(model.failed for model in models.values())
        self._engine.publish(self._served, ready and not failed)

    def _model(self, name: str) -> _Model:
        return self._models.setdefault(name, _Model(name))

    def _change(self, model: _Model, history: ModelHistory) -> None:
        model.history = history
        self._changed = True


class _Model:
    """What is told of one model."""

    __slots__ = ("drains", "entries", "failed", "failures", "history", "loads")

    def __init__(self, name: str) -> None:
        self.entries: tuple[IndexEntry, ...] = ()
        self.failures: tuple[IndexEntry, ...] = ()
        self.failed = False
        self.history = ModelHistory(_text(name))
        self.loads = Distribution(LIFE_NS)
        self.drains = Distribution(LIFE_NS)


def _of(
    entries: Iterable[IndexEntry], versions: Mapping[int, Standing], problem: str, *phases: Phase
) -> tuple[IndexEntry, ...]:
    """Versions in one of these phases, and the model itself when nothing of it can be served."""
    numbers = {str(number) for number, standing in versions.items() if standing.phase in phases}
    return tuple(entry for entry in entries if entry.version in numbers or (problem and not entry.version))


def _swapped(before: Served | None, now: Served) -> bool:
    """Whether requests that name no version go to another one than before."""
    if before is None or before.latest is None or now.latest is None:
        return False
    return before.latest is not now.latest


def _entries(name: str, versions: Mapping[int, Standing], problem: str, idle: str) -> list[IndexEntry]:
    if not versions:
        return [IndexEntry(name, "", "UNAVAILABLE" if problem or idle else "", _text(problem or idle))]
    return [
        IndexEntry(name, str(number), WIRE_STATES[standing.phase], _text(_reason(standing, problem)))
        for number, standing in sorted(versions.items())
    ]


def _reason(standing: Standing, problem: str) -> str:
    """Why a version stands as it does; of one that serves, what has become of that which is to take its place."""
    coming = standing.coming
    if standing.phase is not Phase.READY:
        return standing.reason + _retry(standing.retry_at)
    if problem:
        return f"serves on, since what is there now cannot be served: {problem}"
    if coming is None:
        return standing.reason
    reason = f": {coming.reason}" if coming.reason else ""
    return f"serves on while its newer files are {coming.phase.value}{reason}{_retry(coming.retry_at)}"


def _retry(at: float | None) -> str:
    if at is None:
        return ""
    return f" (tried again at {datetime.fromtimestamp(at, UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')})"


def _text(name: str) -> str:
    """`name` with what cannot be encoded escaped."""
    return name.encode("utf-8", "backslashreplace").decode()

"""The one front door: whatever wire a request came over, it goes through here.

Lookups read one immutable map that the repository's manager replaces whole (`publish`); nothing here is held
while a request runs. The manager implements `Control`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple, Protocol

from naiad.core import accounts
from naiad.core.config import ModelConfig
from naiad.core.errors import Draining, FailureReason, InvalidArgument, NaiadError, NotFound, Unavailable
from naiad.core.history import ModelHistory
from naiad.core.observer import Observer
from naiad.core.pending import Responder
from naiad.core.statistics import VersionStatistics
from naiad.core.types import InferRequest, TensorSpec
from naiad.core.version import Version
from naiad.core.waiting import Cancellable, WaitingRoom


class IndexEntry(NamedTuple):
    """One line of the repository's index. `version` and `state` are empty for a model that has no version."""

    name: str
    version: str
    state: str
    reason: str


class ModelMetadata(NamedTuple):
    """What clients need to know to call a model; shapes have -1 where any size goes, the batch dimension first."""

    name: str
    versions: tuple[int, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Control(Protocol):
    """What decides which versions exist."""

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]: ...

    def histories(self) -> tuple[ModelHistory, ...]: ...


class Overrides(NamedTuple):
    """What a load takes instead of what the repository has: the config, as JSON, and files, by VERSION/NAME."""

    config: str = ""
    files: Mapping[str, bytes | memoryview] = MappingProxyType({})


Done = Callable[[NaiadError | None], None]
"""Hears once, on any thread, that a command was carried out, or why not; must only enqueue."""


class Commander(Protocol):
    """What loads and unloads models when clients ask for it. Any thread; nothing here blocks."""

    def load(self, name: str, overrides: Overrides, done: Done) -> None: ...

    def unload(self, name: str, done: Done) -> None: ...

    def look(self, done: Done) -> None: ...


@dataclass(frozen=True, slots=True)
class Served:
    """One model of the map: the versions that serve, and the numbers of those that are known but do not.

    room: where requests wait for a version, while none is there for them.
    """

    ready: Mapping[int, Version]
    latest: Version | None
    known: frozenset[int] = frozenset()
    room: WaitingRoom | None = None

    def of(self, number: int | None) -> Version | None:
        """The version of that number, or the latest for None, if it serves."""
        return self.latest if number is None else self.ready.get(number)


Models = Mapping[str, Served]


class Engine:
    """Thread-safe. Errors are those of naiad.core.errors."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer
        self._models: Models = MappingProxyType({})
        self._published = False
        self._control: Control | None = None
        self._commander: Commander | None = None
        self._ready = False
        self._retired = False
        self._stopping = False
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._lock = Lock()
        self._unserved = dict.fromkeys(FailureReason, 0)

    # Requests.

    def infer(self, request: InferRequest, responder: Responder) -> Cancellable:
        """Queue a request. Raises what is wrong with it; after that only `responder` speaks, exactly once."""
        to: Version | WaitingRoom | None = None
        try:
            signature = request.signature
            to = self._find(signature.model, signature.version)
            while True:
                try:
                    return to.submit(request, responder)
                except Draining:
                    before, to = to, self._find(signature.model, signature.version)
                    if to is before:
                        raise
        except NaiadError as error:
            self._count(error, to if isinstance(to, Version) else None, request)
            raise

    def refused(self, error: NaiadError, request: InferRequest) -> None:
        """Count and tell a request that failed outside of the engine: not understood, or answered in vain.

        What is known of it stands in `request`; a model that is not served counts as none.
        """
        signature = request.signature
        served = self._models.get(signature.model)
        self._count(error, None if served is None else served.of(signature.version), request)

    def _count(self, error: NaiadError, version: Version | None, request: InferRequest) -> None:
        if version is not None:
            version.refused(error, request)
            return
        with self._lock:
            self._unserved[error.reason] += 1
        if self._observer is not None:
            self._observer.answered([accounts.refused(error, request, None)])

    def _find(self, name: str, number: int | None) -> Version | WaitingRoom:
        """What takes requests for a version, or for the latest one, now."""
        served = self._models.get(name)
        if served is not None and not self._stopping:
            version = served.of(number)
            if version is not None:
                return version
            if served.room is not None and served.room.takes(number):
                return served.room
        return self._lookup(name, number)[1]

    def lookup(self, name: str, version: int | None) -> None:
        """Raise what `infer` would raise for a model that is not there."""
        self._find(name, version)

    def _lookup(self, name: str, number: int | None) -> tuple[Served, Version]:
        if self._stopping:
            raise Unavailable("Server exiting")
        if not self._published:
            raise Unavailable("Server not ready")
        served = self._models.get(name)
        version = None if served is None else served.of(number)
        if served is None or version is None:
            raise self._missing(name, served, number)
        return served, version

    @staticmethod
    def _missing(name: str, served: Served | None, number: int | None) -> NaiadError:
        subject = f"Request for unknown model: '{name}'"
        if served is None:
            return NotFound(f"{subject} is not found")
        if number is None:
            return NotFound(f"{subject} has no available versions")
        if number in served.known:
            return Unavailable(f"{subject} version {number} is not at ready state")
        return NotFound(f"{subject} version {number} is not found")

    # Reads.

    def live(self) -> bool:
        """Whether the process works at all."""
        return True

    def ready(self) -> bool:
        """Whether the first pass of loading has ended and the server is not stopping."""
        return self._ready and not self._retired

    def model_ready(self, name: str, version: int | None) -> bool:
        """Whether requests for this model are welcome; False for unknown ones and while the server goes away."""
        served = self._models.get(name)
        if served is None or self._retired:
            return False
        return served.latest is not None if version is None else version in served.ready

    def config(self, name: str, version: int | None) -> ModelConfig:
        return self._lookup(name, version)[1].config

    def metadata(self, name: str, version: int | None) -> ModelMetadata:
        served, found = self._lookup(name, version)
        config = found.config
        versions = tuple(sorted(served.ready)) if version is None else (version,)
        return ModelMetadata(
            name,
            versions,
            config.platform or config.backend,
            tuple(TensorSpec(t.name, t.datatype, config.shape(t)) for t in config.inputs),
            tuple(TensorSpec(t.name, t.datatype, config.shape(t)) for t in config.outputs),
        )

    def statistics(self, name: str, version: int | None) -> tuple[VersionStatistics, ...]:
        """Snapshots of all versions that are ready: of one model, or of all for an empty `name`."""
        models = self._models
        if not name:
            return tuple(v.statistics() for n in sorted(models) for _, v in sorted(models[n].ready.items()))
        served = models.get(name)
        if served is None or served.latest is None:
            raise InvalidArgument(f"requested model '{name}' is not available")
        if version is None:
            return tuple(v.statistics() for _, v in sorted(served.ready.items()))
        if version not in served.ready:
            raise InvalidArgument(f"requested model version is not available for model '{name}'")
        return (served.ready[version].statistics(),)

    def serving(self) -> Mapping[str, Mapping[int, Version]]:
        """The versions that serve now, by model and number; to look at, and not to keep."""
        return {name: served.ready for name, served in self._models.items()}

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        """Every model of the repositories with its versions' states."""
        return () if self._control is None else self._control.index(ready_only)

    def histories(self) -> tuple[ModelHistory, ...]:
        """What has become of every model, by name."""
        return () if self._control is None else self._control.histories()

    # Commands.

    def load(self, name: str, overrides: Overrides, done: Done) -> None:
        """Load a model, or load it anew; it is served as before until that is done."""
        self._commanded().load(name, overrides, done)

    def unload(self, name: str, done: Done) -> None:
        """Serve a model no longer. What is not loaded, or not known, is done at once."""
        self._commanded().unload(name, done)

    def look(self, done: Done) -> bool:
        """Have the index show which models there are by now; False, and `done` is not called, where it always does."""
        if self._commander is None or self._stopping or self._retired:
            return False
        self._commander.look(done)
        return True

    def _commanded(self) -> Commander:
        if self._stopping or self._retired:
            raise Unavailable("Server exiting")
        if self._commander is None:
            raise Unavailable("explicit model load / unload is not allowed if polling is enabled")
        return self._commander

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after every change of readiness, from any thread; it must only enqueue.

        Gives the function that ends it.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._unsubscribe(listener)

    def _unsubscribe(self, listener: Callable[[], None]) -> None:
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

    @property
    def unserved(self) -> Mapping[FailureReason, int]:
        """Requests that failed before a version was found for them, by reason."""
        return dict(self._unserved)

    # The manager's side.

    def govern(self, control: Control) -> None:
        """Say who decides what is served; once, before anything is published."""
        self._control = control

    def obey(self, commander: Commander) -> None:
        """Say who loads models by command; where nobody does, that is refused."""
        self._commander = commander

    def publish(self, models: Models, ready: bool) -> None:
        """Replace the map in one step; `ready` once the first pass of loading has ended."""
        self._models = MappingProxyType(dict(models))
        self._published = True
        self._ready = ready
        self._notify()

    def retire(self) -> None:
        """Say that the server is going away: not ready any more, but serving on."""
        self._retired = True
        self._notify()

    def stop(self) -> None:
        """Refuse whatever comes from now on; what was queued before is still answered."""
        self._retired = self._stopping = True
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

"""What others read of the manager's state: the engine's map and the index. Both are immutable and replaced whole.

Several changes are published together, and one costs as much as its own model: thousands of models load in a time
that grows with their number, not with its square. Names and reasons in the index can be encoded as UTF-8, whatever
bytes a directory's name is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from naiad.core.engine import Engine, IndexEntry, ModelHistory, Served
from naiad.core.lifecycle import Record


class Publisher:
    """The manager's thread changes and publishes; reads may come from any thread.

    strict: the server is ready only while every model that is to be served is.
    """

    def __init__(self, engine: Engine, *, strict: bool = False) -> None:
        self._engine = engine
        self._strict = strict
        self._idle: set[str] = set()
        self._served: dict[str, Served] = {}
        self._entries: dict[str, tuple[IndexEntry, ...]] = {}
        self._histories: dict[str, ModelHistory] = {}
        self._public: Mapping[str, tuple[IndexEntry, ...]] = MappingProxyType({})
        self._public_histories: Mapping[str, ModelHistory] = MappingProxyType({})
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
        """Of what was published last the versions that could not be loaded, and the models without any."""
        return tuple(e for e in self.index(ready_only=False) if e.state == "UNAVAILABLE" and e.name not in self._idle)

    def tell(self, name: str, records: Mapping[int, Record], problem: str = "", idle: str = "") -> None:
        """Say how a model's versions stand, or why it has none: what is wrong, or that none is asked for."""
        if idle:
            self._idle.add(_text(name))
        self._entries[name] = tuple(_entries(_text(name), records, problem or idle))
        phases = MappingProxyType({number: record.phase for number, record in records.items()})
        history = self._history(name)
        times = {number: seconds for number, seconds in history.load_seconds.items() if number in records}
        self._histories[name] = history._replace(phases=phases, load_seconds=MappingProxyType(times))
        self._changed = True

    def loaded(self, name: str, number: int, seconds: float) -> None:
        """Say that a version was loaded, and how long it took."""
        history = self._history(name)
        times = MappingProxyType({**history.load_seconds, number: seconds})
        self._histories[name] = history._replace(loads=history.loads + 1, load_seconds=times)
        self._changed = True

    def failed(self, name: str) -> None:
        """Say that a version could not be loaded, or a model of which nothing can be."""
        history = self._history(name)
        self._histories[name] = history._replace(load_failures=history.load_failures + 1)
        self._changed = True

    def serve(self, name: str, served: Served) -> None:
        """Say where a model's requests go from now on."""
        before = self._served.get(name)
        self._served[name] = served
        if self._ready and _swapped(before, served):
            history = self._history(name)
            self._histories[name] = history._replace(swaps=history.swaps + 1)
        self._changed = True

    def publish(self, ready: bool) -> None:
        """Show all that was said since the last time. ready: the first pass of loading has ended."""
        if not self._changed and ready == self._ready:
            return
        self._changed, self._ready = False, ready
        self._public = MappingProxyType(dict(self._entries))
        self._public_histories = MappingProxyType(dict(self._histories))
        self._engine.publish(self._served, ready and not (self._strict and self.failures()))

    def _history(self, name: str) -> ModelHistory:
        return self._histories.get(name) or ModelHistory(_text(name), _NONE, _NONE, 0, 0, 0)


_NONE: Mapping[int, Any] = MappingProxyType({})


def _swapped(before: Served | None, now: Served) -> bool:
    """Whether requests that name no version go to another one than before."""
    if before is None or before.latest is None or now.latest is None:
        return False
    return before.latest is not now.latest


def _entries(name: str, records: Mapping[int, Record], problem: str) -> list[IndexEntry]:
    if not records:
        return [IndexEntry(name, "", "UNAVAILABLE", _text(problem))]
    return [
        IndexEntry(name, str(number), record.wire_state, _text(record.reason))
        for number, record in sorted(records.items())
    ]


def _text(name: str) -> str:
    """`name` with what cannot be encoded escaped."""
    return name.encode("utf-8", "backslashreplace").decode()

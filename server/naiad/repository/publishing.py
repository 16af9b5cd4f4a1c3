"""What others read of the manager's state: the engine's map and the index. Both are immutable and replaced whole.

Several changes are published together, and one costs as much as its own model: thousands of models load in a time
that grows with their number, not with its square. Names and reasons in the index can be encoded as UTF-8, whatever
bytes a directory's name is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from naiad.core.engine import Engine, IndexEntry, Served
from naiad.core.lifecycle import Record


class Publisher:
    """The manager's thread changes and publishes; `index` may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._served: dict[str, Served] = {}
        self._entries: dict[str, tuple[IndexEntry, ...]] = {}
        self._public: Mapping[str, tuple[IndexEntry, ...]] = MappingProxyType({})
        self._ready = False
        self._changed = True

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        """What was published last, by name and version."""
        public = self._public
        return tuple(
            entry for name in sorted(public) for entry in public[name] if entry.state == "READY" or not ready_only
        )

    def tell(self, name: str, records: Mapping[int, Record], problem: str = "") -> None:
        """Say how a model's versions stand, or what is wrong with a model that has none."""
        self._entries[name] = tuple(_entries(_text(name), records, problem))
        self._changed = True

    def serve(self, name: str, served: Served) -> None:
        """Say where a model's requests go from now on."""
        self._served[name] = served
        self._changed = True

    def publish(self, ready: bool) -> None:
        """Show all that was said since the last time. ready: the first pass of loading has ended."""
        if not self._changed and ready == self._ready:
            return
        self._changed, self._ready = False, ready
        self._public = MappingProxyType(dict(self._entries))
        self._engine.publish(self._served, ready)


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

"""A small cache in two generations: about least-recently-used, and nothing is moved when something is found.

Any number of threads may use one without a lock: each step is one operation of a dict, and all that a race between
two threads can lose is an entry, which is then learnt again. Values must therefore be functions of their keys.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """Remembers at least the last `size` different keys asked for or put, and at most twice as many.

    `young` may be read directly where even a method call counts; then `get` finds the rest.
    """

    __slots__ = ("_old", "_size", "young")

    def __init__(self, size: int) -> None:
        self._size = size
        self.young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """What was put under `key`, or None."""
        value = self.young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember `value`, which is not None."""
        if len(self.young) >= self._size:
            self._old = self.young
            self.young = {}
        self.young[key] = value

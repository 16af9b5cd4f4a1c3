"""Many clients at once: one thread for each kind of visit, which visits again and again until the crowd goes home."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from random import Random
from types import TracebackType
from typing import Self

from tests.e2e.server import PATIENCE
from tests.soak.visitors import VISITS, Visit


class Crowd:
    """In its block clients come and go; at its end the first thing that went wrong is raised.

    visits: how many there have been of each kind, which is at least one. seed: what chance follows.
    """

    def __init__(self, address: str, kinds: Mapping[str, Visit] = VISITS, seed: int = 0) -> None:
        self.visits: Counter[str] = Counter()
        self._address = address
        self._kinds = kinds
        self._seed = seed
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(len(kinds), "visitor")
        self._visitors: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._visitors = [self._pool.submit(self._visit, name, visit) for name, visit in self._kinds.items()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        ended, others = wait(self._visitors, 2 * PATIENCE)
        self._pool.shutdown(wait=not others)
        assert not others, f"visits that do not end, beside these: {self.visits}"
        if kind is None:
            for visitor in ended:
                visitor.result()

    def stay(self, seconds: float) -> None:
        """Let them come for so long; less if something goes wrong."""
        self._over.wait(seconds)

    def _visit(self, name: str, visit: Visit) -> None:
        random = Random(f"{name} {self._seed}")  # noqa: S311  # chance, not secrets
        try:
            while True:
                visit(self._address, random)
                self.visits[name] += 1
                if self._over.is_set():
                    return
        finally:
            self._over.set()

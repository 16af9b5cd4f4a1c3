"""One thread for each instance: for what must run on a thread of its own, as on GPUs and in workers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from time import monotonic_ns

from naiad.core.instance import Instance
from naiad.core.version import Version
from naiad.core.waiter import LONGEST_WAIT, ConditionWaiter

log = logging.getLogger(__name__)


class DedicatedRunners:
    """One thread for each instance of the versions attached: for what must run on a thread of its own."""

    def __init__(self) -> None:
        self._groups: dict[Version, dict[Instance, _Dedicated]] = {}

    def attach(self, version: Version) -> None:
        before = self._groups.get(version, {})
        self._groups[version] = {i: before.get(i) or _Dedicated(version, i, self.list) for i in version.instances}
        for instance in before.keys() - self._groups[version].keys():
            before[instance].leave()

    def detach(self, version: Version) -> None:
        for runner in self._groups.pop(version).values():
            runner.stop()

    def list(self, version: Version) -> None:
        for runner in self._groups.get(version, {}).values():
            runner.kick()


class _Dedicated:
    def __init__(self, version: Version, instance: Instance, tell: Callable[[Version], None]) -> None:
        self._version = version
        self._tell = tell
        self._instance = instance
        self._waiter = ConditionWaiter()
        self._stopping = False
        self.kick = self._waiter.kick
        self._thread = Thread(target=self._work, name=f"naiad-runner-{instance.name}", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """End when its run has; nobody waits for that."""
        self._stopping = True
        self._waiter.kick()

    def stop(self) -> None:
        self.leave()
        self._thread.join()

    def _work(self) -> None:
        due_ns: int | None = None
        while not self._stopping:
            self._waiter.wait(None if due_ns is None else min(max(0, due_ns - monotonic_ns()) / 1e9, LONGEST_WAIT))
            due_ns = self._run_all()

    def _run_all(self) -> int | None:
        """Run until nothing is due for this instance; gives when to look again."""
        while True:
            taken = self._version.take(monotonic_ns(), self._instance)
            if taken.again or (taken.run is not None and taken.due_ns is not None):
                self._tell(self._version)
            if taken.run is None:
                return taken.due_ns
            try:
                self._version.execute(taken.run)
            except Exception:
                log.exception("a run of %d requests ended in an error of the server", len(taken.run.entries))

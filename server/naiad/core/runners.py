"""The threads that run the batches of CPU instances: one small elastic pool for all of them.

One thread leads: it waits for work (in the Waiter, which may drive a transport), and runs every
due batch that is short itself, without a hand-off. Before a run that is not known to be short it hands the
lead to a follower. The rules that keep this sound:

- The lead is a lock, `_lead`; whoever holds it leads in the *epoch* in which it was acquired. Giving the lead
  away ends the epoch, so that of two parties who try (the leader before a long run, the watchdog because it
  is stuck) exactly one succeeds.
- The last free thread never takes a run that is known to be long: such a version waits in `_long` until a
  thread comes back from one. Asking whether somebody is free, queueing there and becoming free all happen under
  `_guard`. A run without history it takes itself; should that be long, the watchdog saves the lead.
- A version that is listed stands in `_ready`, `_long` or a leader's hand until it is taken. `Version.take`
  clears the mark under the version's lock, so a request that comes after it lists the version anew.
"""

from __future__ import annotations

import heapq
import logging
import os
from _thread import allocate_lock
from collections import deque
from itertools import count
from threading import Thread, current_thread, get_ident
from time import monotonic_ns
from typing import Protocol

from naiad.core.instance import Instance
from naiad.core.strategy import Run
from naiad.core.timer import Timer
from naiad.core.version import Next, Version
from naiad.core.waiter import LONGEST_WAIT, Waiter

SHORT_NS = 200_000
"""A run up to this long is run by the leader itself: handing over costs more than it saves."""
SLICE_NS = 1_000_000
"""How long a leader runs short batches before it looks at the wire again."""
STUCK_NS = 10_000_000
"""How long a leader may be in one run before the lead is taken from it."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """What runners see of a Version."""

    average_ns: float | None

    def take(self, now_ns: int, instance: Instance | None = None) -> Next: ...

    def execute(self, run: Run) -> bool: ...


class RunnerPool:
    """Runs the batches of all versions whose instances need no thread of their own.

    most: the most threads that run at the same time; one more leads. Grows on demand.
    """

    def __init__(self, waiter: Waiter, timer: Timer, most: int | None = None) -> None:
        self._waiter = waiter
        self._timer = timer
        self._most = most or max(4, 2 * (os.cpu_count() or 1))
        self._instances: dict[Version, int] = {}
        self._all_instances = 0
        self._guard = allocate_lock()
        self._lead = allocate_lock()
        self._epoch = 0
        self._leader = 0
        self._idle = 0
        self._threads: set[Thread] = set()
        self._ready: deque[Source] = deque()
        self._long: deque[Source] = deque()
        self._delayed: list[tuple[int, int, Source]] = []
        self._due: dict[Source, int] = {}
        self._serial = count()
        self._names = count()
        self._inline_since = 0
        self._watched = False
        self._stopping = False

    def start(self) -> None:
        with self._guard:
            self._spawn()

    def stop(self) -> None:
        """End all threads once nothing is ready. What waits for its delay, or for a thread, is not run."""
        self._stopping = True
        self._waiter.kick()
        while True:
            with self._guard:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()

    def attach(self, version: Version) -> None:
        with self._guard:
            self._all_instances += len(version.instances) - self._instances.get(version, 0)
            self._instances[version] = len(version.instances)

    def detach(self, version: Version) -> None:
        with self._guard:
            self._all_instances -= self._instances.pop(version)

    def list(self, version: Source) -> None:
        """Have `version` looked at. Any thread, never blocks."""
        self._ready.append(version)
        if get_ident() != self._leader:
            self._waiter.kick()

    @property
    def threads(self) -> int:
        return len(self._threads)

    def _limit(self) -> int:
        """How many threads there may be: one leads, the others run. The watchdog may add to them for a while."""
        return min(self._most, max(self._all_instances, 1)) + 1

    # A thread's life.

    def _spawn(self) -> None:
        """Start a thread, which is idle until it leads; the guard is held. RuntimeError: there can be no more."""
        thread = Thread(target=self._work, name=f"naiad-runner-{next(self._names)}", daemon=True)
        thread.start()
        self._threads.add(thread)
        self._idle += 1

    def _has_follower(self, limit: int) -> bool:
        """Whether a thread is free to lead, one started for it if there are fewer than `limit`; the guard is held."""
        if not self._idle and len(self._threads) < limit:
            try:
                self._spawn()
            except RuntimeError:
                log.exception("no further runner could be started beside %d", len(self._threads))
        return self._idle > 0

    def _work(self) -> None:
        while True:
            self._lead.acquire()
            with self._guard:
                self._idle -= 1
                epoch = self._epoch
                self._leader = get_ident()
            if self._stopping:
                break
            while not self._lead_until_lost(epoch):
                pass
            if not self._follow():
                return
        with self._guard:
            self._threads.discard(current_thread())
        self._lead.release()

    def _follow(self) -> bool:
        """Run what waits for a thread that may take long runs; then this thread is free to lead, or too many."""
        while True:
            with self._guard:
                if not self._long or self._stopping:
                    if len(self._threads) > self._limit() and self._idle:
                        self._threads.discard(current_thread())
                        return False
                    self._idle += 1
                    return True
                source = self._long.popleft()
            try:
                self._run_long(source)
            except Exception:
                log.exception("a runner failed")

    def _run_long(self, source: Source) -> None:
        """Take and run until nothing is due, letting others that wait for a thread go first."""
        while True:
            taken = source.take(monotonic_ns())
            self._schedule(source, taken)
            if taken.run is None or not self._execute(source, taken.run) or self._stopping:
                return
            with self._guard:
                if self._long:
                    self._long.append(source)
                    source = self._long.popleft()

    # Leading.

    def _lead_until_lost(self, epoch: int) -> bool:
        """Lead until the lead is somebody else's; False when an error of the server came in between."""
        try:
            look_ns = 0
            while self._epoch == epoch:
                look_ns = self._turn(epoch, look_ns)
        except Exception:
            log.exception("a runner failed")
            return False
        return True

    def _turn(self, epoch: int, look_ns: int) -> int:
        """One step of a leader: wait, or run one batch. Gives when to look at the wire again."""
        now_ns = monotonic_ns()
        self._move_due(now_ns)
        if not self._ready:
            if self._stopping:
                with self._guard:
                    self._pass_on()
                return look_ns
            self._waiter.wait(self._until_due(now_ns))
            return monotonic_ns() + SLICE_NS
        if now_ns > look_ns:
            self._waiter.wait(0)
            now_ns = monotonic_ns()
            look_ns = now_ns + SLICE_NS
        source = self._ready.popleft()
        average_ns = source.average_ns
        if average_ns is not None and average_ns <= SHORT_NS:
            self._run_short(source, now_ns, epoch)
        elif self._hand_over():
            self._run_long(source)
        elif average_ns is None:
            self._run_short(source, now_ns, epoch)
        else:
            self._let_wait(source)
        return look_ns

    def _run_short(self, source: Source, now_ns: int, epoch: int) -> None:
        taken = source.take(now_ns)
        self._schedule(source, taken)
        if taken.run is None:
            return
        self._inline_since = now_ns
        if not self._watched:
            self._watch()
        again = self._execute(source, taken.run)
        with self._guard:
            if self._epoch == epoch:
                self._inline_since = 0
        if again:
            self.list(source)

    def _execute(self, source: Source, run: Run) -> bool:
        try:
            return source.execute(run)
        except Exception:
            log.exception("a run of %d requests ended in an error of the server", len(run.entries))
            return True

    def _schedule(self, source: Source, taken: Next) -> None:
        if taken.again:
            self.list(source)
        elif taken.due_ns is not None:
            with self._guard:
                planned = self._due.get(source)
                if planned is not None and planned <= taken.due_ns:
                    return
                self._due[source] = taken.due_ns
                heapq.heappush(self._delayed, (taken.due_ns, next(self._serial), source))
            if get_ident() != self._leader:
                self._waiter.kick()

    def _move_due(self, now_ns: int) -> None:
        """List the versions whose time has come."""
        if self._delayed and self._delayed[0][0] <= now_ns:
            with self._guard:
                while self._delayed and self._delayed[0][0] <= now_ns:
                    due_ns, _, source = heapq.heappop(self._delayed)
                    if self._due.get(source) == due_ns:
                        del self._due[source]
                        self._ready.append(source)

    def _until_due(self, now_ns: int) -> float | None:
        with self._guard:
            return min((self._delayed[0][0] - now_ns) / 1e9, LONGEST_WAIT) if self._delayed else None

    # The lead changes hands.

    def _hand_over(self) -> bool:
        """Give the lead to another thread, so that this one may take a long run; False if none is free.

        Called by the leader, who cannot have lost the lead: the watchdog takes it only from within a run.
        """
        with self._guard:
            if not self._has_follower(self._limit()):
                return False
            self._pass_on()
        return True

    def _let_wait(self, source: Source) -> None:
        """Keep a version whose runs are long until a thread comes back from such a run."""
        with self._guard:
            alone = len(self._threads) == 1
            if not alone:
                self._long.append(source)
        if alone:
            self._run_long(source)

    def _pass_on(self) -> None:
        """End the epoch; the guard is held."""
        self._epoch += 1
        self._leader = 0
        self._inline_since = 0
        self._lead.release()

    # The watchdog: an Expiring of the timer, armed while there is work.

    def _watch(self) -> None:
        with self._guard:
            if not self._watched:
                self._watched = True
                self._timer.add(_Look(self, monotonic_ns() + STUCK_NS))

    def look(self) -> None:
        """Take the lead from a thread that is stuck in one run; look again later if one is under way."""
        with self._guard:
            self._watched = False
            since = self._inline_since
            if since and monotonic_ns() - since >= STUCK_NS and self._has_follower(len(self._threads) + 1):
                self._pass_on()
        if self._inline_since:
            self._watch()


class _Look:
    """One planned look of the watchdog."""

    def __init__(self, pool: RunnerPool, expires_ns: int) -> None:
        self._pool = pool
        self.expires_ns: int | None = expires_ns

    def expire(self) -> None:
        self._pool.look()

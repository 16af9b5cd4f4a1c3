"""One loaded version of a model: it validates, queues, leases, counts, and runs what its strategy gives out.

One lock guards the state of all its requests. It is never held while anything runs, answers or waits. Whoever
moves a request to DONE answers it, so each is answered exactly once. Leases count the requests that still use
the version: one ends with the request's last reply or with the end of its run, whichever is later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from threading import Lock
from typing import NamedTuple, Protocol

from naiad.core.accounts import Accounts
from naiad.core.batch import Shaper
from naiad.core.budget import Budget
from naiad.core.config import Kind, ModelConfig
from naiad.core.errors import Draining, NaiadError, Rejected, Unavailable
from naiad.core.execution import compute
from naiad.core.instance import Instance
from naiad.core.observer import Observer
from naiad.core.pending import DONE, QUEUED, RUNNING, Pending, Responder, Sink
from naiad.core.statistics import BatchTimes, VersionStatistics
from naiad.core.strategy import Outcome, Run, Strategy
from naiad.core.timer import Timer
from naiad.core.types import InferRequest, Signature
from naiad.core.validation import Keys, Plan, check_data, make_plan, prefix

PLANS_REMEMBERED = 1024
"""Of the signatures that a codec hands out again; those are small, others would keep what clients send for ever."""


class Runners(Protocol):
    """The threads that run a version's batches."""

    def list(self, version: Version) -> None:
        """There may be something to take. Any thread, never blocks."""

    def attach(self, version: Version) -> None:
        """The version has other instances than before, or any at all. Not from a runner's thread."""

    def detach(self, version: Version) -> None:
        """The version has nothing left to run."""


class Shared(NamedTuple):
    """What a version has in common with others: who runs it, what times and bounds its requests, who hears of them."""

    runners: Runners
    timer: Timer
    budget: Budget
    observer: Observer | None = None


class Next(NamedTuple):
    """What a runner learns from `Version.take`.

    again: another batch is due and an instance is free; the version counts as listed. due_ns: else when to look
    again, None for no need to.
    """

    run: Run | None
    again: bool = False
    due_ns: int | None = None


class Parting(NamedTuple):
    """Requests that ended early: with which error, which of them left the queue, whose replies waited for them.

    idle: the callback of `drain`, when these held the last leases. listed: what they leave behind is due, and runners
    must be told.
    """

    ended: Sequence[tuple[Pending, NaiadError]]
    unqueued: Sequence[Pending]
    released: Sequence[tuple[Pending, Outcome]]
    idle: Callable[[], None] | None
    listed: bool = False


class Version:
    def __init__(
        self,
        config: ModelConfig,
        number: int,
        instances: Sequence[Instance],
        strategy: Strategy,
        shared: Shared,
    ) -> None:
        self.config = config
        self.number = number
        self.instances = tuple(instances)
        self.average_ns: float | None = None
        """How long runs take, of late; the first one is slower than the others and does not count."""
        self._gpus = _gpus(self.instances)
        self._strategy = strategy
        self._runners, self._timer, self._budget, observer = shared
        self._shaper = Shaper(config)
        self._accounts = Accounts(config.name, number, observer)
        self._lock = Lock()
        self._plans: dict[Signature, Plan] = {}
        self._keys = Keys()
        self._open = True
        self._lost: set[Instance] = set()
        self._retiring: dict[Instance, Callable[[], None]] = {}
        self._warm = False
        self._leases = 0
        self._listed = False
        self._due_ns: int | None = None
        self._outbox: deque[tuple[Pending, Outcome]] = deque()
        self._sending = Lock()
        self._on_idle: Callable[[], None] | None = None
        self._runners.attach(self)

    # Requests come in.

    def submit(self, request: InferRequest, responder: Responder) -> Pending:
        """Check a request and queue it. Raises what is wrong with it, Rejected when full, Draining when closing."""
        plan = self._plans.get(request.signature) or self._learn(request)
        unchecked = check_data(plan, self.config.name, request)
        now_ns = time.monotonic_ns()
        pending = Pending(request, responder, self, plan, now_ns)
        pending.unchecked = unchecked
        if pending.expires_ns is not None and pending.expires_ns <= now_ns:
            raise pending.expiry_error()
        if not request.reserved:
            self._budget.reserve(request.nbytes)
        try:
            listed = self._enqueue(pending)
        except NaiadError:
            if not request.reserved:
                self._budget.release(request.nbytes)
            raise
        if pending.expires_ns is not None:
            self._watch(pending)
        if listed:
            self._runners.list(self)
        return pending

    def _enqueue(self, pending: Pending) -> bool:
        """Queue a request; gives whether runners must be told."""
        with self._lock:
            if not self._open:
                raise Draining(
                    f"Request for unknown model: '{self.config.name}' version {self.number} is not at ready state"
                )
            try:
                self._strategy.submit(pending)
            except Rejected as error:
                raise Rejected(f"{prefix(pending.request.id)}{error}") from None
            self._leases += 1
            return self._list(pending.queued_ns)

    def refused(self, error: NaiadError, request: InferRequest) -> None:
        """Count a request that `submit` did not take."""
        with self._lock:
            self._accounts.count_refused(error, request.received_ns)
        self._accounts.tell_refused(error, request)

    def _learn(self, request: InferRequest) -> Plan:
        with self._lock:
            plan = make_plan(self.config, self.number, request.signature, request.id, self._keys)
            if request.signature.interned:
                if len(self._plans) >= PLANS_REMEMBERED:
                    del self._plans[next(iter(self._plans))]
                self._plans[request.signature] = plan
            return plan

    def _list(self, now_ns: int) -> bool:
        """Whether runners must be told; the lock is held."""
        if self._listed:
            return False
        due_ns = self._strategy.ready_ns()
        if due_ns is None or (self._due_ns is not None and now_ns < self._due_ns <= due_ns):
            return False
        self._listed = True
        return True

    def _watch(self, pending: Pending) -> None:
        """Have the timer expire a request, unless it ended meanwhile."""
        self._timer.add(pending)
        if pending.state is DONE and pending.expires_ns is not None:
            self._timer.discard([pending])

    # Runners take and run.

    def take(self, now_ns: int, instance: Instance | None = None) -> Next:
        """Take the batch that is due, on `instance` or on any free one. The caller must `execute` it.

        What was queued while the caller waited for the lock is taken too, and did not wait less than no time.
        """
        with self._lock:
            now_ns = max(now_ns, time.monotonic_ns())
            self._listed = False
            run, expired = self._strategy.take(now_ns, instance)
            due_ns = self._strategy.ready_ns()
            again = self._listed = due_ns is not None and due_ns <= now_ns
            due_ns = self._due_ns = None if again else due_ns
            parting = self._part([(p, p.expiry_error()) for p in expired], expired) if expired else None
        if parting is not None:
            self._tell(parting)
        return Next(run, again, due_ns)

    def execute(self, run: Run) -> bool:
        """Run a batch and answer it; True when another one is due, which the caller then takes or lists."""
        computed = compute(self._shaper, run)
        times = BatchTimes(run.taken_ns, computed.gathered_ns, computed.computed_ns, time.monotonic_ns())
        with self._lock:
            claimed = _claim(run.entries, computed.outcomes)
            self._accounts.count_run(computed, claimed, times)
            released = self._release(self._strategy.answered(claimed))
        sinks = self._send(released)
        again, idle = self._leave(run, computed.lost)
        for sink in sinks:
            sink.flush()
        self._accounts.tell_run(claimed, times)
        if idle is not None:
            idle()
        return again

    def _leave(self, run: Run, lost: bool) -> tuple[bool, Callable[[], None] | None]:
        """Give back what a run held: instance, leases, bytes. Whether another is due, and the callback of `drain`."""
        now_ns = time.monotonic_ns()
        if self._warm:
            self.average_ns = _moved(self.average_ns, now_ns - run.taken_ns)
        self._warm = True
        with self._lock:
            if lost:
                self._lost.add(run.instance)
                self._open = self._open and self._alive
            else:
                self._strategy.release(run.instance)
            retired = self._retiring.pop(run.instance, None)
            self._leases -= len(run.entries)
            again = self._list(now_ns)
            idle = self._idle()
        self._let_go(run.entries)
        if retired is not None:
            retired()
        if lost and not self._alive:
            self.abort(Unavailable(f"model '{self.config.name}' version {self.number} has lost every instance"))
        return again, idle

    @property
    def _alive(self) -> bool:
        return not self._lost.issuperset(self.instances)

    def resize(
        self, config: ModelConfig, instances: Sequence[Instance], limit: int, retired: Callable[[], None]
    ) -> None:
        """Serve with other instances from now on, and with the config that says so; limit: of the queue.

        `retired` is called once, from any thread, when no instance that is none any more runs. One thread at a time
        calls this, not a runner's.
        """
        with self._lock:
            self.config, self.instances = config, tuple(instances)
            self._gpus = _gpus(self.instances)
            busy = self._strategy.resize(self.instances, limit)
            gone = _after(len(busy), retired)
            self._retiring.update(dict.fromkeys(busy, gone))
        self._runners.attach(self)
        self._runners.list(self)
        if not busy:
            retired()

    # Requests end early.

    def end(self, pending: Pending, error: NaiadError) -> None:
        """End a request that is not DONE yet with `error`; its place in the queue is free at once. Any thread."""
        with self._lock:
            if pending.state is DONE:
                return
            parting = self._withdraw(pending, error)
        self._tell(parting)

    def expire(self, pending: Pending) -> None:
        """End a request whose time is over. A queue's timeout does not count once it runs, a client's deadline does."""
        with self._lock:
            if pending.state is DONE:
                return
            parting = None
            if pending.queue_timeout and pending.state is RUNNING:
                pending.await_deadline()
            else:
                parting = self._withdraw(pending, pending.expiry_error())
        if parting is not None:
            self._tell(parting)
        elif pending.expires_ns is not None:
            self._watch(pending)

    def _withdraw(self, pending: Pending, error: NaiadError) -> Parting:
        """Make a request that is QUEUED or RUNNING DONE. The lock is held."""
        queued = [pending] if pending.state is QUEUED else []
        if queued:
            self._strategy.withdraw(pending)
        pending.state = DONE
        return self._part([(pending, error)], queued)._replace(listed=self._list(time.monotonic_ns()))

    def _part(self, ended: Sequence[tuple[Pending, NaiadError]], unqueued: Sequence[Pending]) -> Parting:
        """Count requests that ended early, which are DONE. The lock is held."""
        self._accounts.count_ended(ended, time.monotonic_ns())
        self._leases -= len(unqueued)
        released = self._release(self._strategy.abandoned([pending for pending, _ in ended]))
        return Parting(ended, unqueued, released, self._idle())

    def _tell(self, parting: Parting) -> None:
        """Answer requests that ended early, and what they held back; tell runners what they leave behind."""
        for pending, error in parting.ended:
            pending.responder.send(error, True)
        sinks = self._send(parting.released).union(pending.responder.sink for pending, _ in parting.ended)
        self._let_go(parting.unqueued)
        for pending in parting.unqueued:
            pending.drop_data()
        for sink in sinks:
            sink.flush()
        self._accounts.tell_ended(parting.ended)
        if parting.listed:
            self._runners.list(self)
        if parting.idle is not None:
            parting.idle()

    # Replies go out.

    def _release(self, released: Sequence[tuple[Pending, Outcome]]) -> Sequence[tuple[Pending, Outcome]]:
        """What a strategy released; where replies are ordered they go through the outbox instead. The lock is held."""
        if not self._strategy.ordered:
            return released
        self._outbox.extend(released)
        return ()

    def _send(self, released: Iterable[tuple[Pending, Outcome]]) -> set[Sink]:
        """Hand replies to their responders; gives the sinks to flush.

        Ordered ones go out at once, by one thread at a time: flushed by several they could overtake each other.
        """
        sinks: set[Sink] = set()
        last = None
        for pending, outcome in released:
            responder = pending.responder
            responder.send(outcome, True)
            sink = responder.sink
            if sink is not last:
                sinks.add(sink)
                last = sink
        while self._outbox and self._sending.acquire(blocking=False):
            try:
                while self._outbox:
                    pending, outcome = self._outbox.popleft()
                    pending.responder.send(outcome, True)
                    pending.responder.sink.flush()
            finally:
                self._sending.release()
        return sinks

    def _let_go(self, pendings: Sequence[Pending]) -> None:
        """Give back what requests held, now that neither queue nor instance has them."""
        self._budget.release(sum([pending.request.nbytes for pending in pendings]))
        timed = [pending for pending in pendings if pending.expires_ns is not None]
        if timed:
            self._timer.discard(timed)

    # The version ends.

    def drain(self, on_idle: Callable[[], None]) -> None:
        """Refuse new requests; `on_idle` is called once, from any thread, when the last lease is given back."""
        with self._lock:
            self._open = False
            self._on_idle = on_idle
            idle = self._idle()
        if idle is not None:
            idle()

    def abort(self, error: NaiadError) -> None:
        """End everything that still waits in the queue with `error`."""
        with self._lock:
            waiting = self._strategy.drain()
            parting = self._part([(pending, error) for pending in waiting], waiting)
        self._tell(parting)

    def close(self) -> None:
        """Give back executables and runners. No lease may be left; the manager alone calls this."""
        with ExitStack() as stack:
            for executable in {id(i.executable): i.executable for i in self.instances}.values():
                stack.callback(executable.close)
            stack.callback(self._runners.detach, self)

    def _idle(self) -> Callable[[], None] | None:
        """The callback of `drain`, once, when it is due. The lock is held."""
        if self._leases or self._on_idle is None:
            return None
        idle, self._on_idle = self._on_idle, None
        return idle

    # What it is doing.

    @property
    def leases(self) -> int:
        """Requests that use the version."""
        return self._leases

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._strategy)

    @property
    def queue_limit(self) -> int:
        """The most requests that may wait."""
        return self._strategy.limit

    def statistics(self) -> VersionStatistics:
        with self._lock:
            snapshot = self._accounts.read(len(self._strategy), self._strategy.limit)
        return snapshot._replace(gpus=self._gpus)


def _claim(entries: Sequence[Pending], outcomes: Sequence[Outcome]) -> list[tuple[Pending, Outcome]]:
    """Make those DONE that nobody ended during their run. The lock is held."""
    claimed = []
    for pending, outcome in zip(entries, outcomes, strict=True):
        if pending.state is RUNNING:
            pending.state = DONE
            claimed.append((pending, outcome))
    return claimed


def _gpus(instances: Sequence[Instance]) -> tuple[int, ...]:
    return tuple(sorted({i.device.id for i in instances if i.device.kind is Kind.GPU}))


def _after(times: int, then: Callable[[], None]) -> Callable[[], None]:
    """What calls `then` at the last of so many calls."""
    left = iter(range(times - 1, -1, -1))
    return lambda: None if next(left) else then()


def _moved(average_ns: float | None, took_ns: int) -> float:
    """The moving average after one more run; a single stall of the machine does not make a short model long."""
    if average_ns is None:
        return took_ns
    return average_ns + 0.2 * (min(took_ns, 4 * average_ns) - average_ns)

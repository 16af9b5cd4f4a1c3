"""Fakes that a test drives by hand: an executable that holds and fails runs, and a caller that collects replies.

A wait is bounded by PATIENCE, which only tells a hang from a slow machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Condition, Event, Lock

import numpy as np

from naiad.core.backend import Batch, Result
from naiad.core.config import DynamicBatching, ModelConfig, QueuePolicy, TensorConfig
from naiad.core.errors import NaiadError
from naiad.core.pending import Pending
from naiad.core.types import Array, DataType, InferRequest, InferResponse, Parameter, Signature, TensorSpec

PATIENCE = float(os.environ.get("NAIAD_TEST_PATIENCE", "20"))
"""Seconds after which a wait for something that must happen counts as a hang."""
HOUR = 3600.0
"""Seconds that no test takes."""


class Scripted:
    """An executable that doubles its input, records what it ran, and can be held, told to fail or to raise.

    A request is known by the first number of its tensor. `fails` says which requests fail alone, `raises` makes
    whole runs fail.
    """

    def __init__(self, shared: bool = True, own_threads: bool = False) -> None:
        self.shared = shared
        self.own_threads = own_threads
        self.ran: list[list[float]] = []
        self.fails: dict[float, NaiadError] = {}
        self.raises: Exception | None = None
        self.work: Callable[[], None] | None = None
        self.closed = 0
        self._entered: SimpleQueue[list[float]] = SimpleQueue()
        self._gate = Condition()
        self._held = False
        self._permits = 0

    def hold(self) -> None:
        """Let runs enter but not return until they are let go."""
        self._held = True

    def let_one_go(self) -> None:
        """Let one run return, the next one if none is held now."""
        with self._gate:
            self._permits += 1
            self._gate.notify_all()

    def let_go(self) -> None:
        """Let all runs return, now and from now on."""
        with self._gate:
            self._held = False
            self._gate.notify_all()

    @property
    def executed(self) -> list[float]:
        """All requests that ran, in order."""
        return [value for batch in self.ran for value in batch]

    def run(self, batch: Batch) -> Result:
        array = batch.inputs["x"].array
        firsts = [float(array[start, 0]) for start in batch.starts[:-1]]
        self.ran.append(firsts)
        self._entered.put(firsts)
        self._pass()
        if self.work is not None:
            self.work()
        if self.raises is not None:
            raise self.raises
        failures = {i: self.fails[first] for i, first in enumerate(firsts) if first in self.fails}
        return Result([array * 2], failures)

    def _pass(self) -> None:
        with self._gate:
            assert self._gate.wait_for(lambda: not self._held or self._permits, PATIENCE), "a run was never let go"
            if self._held:
                self._permits -= 1

    def close(self) -> None:
        self.closed += 1

    def await_run(self) -> list[float]:
        """The first values of the requests of the next run that enters."""
        return self._entered.get(timeout=PATIENCE)


class Caller:
    """A Responder and its Sink in one: a reply is visible after the flush only.

    on_flush is called by each flush before the replies become visible, on the thread that flushes.
    """

    pending: Pending

    def __init__(self, on_flush: Callable[[], None] | None = None) -> None:
        self.sink = self
        self.replies: list[InferResponse | NaiadError] = []
        self._held: list[InferResponse | NaiadError] = []
        self._lock = Lock()
        self._on_flush = on_flush
        self._flushed = Event()

    def send(self, outcome: InferResponse | NaiadError, final: bool) -> None:
        assert final
        with self._lock:
            self._held.append(outcome)

    def flush(self) -> None:
        if self._on_flush is not None:
            self._on_flush()
        with self._lock:
            self.replies += self._held
            self._held.clear()
            if self.replies:
                self._flushed.set()

    def cancel(self) -> None:
        self.pending.cancel()

    @property
    def answered(self) -> bool:
        return self._flushed.is_set()

    def outcome(self) -> InferResponse | NaiadError:
        """Wait for the reply; there is exactly one."""
        assert self._flushed.wait(PATIENCE), "no reply"
        assert len(self.replies) == 1, self.replies
        return self.replies[0]

    def value(self) -> float:
        """The first number of a successful reply."""
        outcome = self.outcome()
        if isinstance(outcome, NaiadError):
            raise outcome
        return float(outcome.arrays[0].flat[0])

    def error(self) -> NaiadError:
        outcome = self.outcome()
        assert isinstance(outcome, NaiadError), outcome
        return outcome


def config(
    name: str = "m",
    max_batch_size: int = 8,
    dims: tuple[int, ...] = (-1,),
    *,
    preferred: tuple[int, ...] = (),
    delay_us: int = 0,
    ordered: bool = False,
    policy: QueuePolicy | None = None,
) -> ModelConfig:
    """One FP32 input `x` and one output `y`, batched dynamically."""
    return ModelConfig(
        name=name,
        backend="scripted",
        max_batch_size=max_batch_size,
        inputs=(TensorConfig("x", DataType.FP32, dims),),
        outputs=(TensorConfig("y", DataType.FP32, dims),),
        dynamic_batching=DynamicBatching(preferred, delay_us, ordered, policy or QueuePolicy()),
    )


def request(
    value: float,
    *,
    model: str = "m",
    version: int | None = None,
    rows: int = 1,
    width: int = 2,
    deadline: float | None = None,
    parameters: Mapping[str, Parameter] | None = None,
) -> InferRequest:
    """A request whose tensor is filled with `value`. `deadline` counts in seconds from now."""
    array: Array = np.full((rows, width), value, np.float32)
    signature = Signature(model, version, (TensorSpec("x", DataType.FP32, array.shape),), (), parameters or {})
    return InferRequest(
        signature,
        str(value),
        (array,),
        time.monotonic_ns(),
        array.nbytes,
        None if deadline is None else time.monotonic() + deadline,
    )


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread is about to do and that nothing announces."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.001)

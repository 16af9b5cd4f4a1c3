"""What the core costs per request: no transport, no codec, an identity model that only hands its input on.

A leading runner drives itself: its Waiter submits the next requests instead of waiting for a wire, as a transport's
`poll` does. Compared in the same run, interleaved, with a skeleton of the loop (deque, concatenate, slice, reply),
and for many models with one model under the same load. instructions.py counts the same loops' instructions: for that,
`python -m benchmarks.core NAME REQUESTS` runs one of them by itself.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Event
from typing import NamedTuple

import numpy as np

from benchmarks import report
from benchmarks.options import Options
from benchmarks.report import Section, Table, figure
from benchmarks.timing import Figure
from naiad.core import runners
from naiad.core.backend import Batch, Result
from naiad.core.budget import Budget
from naiad.core.config import Device, DynamicBatching, Kind, ModelConfig, TensorConfig
from naiad.core.engine import Engine, Served
from naiad.core.errors import NaiadError
from naiad.core.instance import Instance
from naiad.core.runners import RunnerPool
from naiad.core.strategy import Batcher
from naiad.core.timer import Timer
from naiad.core.types import Array, DataType, InferRequest, InferResponse, Signature, TensorSpec
from naiad.core.version import Shared, Version

WIDTH = 16
BURST = 32
MAX_BATCH = 64
MOST_OUTSTANDING = 256
REQUESTS = 32_000
SLOWER = 1000

SKELETON, BATCHED = "skeleton, batches of 32", "core, batches of 32"
SINGLE, MANY = "core, one model at batch 1", "core, 300 models, the same load spread"
NAMES = (SKELETON, BATCHED, SINGLE, MANY)

Loop = Callable[[int], None]


class Identity:
    shared = True
    own_threads = False

    def run(self, batch: Batch) -> Result:
        return Result([batch.inputs["x"].array])

    def close(self) -> None:
        pass


class Caller:
    """A responder that only counts; its sink is itself."""

    def __init__(self) -> None:
        self.sink = self
        self.replies = 0
        self.flushes = 0

    def send(self, outcome: InferResponse | NaiadError, final: bool) -> None:
        if isinstance(outcome, NaiadError):
            raise outcome
        self.replies += 1

    def flush(self) -> None:
        self.flushes += 1


class Feed:
    """A Waiter that submits `burst` requests whenever the leader would wait, until `total` are in."""

    def __init__(self, engine: Engine, burst: int) -> None:
        self._engine = engine
        self._burst = burst
        self._kicked = Event()
        self._requests: Sequence[InferRequest] = ()
        self._left = 0
        self._next = 0
        self._submitted = 0
        self.caller = Caller()
        self.done = Event()

    def start(self, requests: Sequence[InferRequest], total: int) -> None:
        self._requests = requests
        self.done.clear()
        self._left = total
        self.kick()

    def wait(self, timeout: float | None) -> None:
        if timeout == 0:
            return
        if not self._left:
            if self._submitted == self.caller.replies:
                self.done.set()
            self._kicked.wait(timeout if self._submitted == self.caller.replies else 0.001)
            self._kicked.clear()
            return
        if self._submitted - self.caller.replies >= MOST_OUTSTANDING:
            return
        for _ in range(min(self._burst, self._left)):
            self._engine.infer(self._requests[self._next], self.caller)
            self._next = (self._next + 1) % len(self._requests)
        self._submitted += min(self._burst, self._left)
        self._left -= min(self._burst, self._left)

    def kick(self) -> None:
        self._kicked.set()


class Core:
    """An engine with `models` identity models and one leader."""

    def __init__(self, models: int, burst: int, batching: DynamicBatching | None = None) -> None:
        budget = Budget(1 << 30)
        self._batching = batching
        self._timer = Timer()
        self._engine = Engine()
        self._feed = Feed(self._engine, burst)
        self._pool = RunnerPool(self._feed, self._timer)
        versions = [self._version(f"m{i}", budget) for i in range(models)]
        self._engine.publish({v.config.name: Served({1: v}, v) for v in versions}, ready=True)
        self._requests = [_request(v.config.name) for v in versions]
        self._timer.start()
        self._pool.start()

    def _version(self, name: str, budget: Budget) -> Version:
        config = ModelConfig(
            name=name,
            max_batch_size=MAX_BATCH,
            inputs=(TensorConfig("x", DataType.FP32, (WIDTH,)),),
            outputs=(TensorConfig("y", DataType.FP32, (WIDTH,)),),
            dynamic_batching=self._batching,
        )
        instances = [Instance(name, Device(Kind.CPU), Identity())]
        shared = Shared(self._pool, self._timer, budget)
        version = Version(config, 1, instances, Batcher(config, instances, 1024), shared)
        version.average_ns = 1.0
        return version

    def __call__(self, total: int) -> None:
        before = self._feed.caller.replies
        self._feed.start(self._requests, total)
        self._feed.done.wait()
        if self._feed.caller.replies - before != total:
            raise RuntimeError(f"{self._feed.caller.replies - before} of {total} requests were answered")

    def stop(self) -> None:
        self._pool.stop()
        self._timer.stop()


def _request(model: str) -> InferRequest:
    array: Array = np.ones((1, WIDTH), np.float32)
    signature = Signature(model, None, (TensorSpec("x", DataType.FP32, array.shape),), interned=True)
    return InferRequest(signature, "1", (array,), time.monotonic_ns(), 150)


class Entry(NamedTuple):
    """A request in the skeleton's queue."""

    id: str
    array: Array
    reply: Callable[[Reply], None]
    queued_ns: int


class Reply(NamedTuple):
    id: str
    array: Array


class Skeleton:
    """The least that a batching server does with a request: queue it with its time, join, slice, reply."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._replies = 0

    def _reply(self, response: Reply) -> None:
        self._replies += 1

    def __call__(self, total: int) -> None:
        queue: deque[Entry] = deque()
        array: Array = np.ones((1, WIDTH), np.float32)
        for _ in range(total // self._burst):
            for _ in range(self._burst):
                queue.append(Entry("1", array, self._reply, time.monotonic_ns()))
            batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
            joined = np.concatenate([entry.array for entry in batch])
            start = 0
            for entry in batch:
                stop = start + entry.array.shape[0]
                entry.reply(Reply(entry.id, joined[start:stop]))
                start = stop


@contextmanager
def core(models: int, batching: DynamicBatching | None = None) -> Iterator[Loop]:
    measured = Core(models, BURST, batching)
    try:
        yield measured
    finally:
        measured.stop()


def loop(name: str) -> AbstractContextManager[Loop]:
    """One of NAMES, which takes a number of requests, until the end of the block."""
    if name == SKELETON:
        return nullcontext(Skeleton(BURST))
    return core(300 if name == MANY else 1, None if name == SINGLE else DynamicBatching())


def measure(options: Options) -> Section:
    with ExitStack() as stack:
        loops = {name: stack.enter_context(loop(name)) for name in NAMES}
        figures = _interleaved(loops, REQUESTS, options.rounds)
    rows = [(name, figure(each.least), figure(each.median)) for name, each in figures.items()]
    batches = figures[BATCHED].least / figures[SKELETON].least
    models = figures[MANY].least / figures[SINGLE].least
    return Section(
        "The core alone",
        ("No transport and no codec; a model that returns its input, FP32 [1, 16], 32 requests at a time.",),
        [Table(("", "us/request least", "median"), rows)],
        [
            report.Budget("core / skeleton, batches of 32, by minimum", batches, 4),
            report.Budget("300 models / one model at batch 1, by minimum", models, 1.5),
        ],
    )


def _interleaved(loops: Mapping[str, Loop], total: int, rounds: int) -> dict[str, Figure]:
    """Run the loops in turn, `rounds` times and once before, `total` requests each."""
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds + 1):
        for name, run in loops.items():
            start = time.perf_counter()
            run(total)
            times[name].append((time.perf_counter() - start) / total * 1e6)
    return {name: Figure(name, min(values[1:]), statistics.median(values[1:])) for name, values in times.items()}


def main(arguments: Sequence[str]) -> None:
    """Run one loop so that its instructions can be counted.

    callgrind makes everything some fifty times slower: what runners take for short is scaled, so that they do what they
    do otherwise. The garbage collector is kept from looking at all that was imported, at moments of its own choice.
    """
    name, requests = arguments
    runners.SHORT_NS *= SLOWER
    runners.SLICE_NS *= SLOWER
    runners.STUCK_NS *= SLOWER
    with loop(name) as run:
        gc.collect()
        gc.freeze()
        run(int(requests))


if __name__ == "__main__":
    main(sys.argv[1:])

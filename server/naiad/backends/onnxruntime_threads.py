"""How many threads a CPU session of ONNX Runtime gets.

A session's pool helps a long run and costs a short one, and the pools of many models are many threads. So:

- What a config or a setting asks for is given (`intra_op_thread_count`, `inter_op_thread_count`).
- Otherwise a model that is not short gets the process's cores while the pools of all sessions together have at most
  POOL_THREADS_PER_CORE threads for each core, and what is left of that afterwards; a short one runs on the thread
  that calls it, without a pool.
- A model is not short when its files have LARGE bytes, or when a run of one row takes longer than SHORT_NS, which is
  tried where nothing else decides.
- Threads never spin while they wait, unless a config says so: a spinning one burns its core between two runs.

Measured on two cores with 1.32, a network of 1 GFLOP, rows a second on one thread, on two, and on two that spin: 223,
399 and 434 with one caller, 437, 414 and 361 with two.

ONNX Runtime's one pool for all sessions is not used: from Python its threads cannot be told not to spin (5 ms of a
core for each run of 12 us, at 200 runs a second), and no session may have its own number of threads beside it.
"""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import NamedTuple

import numpy as np

from naiad.backends.onnxruntime_graph import Graph, GraphTensor
from naiad.core.backend import Batch, Executable
from naiad.core.errors import NaiadError
from naiad.core.types import DataType, Shape, Tensor

POOL_THREADS_PER_CORE = 8
LARGE = 16 << 20
SHORT_NS = 200_000
SIZE = 64
MOST_ELEMENTS = 1 << 20
_TRIES = 4
_HOPELESS = 50
"""So many times SHORT_NS, and no further run will be short."""
_LENGTH_BYTES = 4
"""An empty string on the wire is the number 0."""


class Threads(NamedTuple):
    """The threads of one session, the caller's own among them; 1 needs no pool."""

    intra_op: int = 1
    inter_op: int = 1

    @property
    def pooled(self) -> int:
        """Those that the session's pools have."""
        return self.intra_op - 1 + self.inter_op - 1


class PoolThreads:
    """Counts the pools' threads of all sessions of the process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._used = 0

    @property
    def used(self) -> int:
        return self._used

    def take(self, asked: Threads) -> Threads:
        """Count threads that are given in any case."""
        with self._lock:
            self._used += asked.pooled
        return asked

    def share(self, cores: int) -> Threads:
        """Threads for a session with as many as there are `cores`, or what is left."""
        with self._lock:
            left = max(0, POOL_THREADS_PER_CORE * cores - self._used)
            threads = Threads(1 + min(cores - 1, left))
            self._used += threads.pooled
        return threads

    def give_back(self, threads: Threads) -> None:
        with self._lock:
            self._used -= threads.pooled


POOL_THREADS = PoolThreads()
"""A process has one ONNX Runtime."""


def is_short(executable: Executable, graph: Graph) -> bool:
    """Tell whether a run of one row of zeros (BYTES: empty), repeated a few times, is ever short.

    A dimension of any size counts SIZE, or 1 where the model refuses that or would get more than MOST_ELEMENTS. A
    model that refuses both is short.
    """
    for size in (SIZE, 1):
        shapes = {tensor.name: _one_row(tensor, size) for tensor in graph.inputs}
        if size != 1 and any(math.prod(shape) > MOST_ELEMENTS for shape in shapes.values()):
            continue
        inputs = {tensor.name: _zeros(tensor, shapes[tensor.name]) for tensor in graph.inputs}
        try:
            return _is_short(executable, Batch(inputs, (0, 1), ({},)))
        except NaiadError:
            continue
    return True


def _is_short(executable: Executable, batch: Batch) -> bool:
    for _ in range(_TRIES):
        start = time.monotonic_ns()
        executable.run(batch)
        took = time.monotonic_ns() - start
        if took <= SHORT_NS:
            return True
        if took > _HOPELESS * SHORT_NS:
            return False
    return False


def _one_row(tensor: GraphTensor, size: int) -> Shape:
    """A first dimension of any size is taken for the batch."""
    return tuple((size if axis else 1) if dim < 0 else dim for axis, dim in enumerate(tensor.shape))


def _zeros(tensor: GraphTensor, shape: Shape) -> Tensor:
    datatype = tensor.datatype or DataType.FP32
    if datatype is DataType.BYTES:
        return Tensor(datatype, shape, np.zeros(_LENGTH_BYTES * math.prod(shape), np.uint8))
    return Tensor(datatype, shape, np.zeros(shape, datatype.dtype))

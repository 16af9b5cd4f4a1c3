"""How many threads a CPU session of ONNX Runtime gets.

A session's pool helps a long run and costs a short one, and the pools of many models are many threads. So:

- What a config or a setting asks for is given (`intra_op_thread_count`, `inter_op_thread_count`).
- Otherwise a model that is not short gets the process's cores while the pools of all sessions together have at most
  POOL_THREADS_PER_CORE threads for each core, and what is left of that afterwards; a short one runs on the thread
  that calls it, without a pool.
- A model is not short when its files have LARGE bytes, or when a run of one row takes longer than SHORT_NS.
- Threads never spin while they wait: a spinning one burns its core between two runs.

ONNX Runtime's one pool for all sessions is not used: from Python its threads cannot be told not to spin (measured
with 1.32 on two cores: 5 ms of a core for each run of 12 us, at 200 runs a second), and no session may have its own
number of threads beside it.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple

import numpy as np

from naiad.backends.onnxruntime_graph import Graph, GraphTensor
from naiad.core.backend import Batch, Executable
from naiad.core.errors import NaiadError
from naiad.core.types import DataType, Tensor

POOL_THREADS_PER_CORE = 8
LARGE = 16 << 20
SHORT_NS = 200_000
_TRIES = 4
_HOPELESS = 50
"""So many times SHORT_NS, and no further run will be short."""


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
    """Run one row of zeros (BYTES: empty) a few times: is one of the runs short? A model that refuses zeros is."""
    inputs = {tensor.name: _zeros(tensor) for tensor in graph.inputs}
    batch = Batch(inputs, (0, 1), ({},))
    try:
        for _ in range(_TRIES):
            took = _timed(executable, batch)
            if took <= SHORT_NS:
                return True
            if took > _HOPELESS * SHORT_NS:
                return False
    except NaiadError:
        return True
    return False


def _timed(executable: Executable, batch: Batch) -> int:
    start = time.monotonic_ns()
    executable.run(batch)
    return time.monotonic_ns() - start


def _zeros(tensor: GraphTensor) -> Tensor:
    shape = tuple(max(1, dim) if dim else 0 for dim in tensor.shape)
    datatype = tensor.datatype or DataType.FP32
    if datatype is DataType.BYTES:
        return Tensor(datatype, shape, np.zeros(4 * int(np.prod(shape)), np.uint8))
    return Tensor(datatype, shape, np.zeros(shape, datatype.dtype))

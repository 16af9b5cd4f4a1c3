"""How many threads sessions get, on real sessions and by counting the threads of the process."""

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from naiad import backends
from naiad.backends import BackendOptions, onnxruntime_threads
from naiad.backends.onnxruntime_graph import Graph, GraphTensor
from naiad.backends.onnxruntime_threads import POOL_THREADS, POOL_THREADS_PER_CORE, PoolThreads, Threads, is_short
from naiad.core.backend import Batch, Result
from naiad.core.config import ModelConfig
from naiad.core.errors import BackendError
from tests.backends.models import OPTIONS, files, loaded
from tests.models import build

TENSORS = (GraphTensor("x", "tensor(float)", (-1, -1)), GraphTensor("s", "tensor(string)", (-1, 2, -1)))
GRAPH = Graph(TENSORS, (), ())


def process_threads() -> frozenset[str]:
    """Every thread of the process, whoever made it."""
    gc.collect()
    return frozenset(entry.name for entry in Path("/proc/self/task").iterdir())


def more_than(before: frozenset[str]) -> int:
    """How many threads there are that were not there before; others may have ended."""
    return len(process_threads() - before)


@pytest.fixture(autouse=True)
def _every_thread_is_given_back() -> Iterator[None]:
    before = POOL_THREADS.used
    yield
    assert POOL_THREADS.used == before


class Clocked:
    """An executable whose runs take the times that a test says; it refuses sizes that are not in `accepts`."""

    shared, own_threads = True, False

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *milliseconds: float, accepts: tuple[int, ...] = (1, 64)
    ) -> None:
        self.batches: list[Batch] = []
        self._durations = [round(ms * 1e6) for ms in milliseconds]
        self._accepts = accepts
        self._now = 0
        monkeypatch.setattr(time, "monotonic_ns", lambda: self._now)

    def run(self, batch: Batch) -> Result:
        self.batches.append(batch)
        if batch.inputs["x"].shape[1] not in self._accepts:
            raise BackendError("no")
        self._now += self._durations[min(len(self.batches), len(self._durations)) - 1]
        return Result([])

    def close(self) -> None:
        raise NotImplementedError


def test_a_model_is_short_if_one_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_short(Clocked(monkeypatch, 5, 0.3, 0.2), GRAPH)
    assert not is_short(Clocked(monkeypatch, 5, 0.3, 0.3), GRAPH)


def test_a_model_that_takes_very_long_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    executable = Clocked(monkeypatch, 11)
    assert not is_short(executable, GRAPH)
    assert len(executable.batches) == 1


def test_a_trial_is_one_row_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    executable = Clocked(monkeypatch, 0)
    assert is_short(executable, GRAPH)
    [batch] = executable.batches
    assert (batch.rows, len(batch.parameters)) == (1, 1)
    assert batch.inputs["x"].array.shape == (1, 64)
    assert batch.inputs["s"].shape == (1, 2, 64)
    assert batch.inputs["s"].array.tolist() == [0] * 4 * 128


def test_a_model_that_refuses_the_size_is_tried_with_one_and_else_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    only_one = Clocked(monkeypatch, 11, accepts=(1,))
    assert not is_short(only_one, GRAPH)
    assert [batch.inputs["x"].shape for batch in only_one.batches] == [(1, 64), (1, 1)]
    assert is_short(Clocked(monkeypatch, 11, accepts=()), GRAPH)


def test_a_trial_takes_no_tensor_that_would_be_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    executable = Clocked(monkeypatch, 0)
    assert is_short(executable, Graph((GraphTensor("x", "tensor(float)", (-1, -1, -1, -1, -1)),), (), ()))
    assert [batch.inputs["x"].shape for batch in executable.batches] == [(1, 1, 1, 1, 1)]


def test_pools_share_a_number_of_threads_and_what_is_left_of_it() -> None:
    pools = PoolThreads()
    given = [pools.share(cores=4) for _ in range(12)]
    assert [threads.intra_op for threads in given] == [4] * 10 + [3, 1]
    assert pools.used == 4 * POOL_THREADS_PER_CORE
    pools.give_back(given[0])
    assert pools.share(cores=4) == Threads(4)


def test_what_is_asked_for_is_given_whatever_is_left() -> None:
    pools = PoolThreads()
    assert pools.take(Threads(100, 3)) == Threads(100, 3)
    assert pools.used == 101
    assert pools.share(cores=4) == Threads(1)


def test_a_short_model_runs_on_the_thread_that_calls_it(file: Path) -> None:
    before = process_threads()
    with loaded(build.linear(file), options=BackendOptions(cpu_count=4)):
        assert more_than(before) == 0


def test_a_model_that_takes_long_gets_the_cores(file: Path) -> None:
    before = process_threads()
    with loaded(build.slow(file, gflop=0.5), options=BackendOptions(cpu_count=4)):
        assert more_than(before) == 3
        assert POOL_THREADS.used == 3
    assert more_than(before) == 0


def test_a_large_model_gets_the_cores_untried(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_threads()
    build.external_data(file)
    with file.with_name("weights.bin").open("ab") as weights:
        weights.truncate(onnxruntime_threads.LARGE)
    monkeypatch.setattr("naiad.backends.onnxruntime.is_short", pytest.fail)
    with loaded(file, options=BackendOptions(cpu_count=3)):
        assert more_than(before) == 2


def test_one_core_needs_no_pool_whatever_the_model(file: Path) -> None:
    before = process_threads()
    with loaded(build.slow(file, gflop=0.5), options=BackendOptions(cpu_count=1)):
        assert more_than(before) == 0


def test_a_config_gets_the_threads_that_it_asks_for(file: Path) -> None:
    before = process_threads()
    config = ModelConfig("m", parameters={"intra_op_thread_count": "5"})
    with loaded(build.linear(file), config, BackendOptions(cpu_count=2)):
        assert more_than(before) == 4
    assert more_than(before) == 0


def test_the_threads_of_fifty_models_are_bounded(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = process_threads()
    build.slow(file, gflop=0.1)
    with ExitStack() as models:
        for _ in range(50):
            models.enter_context(loaded(file, options=BackendOptions(cpu_count=2)))
        assert more_than(before) == 2 * POOL_THREADS_PER_CORE
        assert "model m gets 1 threads for 2 cores: the pools of all models have 16 already" in caplog.text
    assert more_than(before) == 0


def test_a_model_that_cannot_be_loaded_gives_its_threads_back(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no model")
    config = ModelConfig("m", parameters={"intra_op_thread_count": "5"})
    with pytest.raises(Exception, match="not a complete ONNX model"), loaded(file, config):
        pass


def test_a_model_that_is_completed_and_not_loaded_gives_its_threads_back(file: Path) -> None:
    before = process_threads()
    backend = backends.create("onnxruntime", OPTIONS)
    config = ModelConfig("m", parameters={"intra_op_thread_count": "5"})
    backend.complete(config, files(build.linear(file)))
    assert more_than(before) == 4
    backend.close()
    assert more_than(before) == 0

"""What every backend promises (naiad.core.backend), on every backend that is installed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from naiad import backends
from naiad.core.backend import Backend, Executable, ModelFiles
from naiad.core.config import Device, Kind, ModelConfig, TensorConfig
from naiad.core.types import DataType
from tests.backends.models import OPTIONS, batch, files, tensor, values
from tests.models import build

BATCHED = ModelConfig(
    "m",
    max_batch_size=8,
    inputs=(TensorConfig("INPUT0", DataType.FP32, (-1,)),),
    outputs=(TensorConfig("OUTPUT0", DataType.FP32, (-1,)),),
)


class Subject(NamedTuple):
    """A backend with a model that returns what it is given: FP32 [n, any]."""

    backend: Backend
    files: ModelFiles


def _identity(directory: Path) -> Subject:
    return Subject(backends.create("identity", OPTIONS), ModelFiles(directory, directory / "1", None))


def _onnxruntime(directory: Path) -> Subject:
    pytest.importorskip("onnxruntime", reason="the onnxruntime backend needs onnxruntime")
    path = build.identity(directory / "1" / "model.onnx", dims=(-1,))
    return Subject(backends.create("onnxruntime", OPTIONS), files(path))


@pytest.fixture(params=[_identity, _onnxruntime])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    make: Callable[[Path], Subject] = request.param
    made = make(tmp_path)
    yield made
    made.backend.close()


@pytest.fixture
def executable(subject: Subject) -> Iterator[Executable]:
    subject.backend.complete(BATCHED, subject.files)
    loaded = subject.backend.load(Device(Kind.CPU))
    yield loaded
    loaded.close()


def test_a_config_that_says_everything_is_kept_but_for_the_names_of_what_runs_it(subject: Subject) -> None:
    completed = subject.backend.complete(BATCHED, subject.files)
    assert (completed.inputs, completed.outputs) == (BATCHED.inputs, BATCHED.outputs)
    assert completed.max_batch_size == 8
    assert completed.backend in backends.SERVED


def test_completing_what_is_complete_changes_nothing(subject: Subject) -> None:
    completed = subject.backend.complete(BATCHED, subject.files)
    again = backends.create(completed.backend, OPTIONS)
    assert again.complete(completed, subject.files) == completed
    again.close()


def test_a_run_gives_one_array_per_output_with_all_rows(executable: Executable) -> None:
    sent = values(DataType.FP32, (5, 3))
    result = executable.run(batch({"INPUT0": tensor(sent)}, (1, 3, 1)))
    assert len(result.arrays) == 1
    np.testing.assert_array_equal(result.arrays[0], sent)
    assert result.failures == {}


def test_a_run_takes_read_only_unaligned_inputs_and_leaves_them_alone(executable: Executable) -> None:
    sent = values(DataType.FP32, (4, 3))
    message = b"x" + sent.tobytes()
    view = np.frombuffer(message, np.uint8)[1:].view(np.float32).reshape(4, 3)
    assert not view.flags.writeable
    assert not view.flags.aligned
    np.testing.assert_array_equal(executable.run(batch({"INPUT0": tensor(view)}, (4,))).arrays[0], sent)
    assert message == b"x" + sent.tobytes()


def test_tensors_without_elements_run(executable: Executable) -> None:
    sent = np.empty((2, 0), np.float32)
    assert executable.run(batch({"INPUT0": tensor(sent)}, (2,))).arrays[0].shape == (2, 0)


def test_what_a_run_gave_outlives_the_next_run_and_the_executable(subject: Subject) -> None:
    subject.backend.complete(BATCHED, subject.files)
    loaded = subject.backend.load(Device(Kind.CPU))
    sent = [values(DataType.FP32, (1, 1000), seed) for seed in range(3)]
    given = [loaded.run(batch({"INPUT0": tensor(array)})).arrays[0] for array in sent]
    loaded.close()
    for before, after in zip(sent, given, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_shared_executable_runs_on_several_threads_at_once(executable: Executable) -> None:
    assert executable.shared
    assert not executable.own_threads
    sent = [values(DataType.FP32, (2, 500), seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda array: executable.run(batch({"INPUT0": tensor(array)}, (2,))), sent))
    for array, result in zip(sent, results, strict=True):
        np.testing.assert_array_equal(result.arrays[0], array)


def test_a_backend_that_loaded_nothing_closes(subject: Subject) -> None:
    subject.backend.complete(BATCHED, subject.files)
    subject.backend.close()

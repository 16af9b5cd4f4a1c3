"""A version is run before it serves: as its config asks, or on what is made up."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from naiad.core import strings
from naiad.core.backend import Batch, Result
from naiad.core.config import Device, Kind, ModelConfig, Source, TensorConfig, Warmup, WarmupInput
from naiad.core.errors import InvalidArgument, NaiadError
from naiad.core.instance import Instance
from naiad.core.problems import InvalidConfig
from naiad.core.types import Array, DataType
from naiad.repository.warmup import NONE, WARMUP, warm_up

FP32 = DataType.FP32


class Recording:
    """Remembers what it ran; gives one output for each row."""

    shared = True
    own_threads = False

    def __init__(self) -> None:
        self.ran: list[Mapping[str, Array]] = []
        self.rows: list[int] = []
        self.trouble: Exception | None = None
        self.failures: dict[int, NaiadError] = {}

    def run(self, batch: Batch) -> Result:
        if self.trouble is not None:
            raise self.trouble
        self.ran.append({name: tensor.array for name, tensor in batch.inputs.items()})
        self.rows.append(batch.rows)
        return Result([np.zeros((batch.rows, 1), np.float32)], self.failures)

    def close(self) -> None:
        pass


def model(*inputs: TensorConfig, batch: int = 8, warmups: tuple[Warmup, ...] = ()) -> ModelConfig:
    outputs = (TensorConfig("y", FP32, (1,)),)
    return ModelConfig("m", "scripted", max_batch_size=batch, inputs=inputs, outputs=outputs, warmups=warmups)


def sample(*inputs: WarmupInput, batch: int = 1, count: int = 1) -> Warmup:
    return Warmup("S", batch, inputs, count)


def places(*executables: Recording) -> list[Instance]:
    return [Instance(f"m_{i}", Device(Kind.CPU), executable) for i, executable in enumerate(executables)]


def warmed(config: ModelConfig, directory: Path = Path()) -> Recording:
    recording = Recording()
    warm_up(config, places(recording), directory)
    return recording


X = TensorConfig("x", FP32, (2, 3))


def test_zeros_of_the_declared_shape_are_made_up_with_one_where_any_size_goes() -> None:
    recording = warmed(model(TensorConfig("x", FP32, (-1, 3)), TensorConfig("s", DataType.BYTES, (2,))))
    (ran,) = recording.ran
    assert ran["x"].shape == (1, 1, 3)
    assert not ran["x"].any()
    assert list(strings.decode(ran["s"])) == [b"", b""]


def test_optional_inputs_are_left_out_of_what_is_made_up() -> None:
    (ran,) = warmed(model(X, TensorConfig("o", FP32, (1,), optional=True))).ran
    assert set(ran) == {"x"}


def test_what_a_model_makes_of_zeros_keeps_it_from_nothing() -> None:
    recording = Recording()
    recording.trouble = ZeroDivisionError("zeros")
    warm_up(model(X), places(recording), Path())


def test_a_config_can_keep_anything_from_being_made_up() -> None:
    assert warmed(replace(model(X), parameters={WARMUP: NONE})).ran == []


def test_what_would_be_too_large_is_not_made_up() -> None:
    assert warmed(model(TensorConfig("x", FP32, (10_000, 10_000)))).ran == []


def test_a_sample_runs_as_often_as_it_says_on_each_executable_and_nothing_is_made_up() -> None:
    config = model(X, warmups=(sample(WarmupInput("x", FP32, (2, 3), Source.ZERO), batch=4, count=3),))
    one, two = Recording(), Recording()
    warm_up(config, places(one, two, two), Path())
    assert (one.rows, two.rows) == ([4, 4, 4], [4, 4, 4])


@pytest.mark.parametrize("datatype", [each for each in DataType if each is not DataType.BYTES])
def test_random_numbers_are_the_same_each_time_and_of_their_datatype(datatype: DataType) -> None:
    wanted = sample(WarmupInput("x", datatype, (100,), Source.RANDOM))
    config = model(TensorConfig("x", datatype, (100,)), warmups=(wanted,))
    first, second = warmed(config).ran[0]["x"], warmed(config).ran[0]["x"]
    assert first.dtype == datatype.dtype
    assert first.any()
    assert (first == second).all()


def test_random_strings_are_strings() -> None:
    wanted = sample(WarmupInput("s", DataType.BYTES, (2,), Source.RANDOM), batch=2)
    (ran,) = warmed(model(TensorConfig("s", DataType.BYTES, (2,)), warmups=(wanted,))).ran
    assert len(strings.decode(ran["s"])) == 4
    assert all(strings.decode(ran["s"]))


def test_a_file_is_read_from_the_directory_of_warmups(tmp_path: Path) -> None:
    (tmp_path / "warmup").mkdir()
    numbers = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    (tmp_path / "warmup" / "x.raw").write_bytes(numbers.tobytes())
    (tmp_path / "warmup" / "s.raw").write_bytes(strings.encode([b"a", b"bc"]))
    wanted = sample(
        WarmupInput("x", FP32, (2, 3), Source.FILE, "x.raw"),
        WarmupInput("s", DataType.BYTES, (1,), Source.FILE, "s.raw"),
        batch=2,
    )
    config = model(X, TensorConfig("s", DataType.BYTES, (1,)), warmups=(wanted,))
    (ran,) = warmed(config, tmp_path).ran
    assert (ran["x"] == numbers).all()
    assert list(strings.decode(ran["s"])) == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("../secret", b"", "is not in"),
        ("gone", None, "cannot be read"),
        ("x.raw", b"12345", "has 5 bytes, expected 24 for FP32 [1, 2, 3]"),
    ],
)
def test_a_file_that_is_elsewhere_or_of_another_size_is_told(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    (tmp_path / "warmup").mkdir()
    if content is not None:
        (tmp_path / "warmup" / name).write_bytes(content)
    config = model(X, warmups=(sample(WarmupInput("x", FP32, (2, 3), Source.FILE, name)),))
    with pytest.raises(InvalidConfig) as caught:
        warmed(config, tmp_path)
    (problem,) = caught.value.problems
    assert told in problem.text
    assert problem.field == "model_warmup[0].inputs[x]"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (sample(WarmupInput("z", FP32, (2, 3), Source.ZERO)), "has an input 'z', the model has x"),
        (sample(), "lacks input 'x'"),
        (sample(WarmupInput("x", DataType.INT8, (2, 3), Source.ZERO)), "has INT8 for input 'x', which is FP32"),
        (sample(WarmupInput("x", FP32, (2, -1), Source.ZERO)), "expected every dimension to be given"),
        (sample(WarmupInput("x", FP32, (2, 3), Source.ZERO), batch=9), "has batch_size 9, the model takes 8 at most"),
    ],
)
def test_a_sample_that_does_not_fit_the_model_is_told(wanted: Warmup, told: str) -> None:
    with pytest.raises(InvalidConfig, match="warmup sample 'S'") as caught:
        warmed(model(X, warmups=(wanted,)))
    assert told in str(caught.value)


@pytest.mark.parametrize("alone", [True, False])
def test_a_sample_that_fails_ends_the_load_with_its_name(alone: bool) -> None:
    recording = Recording()
    if alone:
        recording.failures = {0: InvalidArgument("no such word")}
    else:
        recording.trouble = RuntimeError("no such word")
    config = model(X, warmups=(sample(WarmupInput("x", FP32, (2, 3), Source.ZERO)),))
    with pytest.raises(InvalidConfig, match=r"failed to run warmup sample 'S'.*no such word"):
        warm_up(config, places(recording), Path())


def test_it_runs_on_the_thread_that_loads() -> None:
    class Where(Recording):
        def run(self, batch: Batch) -> Result:
            seen.append(threading.current_thread())
            return super().run(batch)

    seen: list[threading.Thread] = []
    warm_up(model(X), places(Where()), Path())
    assert seen == [threading.current_thread()]

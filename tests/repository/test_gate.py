"""A version that does not give what its own cases expect is not served, and the difference is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naiad.core.backend import Batch, Result
from naiad.core.config import Device, Kind, ModelConfig, TensorConfig
from naiad.core.errors import InvalidArgument
from naiad.core.instance import Instance
from naiad.core.types import Array, DataType
from naiad.repository import gate


class Computing:
    """Gives what a function makes of input x."""

    shared = True
    own_threads = False

    def __init__(self, compute: Callable[[Array], Array]) -> None:
        self._compute = compute

    def run(self, batch: Batch) -> Result:
        return Result([self._compute(batch.inputs["x"].array)])

    def close(self) -> None:
        pass


def model(datatype: DataType = DataType.FP32, dims: tuple[int, ...] = (-1,)) -> ModelConfig:
    tensors = (TensorConfig("x", datatype, dims),), (TensorConfig("y", datatype, dims),)
    return ModelConfig("m", "scripted", max_batch_size=8, inputs=tensors[0], outputs=tensors[1])


def doubled(array: Array) -> Array:
    return array * 2


def check(
    directory: Path, compute: Callable[[Array], Array] = doubled, config: ModelConfig | None = None, devices: int = 1
) -> int:
    places = [Instance(f"m_{i}", Device(Kind.GPU, i), Computing(compute)) for i in range(devices)]
    return gate.check(config or model(), places, directory)


def case(directory: Path, name: str = "one", **said: Any) -> Path:
    (directory / "expected").mkdir(exist_ok=True)
    path = directory / "expected" / f"{name}.json"
    path.write_text(json.dumps(said))
    return directory


def packed(directory: Path, inputs: dict[str, Array], outputs: dict[str, Array]) -> Path:
    folder = directory / "expected" / "one"
    folder.mkdir(parents=True)
    np.savez(folder / "inputs.npz", **inputs)  # type: ignore[arg-type]
    np.savez(folder / "outputs.npz", **outputs)  # type: ignore[arg-type]
    return folder


def test_without_cases_nothing_is_asked(tmp_path: Path) -> None:
    assert check(tmp_path) == 0


def test_cases_that_hold_are_counted(tmp_path: Path) -> None:
    case(tmp_path, "a", inputs={"x": [[1, 2]]}, outputs={"y": [[2, 4]]})
    case(tmp_path, "b", inputs={"x": {"shape": [2, 1], "data": [1, 2]}}, outputs={"y": [[2], [4]]})
    (tmp_path / "expected" / ".hidden.json").write_text("no case")
    (tmp_path / "expected" / "README.md").write_text("no case")
    assert check(tmp_path) == 2


def test_arrays_of_numpy_are_cases(tmp_path: Path) -> None:
    packed(tmp_path, {"x": np.ones((2, 3), np.float32)}, {"y": np.full((2, 3), 2.0)})
    folder = tmp_path / "expected" / "two"
    for side, name, array in (("inputs", "x", np.ones((1, 1))), ("outputs", "y", np.full((1, 1), 2))):
        (folder / side).mkdir(parents=True)
        np.save(folder / side / f"{name}.npy", array)
    assert check(tmp_path) == 2


def test_the_largest_difference_is_shown(tmp_path: Path) -> None:
    case(tmp_path, inputs={"x": [[1, 2, 3]]}, outputs={"y": [[2, 4.5, 7]]})
    with pytest.raises(InvalidArgument) as caught:
        check(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'expected'}: case 'one' is not passed: output 'y' on gpu0: 2 of 3 elements differ by more than "
        "rtol 0.001, atol 1e-05; most at [0, 2]: got 6, expected 7"
    )


def test_a_case_has_a_tolerance_of_its_own(tmp_path: Path) -> None:
    said: dict[str, Any] = {"inputs": {"x": [[1.0]]}, "outputs": {"y": [[2.5]]}}
    case(tmp_path, **said, atol=0.6)
    assert check(tmp_path) == 1
    case(tmp_path, **said, atol=0.4, rtol=0)
    with pytest.raises(InvalidArgument, match=r"rtol 0, atol 0\.4"):
        check(tmp_path)


def test_directories_have_a_tolerance_too(tmp_path: Path) -> None:
    folder = packed(tmp_path, {"x": np.ones((1, 1))}, {"y": np.full((1, 1), 2.5)})
    (folder / "tolerance.json").write_text('{"atol": 0.6}')
    assert check(tmp_path) == 1


@pytest.mark.parametrize("got", [np.nan, np.inf])
def test_nan_and_infinity_equal_themselves_and_nothing_else(tmp_path: Path, got: float) -> None:
    case(tmp_path, inputs={"x": [[1]]}, outputs={"y": [[float(got)]]})
    assert check(tmp_path, lambda array: np.full_like(array, got)) == 1
    with pytest.raises(InvalidArgument, match="1 of 1 elements"):
        check(tmp_path)


@pytest.mark.parametrize("datatype", [DataType.INT64, DataType.UINT8, DataType.BOOL])
def test_whole_numbers_must_be_equal(tmp_path: Path, datatype: DataType) -> None:
    case(tmp_path, inputs={"x": [[1, 0]]}, outputs={"y": [[1, 0]]})
    assert check(tmp_path, lambda array: array, model(datatype)) == 1
    case(tmp_path, inputs={"x": [[1, 0]]}, outputs={"y": [[1, 1]]})
    with pytest.raises(InvalidArgument, match=r"1 of 2 elements differ, first at \[0, 1\]"):
        check(tmp_path, lambda array: array, model(datatype))


def test_strings_must_be_equal(tmp_path: Path) -> None:
    def answer(_: Array) -> Array:
        return np.array([["yes", b"\xc3\xa9"]], object)

    case(tmp_path, inputs={"x": [["a", "b"]]}, outputs={"y": [["yes", "é"]]})
    assert check(tmp_path, answer, model(DataType.BYTES)) == 1
    case(tmp_path, inputs={"x": [["a", "b"]]}, outputs={"y": [["no", "é"]]})
    with pytest.raises(InvalidArgument, match="got b'yes', expected b'no'"):
        check(tmp_path, answer, model(DataType.BYTES))


def test_bf16_is_compared_as_numbers(tmp_path: Path) -> None:
    case(tmp_path, inputs={"x": [[1.0]]}, outputs={"y": [[1.0078125]]}, rtol=0.01)
    assert check(tmp_path, lambda array: array, model(DataType.BF16)) == 1
    case(tmp_path, inputs={"x": [[1.0]]}, outputs={"y": [[1.5]]}, rtol=0.01)
    with pytest.raises(InvalidArgument, match=r"got 1, expected 1\.5"):
        check(tmp_path, lambda array: array, model(DataType.BF16))


def test_another_shape_is_a_difference(tmp_path: Path) -> None:
    case(tmp_path, inputs={"x": [[1, 2]]}, outputs={"y": [[2], [4]]})
    with pytest.raises(InvalidArgument, match=r"got shape \[1, 2\], expected \[2, 1\]"):
        check(tmp_path)


def test_a_run_that_fails_is_a_difference(tmp_path: Path) -> None:
    def fail(_: Array) -> Array:
        raise ZeroDivisionError("by zero")

    case(tmp_path, inputs={"x": [[1]]}, outputs={"y": [[1]]})
    with pytest.raises(InvalidArgument, match="case 'one' is not passed: ZeroDivisionError: by zero"):
        check(tmp_path, fail)


def test_every_device_is_asked(tmp_path: Path) -> None:
    calls: list[int] = []

    def count(array: Array) -> Array:
        calls.append(1)
        return array * 2

    case(tmp_path, inputs={"x": [[1]]}, outputs={"y": [[2]]})
    assert check(tmp_path, count, devices=3) == 1
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[1]", "got list in one.json, expected an object"),
        ("{", "Expecting property name"),
        ('{"outputs": {"y": [[1]]}}', "expected 'inputs'"),
        ('{"inputs": {"x": [[1]]}}', "expected 'outputs'"),
        ('{"inputs": {"z": [[1]]}, "outputs": {"y": [[1]]}}', "got an input 'z', the model has x"),
        ('{"inputs": {"x": [[1]]}, "outputs": {"z": [[1]]}}', "got an output 'z', the model has y"),
        ('{"inputs": {"x": [1]}, "outputs": {"y": [[1]]}}', "input 'x' has shape [1], expected [-1, -1]"),
        ('{"inputs": {"x": [["a"]]}, "outputs": {"y": [[1]]}}', "could not convert"),
        ('{"inputs": {"x": {"shape": [1]}}, "outputs": {"y": [[1]]}}', "without 'data'"),
        ('{"inputs": {"x": [[1]]}, "outputs": {"y": [[1]]}, "rtol": -1}', "got rtol -1, expected a number"),
        ('{"inputs": {"x": [[1]]}, "outputs": {"y": [[1]]}, "atol": true}', "got atol True, expected a number"),
    ],
)
def test_a_case_that_cannot_be_read_is_a_failure_with_its_place(tmp_path: Path, said: str, told: str) -> None:
    case(tmp_path)
    place = tmp_path / "expected" / "one.json"
    place.write_text(said)
    with pytest.raises(InvalidArgument) as caught:
        check(tmp_path)
    assert str(caught.value).startswith(f"{place}: the case cannot be read: ")
    assert told in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    packed(tmp_path, {"x": np.array([[object()]], object)}, {"y": np.ones((1, 1))})
    with pytest.raises(InvalidArgument, match="allow_pickle=False"):
        check(tmp_path)


def test_a_directory_without_both_sides_is_told(tmp_path: Path) -> None:
    (tmp_path / "expected" / "one").mkdir(parents=True)
    with pytest.raises(InvalidArgument, match=r"expected inputs\.npz, or a directory inputs"):
        check(tmp_path)

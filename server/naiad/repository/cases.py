"""Cases that a version must pass before it serves: inputs and the outputs that are expected of them (`expected/`).

In the version's directory, each case in one of two forms:

- `expected/NAME.json`: `{"inputs": {...}, "outputs": {...}, "rtol": 0.001, "atol": 0.00001}`, where a tensor is nested
  lists, or `{"shape": [...], "data": [...]}`.
- `expected/NAME/`: `inputs.npz` and `outputs.npz`, or directories `inputs/` and `outputs/` with a `TENSOR.npy` each;
  beside them perhaps `tolerance.json`, `{"rtol": ..., "atol": ...}`.

Shapes are whole, the batch dimension included. Nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from naiad.core import strings
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.errors import InvalidArgument
from naiad.core.types import Array, DataType, Shape
from naiad.repository.names import is_leftover

DIRECTORY = "expected"
RTOL, ATOL = 1e-3, 1e-5
"""What floating-point numbers may differ by where a case does not say: relative, and absolute."""
LARGEST = 256 * 2**20
"""Bytes of one file of a case."""


class Tolerance(NamedTuple):
    rtol: float = RTOL
    atol: float = ATOL


class Case(NamedTuple):
    """inputs: shape and data as a backend gets them. outputs: as numpy has them; objects of bytes for BYTES."""

    name: str
    inputs: Mapping[str, tuple[Shape, Array]]
    outputs: Mapping[str, Array]
    tolerance: Tolerance


def cases(version: Path, config: ModelConfig) -> Iterator[Case]:
    """The cases of a version, by name. Raises InvalidArgument for one that cannot be read, with its place."""
    directory = version / DIRECTORY
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if not is_leftover(path.name) and (path.is_dir() or path.suffix == ".json"):
            yield _case(path, config)


def _case(path: Path, config: ModelConfig) -> Case:
    try:
        if path.is_dir():
            inputs, outputs = (_arrays(path, side) for side in ("inputs", "outputs"))
            tolerance = _json(path / "tolerance.json") if (path / "tolerance.json").exists() else {}
        else:
            tolerance = _json(path)
            inputs, outputs = (_given(tolerance, side) for side in ("inputs", "outputs"))
        return Case(
            path.stem if path.suffix == ".json" else path.name,
            dict(_inputs(inputs, config)),
            dict(_outputs(outputs, config)),
            _tolerance(tolerance),
        )
    except (ValueError, TypeError, OverflowError, OSError, EOFError, InvalidArgument) as error:
        raise InvalidArgument(f"{path}: the case cannot be read: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    _check_size(path)
    said = json.loads(path.read_bytes())
    if not isinstance(said, dict):
        raise InvalidArgument(f"got {type(said).__name__} in {path.name}, expected an object")
    return said


def _check_size(path: Path) -> None:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {LARGEST} at most")


def _given(said: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    given = said.get(side)
    if not isinstance(given, dict) or not given:
        raise ValueError(f"expected '{side}', an object of tensors by their names")
    return given


def _arrays(directory: Path, side: str) -> Mapping[str, Any]:
    """The tensors of a case's inputs or outputs by name."""
    packed, folder = directory / f"{side}.npz", directory / side
    if packed.exists():
        _check_size(packed)
        with np.load(packed, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    if folder.is_dir():
        files = [path for path in sorted(folder.iterdir()) if path.suffix == ".npy" and not is_leftover(path.name)]
        for path in files:
            _check_size(path)
        return {path.stem: np.load(path, allow_pickle=False) for path in files}
    raise ValueError(f"expected {side}.npz, or a directory {side} with a file for each tensor")


def _tolerance(said: Mapping[str, Any]) -> Tolerance:
    numbers = {}
    for key in ("rtol", "atol"):
        value = said.get(key, getattr(Tolerance(), key))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ValueError(f"got {key} {value!r}, expected a number that is not negative")
        numbers[key] = float(value)
    return Tolerance(**numbers)


def _inputs(given: Mapping[str, Any], config: ModelConfig) -> Iterator[tuple[str, tuple[Shape, Array]]]:
    declared = {tensor.name: tensor for tensor in config.inputs}
    _check_names(given, declared, "input")
    if lacking := [n for n, tensor in declared.items() if n not in given and not tensor.optional]:
        raise ValueError(f"input '{lacking[0]}' is missing")
    rows = set()
    for name, value in given.items():
        array = _array(value, declared[name])
        _check_shape(array.shape, config.shape(declared[name]), f"input '{name}'")
        rows.add(array.shape[0] if config.batching else 1)
        if declared[name].datatype is DataType.BYTES:
            yield name, (array.shape, np.frombuffer(strings.encode(array.reshape(-1)), np.uint8))
        else:
            yield name, (array.shape, np.ascontiguousarray(array))
    if len(rows) > 1:
        raise ValueError(f"the inputs have batches of {', '.join(map(str, sorted(rows)))}, expected one size")


def _outputs(given: Mapping[str, Any], config: ModelConfig) -> Iterator[tuple[str, Array]]:
    declared = {tensor.name: tensor for tensor in config.outputs}
    _check_names(given, declared, "output")
    for name, value in given.items():
        yield name, _array(value, declared[name])


def _check_names(given: Mapping[str, Any], declared: Mapping[str, TensorConfig], side: str) -> None:
    for name in given:
        if name not in declared:
            raise ValueError(f"got an {side} '{name}', the model has {', '.join(declared)}")


def _check_shape(got: Shape, wanted: Shape, subject: str) -> None:
    if len(got) != len(wanted) or any(dim not in (-1, size) for dim, size in zip(wanted, got, strict=False)):
        raise ValueError(f"{subject} has shape {list(got)}, expected {list(wanted)}")


def _array(value: Any, tensor: TensorConfig) -> Array:
    """A tensor as numpy holds it, BF16 as the bits of its numbers."""
    shape = None
    if isinstance(value, dict):
        if "data" not in value:
            raise ValueError(f"got an object without 'data' for '{tensor.name}'")
        shape, value = value.get("shape"), value["data"]
    if tensor.datatype is DataType.BYTES:
        array = np.array(value, dtype=object) if not isinstance(value, np.ndarray) else value.astype(object)
        flat = [element.encode() if isinstance(element, str) else element for element in array.reshape(-1)]
        array = _objects(flat, array.shape)
    elif tensor.datatype is DataType.BF16 and not _is_bits(value):
        array = (np.asarray(value, np.float32).view(np.uint32) >> 16).astype(tensor.datatype.dtype)
    else:
        array = np.asarray(value).astype(tensor.datatype.dtype)
    return array if shape is None else array.reshape(tuple(shape))


def _is_bits(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint16


def _objects(elements: list[Any], shape: Shape) -> Array:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array.reshape(shape)

"""The promotion gate: a version serves only when it gives what its own cases expect of it (see `cases`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from naiad.core import strings
from naiad.core.batch import Shaper
from naiad.core.config import ModelConfig
from naiad.core.errors import InvalidArgument, NaiadError
from naiad.core.instance import Instance
from naiad.core.types import Array, DataType
from naiad.repository.cases import DIRECTORY, Case, Tolerance, cases
from naiad.repository.warmup import answers


def check(config: ModelConfig, instances: Sequence[Instance], version: Path) -> int:
    """Run each case once on each device; gives how many there are. Raises InvalidArgument with the difference."""
    shaper = Shaper(config)
    on_each = list({instance.device: instance for instance in instances}.values())
    passed = 0
    for case in cases(version, config):
        for instance in on_each:
            for difference in _differences(shaper, config, case, instance):
                raise InvalidArgument(f"{version / DIRECTORY}: case '{case.name}' is not passed: {difference}")
        passed += 1
    return passed


def _differences(shaper: Shaper, config: ModelConfig, case: Case, instance: Instance) -> Iterator[str]:
    """What is other than expected, output by output."""
    batch = shaper.batch_of(case.inputs)
    try:
        arrays = answers(shaper, instance.executable, batch)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises, it is no answer
        yield str(error) if isinstance(error, NaiadError) else f"{type(error).__name__}: {error}"
        return
    for tensor, array in zip(config.outputs, arrays, strict=True):
        if tensor.name in case.outputs:
            expected = case.outputs[tensor.name]
            where = _compared(_comparable(tensor.datatype, array), expected, tensor.datatype, case.tolerance)
            if where:
                yield f"output '{tensor.name}' on {instance.device}: {where}"


def _comparable(datatype: DataType, array: Array) -> Array:
    """An output of a backend, with strings as bytes."""
    if datatype is not DataType.BYTES:
        return array
    flat = strings.decode(np.frombuffer(strings.encode(array.reshape(-1)), np.uint8))
    return flat.reshape(array.shape)


def _compared(got: Array, expected: Array, datatype: DataType, tolerance: Tolerance) -> str:
    """The first or largest difference in words; empty where there is none that matters."""
    if got.shape != expected.shape:
        return f"got shape {list(got.shape)}, expected {list(expected.shape)}"
    if datatype is DataType.BF16:
        got, expected = (((a.astype(np.uint32)) << 16).view(np.float32) for a in (got, expected))
    if got.dtype.kind != "f":
        return _unequal(got, expected)
    return _far(got.astype(np.float64), expected.astype(np.float64), tolerance)


def _unequal(got: Array, expected: Array) -> str:
    wrong = np.asarray(got != expected, bool)
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    count = f"{int(wrong.sum())} of {wrong.size} elements differ"
    return f"{count}, first at {list(index)}: got {got[index]!r}, expected {expected[index]!r}"


def _far(got: Array, expected: Array, tolerance: Tolerance) -> str:
    wrong = ~np.isclose(got, expected, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
    if not wrong.any():
        return ""
    with np.errstate(invalid="ignore"):
        distance = np.where(wrong, np.nan_to_num(np.abs(got - expected), nan=np.inf), -1.0)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), distance.shape))
    count = f"{int(wrong.sum())} of {wrong.size} elements differ by more than rtol {tolerance.rtol:g}, atol"
    return (
        f"{count} {tolerance.atol:g}; most at {list(index)}: got {float(got[index]):.7g}, expected "
        f"{float(expected[index]):.7g}"
    )

"""The identity backend: output i is input i, bit for bit.

It is for trying out clients, for tests, and for measuring the server apart from any model. It needs no file.
`execute_delay_ms` in a config's `parameters` makes every run last that many milliseconds, as in Triton's backend of
this name. Where a request leaves an optional input out, the output is zeros (BYTES: empty), and a dimension of any
size is 0.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from naiad.backends import BackendOptions
from naiad.backends.blank import blank, inner
from naiad.core import strings
from naiad.core.backend import Batch, ModelFiles, Result
from naiad.core.config import Device, ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig, Problem, raise_errors
from naiad.core.types import Array, DataType, Shape

DELAY = "execute_delay_ms"


def gpus() -> tuple[int, ...]:
    """None: nothing is computed."""
    return ()


class IdentityBackend:
    def __init__(self, options: BackendOptions) -> None:
        self._config = ModelConfig("")

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        """Give a config without outputs the outputs OUTPUT0, OUTPUT1, ..., one like each input."""
        if not config.inputs:
            text = f"model {config.name} must specify 'input': the identity backend has no file that could tell"
            remedy = "Add `input { name: ... data_type: ... dims: ... }`"
            raise InvalidConfig([Problem(text, "input", found="nothing", expected="an input", remedy=remedy)])
        outputs = config.outputs or tuple(map(_output, range(len(config.inputs)), config.inputs))
        completed = replace(config, backend=config.backend or "identity", outputs=outputs)
        raise_errors(_problems(completed))
        self._config = completed
        return completed

    def load(self, device: Device) -> IdentityExecutable:
        return IdentityExecutable(self._config)

    def close(self) -> None:
        """Nothing was opened."""


def _output(index: int, tensor: TensorConfig) -> TensorConfig:
    return replace(tensor, name=f"OUTPUT{index}", optional=False)


def _problems(config: ModelConfig) -> Iterator[Problem]:
    if len(config.inputs) != len(config.outputs):
        found = f"{len(config.inputs)} inputs and {len(config.outputs)} outputs"
        text = f"the identity backend answers each input with one output, got {found} for {config.name}"
        remedy = "Write as many outputs as inputs, or none: they are completed then"
        yield Problem(text, "output", found=found, expected="as many outputs as inputs", remedy=remedy)
    for i, (source, target) in enumerate(zip(config.inputs, config.outputs, strict=False)):
        pair = f"of model {config.name}: output '{target.name}' of the identity backend is input '{source.name}'"
        if source.datatype is not target.datatype:
            got, expected = target.datatype.value, source.datatype.value
            yield _unequal(f"data_type {pair}", f"output[{i}].data_type", got, expected)
        if not _same(inner(source), inner(target)):
            got, expected = str(list(inner(target))), str(list(inner(source)))
            yield _unequal(f"shape {pair}", f"output[{i}].dims", got, expected)
    yield from _delay_problems(config)


def _unequal(subject: str, field: str, got: str, expected: str) -> Problem:
    text, remedy = f"{subject}, got {got}, expected {expected}", "Write the same for the output as for its input"
    return Problem(text, field, found=got, expected=expected, remedy=remedy)


def _delay_problems(config: ModelConfig) -> Iterator[Problem]:
    written = config.parameters.get(DELAY, "0")
    if not (written.isascii() and written.isdigit()):
        expected = "a number of milliseconds"
        text = f"parameter {DELAY} of model {config.name}, got '{written}', expected {expected}"
        field, remedy = f'parameters["{DELAY}"].string_value', f'Write {expected} in quotes, such as "5"'
        yield Problem(text, field, found=f"'{written}'", expected=expected, remedy=remedy)


def _same(left: Shape, right: Shape) -> bool:
    return len(left) == len(right) and all(a == b or -1 in (a, b) for a, b in zip(left, right, strict=True))


class IdentityExecutable:
    shared = True
    own_threads = False

    def __init__(self, config: ModelConfig) -> None:
        self._inputs = config.inputs
        self._batching = config.batching
        self._delay = int(config.parameters.get(DELAY, "0")) / 1000

    def run(self, batch: Batch) -> Result:
        if self._delay:
            time.sleep(self._delay)
        return Result([self._answer(tensor, batch) for tensor in self._inputs])

    def _answer(self, wanted: TensorConfig, batch: Batch) -> Array:
        tensor = batch.inputs.get(wanted.name)
        if tensor is None:
            return blank(wanted, batch.rows if self._batching else None)
        if tensor.datatype is DataType.BYTES:
            return strings.decode(tensor.array).reshape(tensor.shape)
        return tensor.array

    def close(self) -> None:
        """Nothing is held."""

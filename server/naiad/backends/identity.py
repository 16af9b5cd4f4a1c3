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
            raise InvalidConfig([Problem(text, "input")])
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
        text = (
            f"the identity backend answers each input with one output, got {len(config.inputs)} inputs and "
            f"{len(config.outputs)} outputs for {config.name}"
        )
        yield Problem(text, "output")
    for i, (source, target) in enumerate(zip(config.inputs, config.outputs, strict=False)):
        pair = f"of model {config.name}: output '{target.name}' of the identity backend is input '{source.name}'"
        if source.datatype is not target.datatype:
            text = f"data_type {pair}, got {target.datatype.value}, expected {source.datatype.value}"
            yield Problem(text, f"output[{i}].data_type")
        if not _same(inner(source), inner(target)):
            text = f"shape {pair}, got {list(inner(target))}, expected {list(inner(source))}"
            yield Problem(text, f"output[{i}].dims")
    yield from _delay_problems(config)


def _delay_problems(config: ModelConfig) -> Iterator[Problem]:
    written = config.parameters.get(DELAY, "0")
    if not (written.isascii() and written.isdigit()):
        text = f"parameter {DELAY} of model {config.name}, got '{written}', expected a number of milliseconds"
        yield Problem(text, f'parameters["{DELAY}"].string_value')


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

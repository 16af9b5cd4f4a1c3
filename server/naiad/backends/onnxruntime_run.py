"""Running batches on a session of ONNX Runtime.

What most models have, tensors of fixed-size datatypes, is handed over as it is. Three things are not: strings, which
the graph has as text; BF16, which ONNX Runtime takes through a binding only; and scalars, which have one dimension
on the wire and none in the graph.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import onnxruntime

from naiad.backends.blank import blank, inner, zeros
from naiad.backends.onnxruntime_graph import Graph
from naiad.backends.onnxruntime_options import run_options
from naiad.backends.onnxruntime_session import ERRORS, run_reason
from naiad.core import strings
from naiad.core.backend import Batch, Result
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.errors import BackendError, Internal, InvalidArgument, NaiadError
from naiad.core.types import Array, DataType, Shape

Feed = dict[str, Array]
Failures = dict[int, NaiadError]
_Run = Callable[[list[str], Feed, Any], list[Array]]

_NO_FAILURES: Mapping[int, NaiadError] = MappingProxyType({})
_BFLOAT16 = 16
"""`TensorProto.DataType.BFLOAT16` of ONNX."""


class OnnxRuntimeExecutable:
    """A session and the config that it serves; `on_close` is called once the session is let go."""

    def __init__(
        self, session: Any, config: ModelConfig, graph: Graph, device: Device, on_close: Callable[[], None]
    ) -> None:
        self.shared = device.kind is Kind.CPU
        self.own_threads = not self.shared
        self._config = config
        self._outputs = [tensor.name for tensor in config.outputs]
        self._options = run_options(config)
        self._run: _Run = _bound(session, config) if _has_bf16(config) else session.run
        self._texts = [tensor.name for tensor in config.inputs if tensor.datatype is DataType.BYTES]
        scalars = () if config.batching else (*graph.inputs, *graph.defaults)
        self._scalar_inputs = [tensor.name for tensor in scalars if not tensor.shape]
        self._scalar_outputs = {} if config.batching else _scalar_outputs(config)
        self._special = bool(self._texts or self._scalar_inputs)
        self._on_close = on_close

    def run(self, batch: Batch) -> Result:
        """Run a batch.

        A request with strings that are not UTF-8 fails alone. When the batch as a whole fails, each of its requests
        is run once more by itself. BackendError, with ONNX Runtime's words, when there is only one.
        """
        feed = {name: tensor.array for name, tensor in batch.inputs.items()}
        failures = self._convert(batch, feed) if self._special else _NO_FAILURES
        if len(failures) == len(batch.starts) - 1:
            return Result(self._blank(batch), failures)
        try:
            arrays = self._run(self._outputs, feed, self._options)
        except ERRORS as error:
            return self._one_by_one(feed, batch.starts, failures, error)
        return Result(self._shaped(arrays) if self._scalar_outputs else arrays, failures)

    def close(self) -> None:
        """Let the session go, and its threads with it."""
        self._run = _closed
        self._on_close()

    def _convert(self, batch: Batch, feed: Feed) -> Failures:
        failures: Failures = {}
        for name in self._texts:
            if name in feed:
                feed[name] = _texts(name, batch, failures)
        for name in self._scalar_inputs:
            if name in feed:
                feed[name] = feed[name].reshape(())
        return failures

    def _blank(self, batch: Batch) -> list[Array]:
        rows = batch.rows if self._config.batching else None
        return [blank(tensor, rows) for tensor in self._config.outputs]

    def _shaped(self, arrays: list[Array]) -> list[Array]:
        return [
            array.reshape(self._scalar_outputs[i]) if i in self._scalar_outputs and not array.ndim else array
            for i, array in enumerate(arrays)
        ]

    def _one_by_one(
        self, feed: Feed, starts: Sequence[int], failed: Mapping[int, NaiadError], error: Exception
    ) -> Result:
        if len(starts) == 2:
            raise BackendError(run_reason(error)) from error
        failures = dict(failed)
        parts: list[list[Array] | None] = []
        for i, (start, stop) in enumerate(pairwise(starts)):
            parts.append(None if i in failures else self._alone(feed, start, stop, i, failures))
        try:
            return Result([self._joined(i, parts, starts) for i in range(len(self._outputs))], failures)
        except ValueError as mismatch:
            raise BackendError(run_reason(error)) from mismatch

    def _alone(self, feed: Feed, start: int, stop: int, index: int, failures: Failures) -> list[Array] | None:
        try:
            rows = {name: array[start:stop] for name, array in feed.items()}
            return self._run(self._outputs, rows, self._options)
        except ERRORS as error:
            failures[index] = BackendError(run_reason(error))
            return None

    def _joined(self, output: int, parts: Sequence[list[Array] | None], starts: Sequence[int]) -> Array:
        """One output of requests that ran alone, with zeros for those that failed."""
        tensor = self._config.outputs[output]
        first = next((part[output] for part in parts if part is not None), None)
        if first is None:
            return blank(tensor, starts[-1])
        return np.concatenate(
            [
                zeros(tensor.datatype, (stop - start, *first.shape[1:])) if part is None else part[output]
                for part, (start, stop) in zip(parts, pairwise(starts), strict=True)
            ]
        )


def _closed(*_: object) -> NoReturn:
    raise Internal("an executable was run after it was closed")


def _scalar_outputs(config: ModelConfig) -> dict[int, Shape]:
    """The shape that a client sees where the graph gives a scalar, for outputs whose `reshape` does not see to it."""
    return {
        i: tensor.dims
        for i, tensor in enumerate(config.outputs)
        if tensor.reshape is None and inner(tensor) == (1,) * len(inner(tensor))
    }


def _texts(name: str, batch: Batch, failures: Failures) -> Array:
    """An input of strings as ONNX Runtime wants it: `str` objects, empty for requests that fail."""
    tensor = batch.inputs[name]
    elements = strings.decode(tensor.array)
    try:
        texts = [element.decode() for element in elements]
    except UnicodeDecodeError:
        texts = _salvaged(name, elements, batch.starts, failures)
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(tensor.shape)


def _salvaged(name: str, elements: Array, starts: Sequence[int], failures: Failures) -> list[str]:
    texts = []
    for i, element in enumerate(elements):
        try:
            texts.append(element.decode())
        except UnicodeDecodeError as error:
            request = bisect_right(starts, i * starts[-1] // len(elements)) - 1
            own = i - starts[request] * len(elements) // starts[-1]
            failures.setdefault(
                request,
                InvalidArgument(
                    f"inference input '{name}' must be UTF-8 for the ONNX Runtime backend, got {error.reason} at byte "
                    f"{error.start} of element {own}"
                ),
            )
            texts.append("")
    return texts


def _has_bf16(config: ModelConfig) -> bool:
    return any(tensor.datatype is DataType.BF16 for tensor in (*config.inputs, *config.outputs))


def _bound(session: Any, config: ModelConfig) -> _Run:
    """`session.run` for models with BF16 tensors, whose bits are uint16 outside."""
    bf16 = {tensor.name for tensor in config.inputs if tensor.datatype is DataType.BF16}

    def run(names: list[str], feed: Mapping[str, Array], options: Any) -> list[Array]:
        binding = session.io_binding()
        for name, array in feed.items():
            if name in bf16:
                value = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
                binding.bind_ortvalue_input(name, value)
            else:
                binding.bind_cpu_input(name, array)
        for name in names:
            binding.bind_output(name)
        session.run_with_iobinding(binding, options)
        return [_array(value) for value in binding.get_outputs()]

    return run


def _array(value: Any) -> Array:
    if value.element_type() != _BFLOAT16:
        array: Array = value.numpy()
        return array
    return np.asarray(_Bits(value))


class _Bits:
    """A BF16 value's memory for numpy, which keeps this object, and with it the value, alive."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self.__array_interface__ = {
            "shape": tuple(value.shape()),
            "typestr": "<u2",
            "data": (value.data_ptr(), False),
            "version": 3,
        }

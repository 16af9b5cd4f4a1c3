"""From requests to one batch, and from its result back to each request. Pure.

A single request is handed on without a copy; several cost one concatenation per input. Outputs are sliced as
views. A `reshape` of the config is applied in between: clients see `dims`, the model sees `reshape`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from naiad.core.backend import Batch, Result
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.errors import BackendError
from naiad.core.pending import Pending
from naiad.core.types import Array, DataType, Shape, Tensor

_BYTES = DataType.BYTES  # found ten times as fast as the member in its class


class Shaper:
    """Gathers and splits for one config."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self.model = config.name
        self._batching = config.batching
        self._inputs = config.inputs
        self._reshaped_outputs = any(output.reshape is not None for output in config.outputs)

    def gather(self, entries: Sequence[Pending]) -> Batch:
        """One batch of `entries`, which share a BatchKey."""
        starts = list(accumulate([entry.plan.rows for entry in entries], initial=0))
        first = entries[0].plan
        inputs: dict[str, Tensor] = {}
        for i, tensor in enumerate(self._inputs):
            if first.order[i] < 0:
                continue
            array = self._join(entries, i)
            shape = first.key.shapes[i] or ()
            inputs[tensor.name] = self._tensor(tensor, array, (starts[-1], *shape) if self._batching else shape)
        return Batch(inputs, starts, [entry.plan.parameters for entry in entries])

    def batch_of(self, arrays: Mapping[str, tuple[Shape, Array]]) -> Batch:
        """A batch of one request: by input its shape as clients see it, batch dimension included, and its data."""
        inputs = {
            tensor.name: self._tensor(tensor, arrays[tensor.name][1], arrays[tensor.name][0])
            for tensor in self._inputs
            if tensor.name in arrays
        }
        rows = next((shape[0] for shape, _ in arrays.values() if shape), 1) if self._batching else 1
        return Batch(inputs, [0, rows], [{}])

    @staticmethod
    def _join(entries: Sequence[Pending], i: int) -> Array:
        if len(entries) == 1:
            entry = entries[0]
            return entry.request.data[entry.plan.order[i]]
        return np.concatenate([entry.request.data[entry.plan.order[i]] for entry in entries])

    def _tensor(self, tensor: TensorConfig, array: Array, shape: Shape) -> Tensor:
        if tensor.reshape is not None:
            lead = shape[:1] if self._batching else ()
            shape = (*lead, *fill(tensor.reshape, shape[len(lead) :]))
        if tensor.datatype is not _BYTES and array.shape != shape:
            array = array.reshape(shape)
        return Tensor(tensor.datatype, shape, array)

    def outputs(self, result: Result, rows: int) -> Sequence[Array]:
        """The result's arrays in the shapes that clients see; BackendError where rows or outputs are missing."""
        arrays = result.arrays
        if len(arrays) != len(self._config.outputs):
            raise BackendError(
                f"model '{self._config.name}' gave {len(arrays)} outputs, its config has {len(self._config.outputs)}"
            )
        if self._batching:
            for tensor, array in zip(self._config.outputs, arrays, strict=True):
                if not array.ndim or array.shape[0] != rows:
                    raise BackendError(
                        f"output '{tensor.name}' of model '{self._config.name}' has shape {list(array.shape)} for a "
                        f"batch of {rows}: its first dimension must be the batch size"
                    )
        return self._reshape(arrays) if self._reshaped_outputs else arrays

    def _reshape(self, arrays: Sequence[Array]) -> Sequence[Array]:
        lead = 1 if self._batching else 0
        return [
            a if t.reshape is None else a.reshape((*a.shape[:lead], *fill(t.dims, a.shape[lead:])))
            for t, a in zip(self._config.outputs, arrays, strict=True)
        ]


def fill(target: Shape, source: Shape) -> Shape:
    """`target` with its -1s filled: a single one is whatever is left over, several take `source`'s in order.

    Raises BackendError when the two do not have the same number of elements.
    """
    if target.count(-1) > 1 and target.count(-1) == len(source):
        sizes = iter(source)
        target = tuple(next(sizes) if dim == -1 else dim for dim in target)
    total = int(np.prod(source, dtype=np.int64))
    known = int(np.prod([dim for dim in target if dim != -1], dtype=np.int64))
    if -1 in target:
        if known == 0 or total % known:
            raise BackendError(f"cannot reshape {list(source)} to {list(target)}")
        return tuple(total // known if dim == -1 else dim for dim in target)
    if known != total:
        raise BackendError(f"cannot reshape {list(source)} to {list(target)}")
    return target

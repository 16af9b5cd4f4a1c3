"""What tests of backends share: loading a model as the manager does, and batches made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core.backend import Batch, Executable, ModelFiles
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.problems import InvalidConfig
from naiad.core.types import Array, DataType, Tensor

CPU = Device(Kind.CPU)
OPTIONS = BackendOptions(cpu_count=2)


def files(path: Path) -> ModelFiles:
    """The files of a version whose model is `path`, which stands in the version's directory."""
    return ModelFiles(path.parent.parent, path.parent, path)


def onnx_model(
    path: Path, signature: str, body: str, defaults: Mapping[str, Array] | None = None, strip_shapes: bool = False
) -> Path:
    """An ONNX model in ONNX's text syntax; `defaults` are its initializers."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> m {signature} {{ {body} }}')
    named = (defaults or {}).items()
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in named)
    if strip_shapes:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path)
    return path


@contextmanager
def loaded(
    path: Path, config: ModelConfig | None = None, options: BackendOptions = OPTIONS
) -> Iterator[tuple[Executable, ModelConfig]]:
    """An ONNX model on the CPU, with its completed config."""
    backend = backends.create("onnxruntime", options)
    try:
        completed = backend.complete(config or ModelConfig("m"), files(path))
        executable = backend.load(CPU)
        yield executable, completed
        executable.close()
    finally:
        backend.close()


def refusal(path: Path, config: ModelConfig | None = None) -> InvalidConfig:
    """Why an ONNX model cannot be completed."""
    backend = backends.create("onnxruntime", OPTIONS)
    with pytest.raises(InvalidConfig) as raised:
        backend.complete(config or ModelConfig("m"), files(path))
    backend.close()
    return raised.value


def batch(inputs: Mapping[str, Tensor], requests: Sequence[int] = (1,)) -> Batch:
    """A batch of requests with so many rows each."""
    return Batch(inputs, list(accumulate(requests, initial=0)), [{}] * len(requests))


def tensor(array: Array, datatype: DataType | None = None) -> Tensor:
    """A tensor of a fixed-size datatype."""
    datatype = datatype or DataType.of(array.dtype)
    assert datatype is not None, array.dtype
    return Tensor(datatype, array.shape, array)


def values(datatype: DataType, shape: Sequence[int], seed: int = 0) -> Array:
    """Numbers of a fixed-size datatype that use all of its bits, but are no NaN."""
    count = int(np.prod(shape))
    bits = np.random.default_rng(seed).integers(0, 256, count * datatype.itemsize, np.uint8)
    if datatype is DataType.BOOL:
        return (bits % 2).astype(bool).reshape(shape)
    array = bits.view(datatype.dtype)
    return np.nan_to_num(array).reshape(shape) if array.dtype.kind == "f" else array.reshape(shape)

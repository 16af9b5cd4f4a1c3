"""What the ONNX Runtime backend adds to a bare `session.run`, with the same options for the session: one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks import models
from benchmarks.options import Options
from benchmarks.report import Section, Table, figure
from benchmarks.timing import interleaved
from naiad.backends import BackendOptions
from naiad.backends.onnxruntime import OnnxRuntimeBackend
from naiad.core.backend import Batch, Executable, ModelFiles
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.types import Array, DataType, Tensor

ROWS = (1, 32)
HEAD = ("model", "rows", "backend us least", "median", "session.run us least", "median", "added us")


def measure(options: Options) -> Section:
    with tempfile.TemporaryDirectory() as directory:
        (small,) = models.small(Path(directory), 1)
        files = {
            "one layer, 16 to 4": Path(directory) / small / "1" / "model.onnx",
            "-".join(map(str, models.MLP_SIZES)): models.mlp(Path(directory)),
        }
        rows = [_row(name, file, count, options) for name, file in files.items() for count in ROWS]
    return Section(
        "The ONNX Runtime backend", ("A batch through the backend, and the bare call.",), [Table(HEAD, rows)]
    )


def _row(name: str, file: Path, rows: int, options: Options) -> tuple[str, ...]:
    executable, session = _executable(file), _session(file)
    try:
        (tensor,) = session.get_inputs()
        array = np.zeros((rows, *tensor.shape[1:]), np.float32)
        functions = {"ours": _batch(executable, array), "bare": lambda: session.run(None, {"INPUT0": array})}
        times = interleaved(functions, options.rounds)
    finally:
        executable.close()
    ours, bare = times["ours"], times["bare"]
    figures = (ours.least, ours.median, bare.least, bare.median, ours.least - bare.least)
    return (name, str(rows), *map(figure, figures))


def _batch(executable: Executable, array: Array) -> Callable[[], object]:
    batch = Batch({"INPUT0": Tensor(DataType.FP32, array.shape, array)}, (0, len(array)), ({},))
    return lambda: executable.run(batch)


def _executable(file: Path) -> Executable:
    backend = OnnxRuntimeBackend(BackendOptions(cpu_count=1))
    backend.complete(ModelConfig("measured", max_batch_size=64), ModelFiles(file.parents[1], file.parent, file))
    return backend.load(Device(Kind.CPU))


def _session(file: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

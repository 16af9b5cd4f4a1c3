"""Small ONNX models, built where a test or a benchmark needs one.

- Every function writes one file, creating its directory, and returns its path. The same arguments give the same
  model; `seed` chooses the weights.
- Inputs are INPUT0, INPUT1, ..., outputs OUTPUT0, ...; `n` below is the batch, of any size.
- A cost in GFLOP is for one row and counts a multiplication and an addition as two.
- Opset 17 and IR version 8, which every supported ONNX Runtime reads.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

Array = NDArray[Any]

# The datatypes of the protocol, as ONNX's text syntax calls them.
ELEMENTS = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float",
    "FP64": "double",
    "BF16": "bfloat16",
    "BYTES": "string",
}

CONV_CHANNELS = 64
CONV_SIDE = 32
SLOW_WIDTH = 128
FAILING_ROWS = 10


def mlp(path: Path, sizes: Sequence[int] = (128, 512, 512, 10), seed: int = 0) -> Path:
    """Fully connected layers with ReLU between them: FP32 [n, sizes[0]] -> [n, sizes[-1]]."""
    weights: dict[str, Array] = {}
    nodes, last = [], len(sizes) - 2
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights |= _layer(f"weights{layer}", f"bias{layer}", (inputs, outputs), inputs, seed + layer)
        source = f"active{layer - 1}" if layer else "INPUT0"
        result = "OUTPUT0" if layer == last else f"linear{layer}"
        nodes.append(f"{result} = Gemm ({source}, weights{layer}, bias{layer})")
        if layer != last:
            nodes.append(f"active{layer} = Relu ({result})")
    return _save(path, f"float[n, {sizes[0]}] INPUT0", f"float[n, {sizes[-1]}] OUTPUT0", nodes, weights)


def linear(path: Path, inputs: int = 16, outputs: int = 4, seed: int = 0) -> Path:
    """One layer: FP32 [n, inputs] -> [n, outputs], the input times `weights0` plus `bias0`."""
    return mlp(path, (inputs, outputs), seed)


def add_sub(path: Path) -> Path:
    """Triton's `simple`: INT32 [n, 16] twice -> OUTPUT0 the sum, OUTPUT1 the difference."""
    return _save(
        path,
        "int32[n, 16] INPUT0, int32[n, 16] INPUT1",
        "int32[n, 16] OUTPUT0, int32[n, 16] OUTPUT1",
        ["OUTPUT0 = Add (INPUT0, INPUT1)", "OUTPUT1 = Sub (INPUT0, INPUT1)"],
    )


def identity(path: Path, datatype: str = "FP32", dims: Sequence[int] = (16,)) -> Path:
    """The input itself, of any datatype of the protocol: [n, *dims], -1 in `dims` for any size."""
    shape = ", ".join(["n", *(str(dim) if dim >= 0 else f"any{axis}" for axis, dim in enumerate(dims))])
    tensor = f"{ELEMENTS[datatype]}[{shape}]"
    return _save(path, f"{tensor} INPUT0", f"{tensor} OUTPUT0", ["OUTPUT0 = Identity (INPUT0)"])


def fixed_batch(path: Path, batch: int = 4) -> Path:
    """A model exported with a batch of one size: FP32 [batch, 16], negated. It cannot be batched."""
    tensor = f"float[{batch}, 16]"
    return _save(path, f"{tensor} INPUT0", f"{tensor} OUTPUT0", ["OUTPUT0 = Neg (INPUT0)"])


def scalar(path: Path) -> Path:
    """A tensor without dimensions: FP32 [] -> twice as much. It cannot be batched."""
    return _save(path, "float INPUT0", "float OUTPUT0", ["OUTPUT0 = Add (INPUT0, INPUT0)"])


def nonbatching(path: Path) -> Path:
    """A model whose first dimension is no batch: FP32 [2, 3] -> its transpose [3, 2]."""
    return _save(path, "float[2, 3] INPUT0", "float[3, 2] OUTPUT0", ["OUTPUT0 = Transpose (INPUT0)"])


def slow(path: Path, gflop: float = 0.1, seed: int = 0) -> Path:
    """A chain of matrix products that costs at least `gflop` for one row: FP32 [n, 128] -> [n, 128].

    Each row is turned by the orthogonal `rotation` once for each product, so nothing overflows in long chains.
    """
    products = math.ceil(gflop * 1e9 / (2 * SLOW_WIDTH**3))
    normal = np.random.default_rng(seed).standard_normal((SLOW_WIDTH, SLOW_WIDTH))
    nodes = ["rows = Unsqueeze (INPUT0, middle)", "product0 = Mul (rows, copies)"]
    nodes += [f"product{at + 1} = MatMul (product{at}, rotation)" for at in range(products)]
    nodes += [f"OUTPUT0 = ReduceMean <axes = [1], keepdims = 0> (product{products})"]
    constants = {
        "middle": np.array([1]),
        "copies": np.ones((SLOW_WIDTH, 1), dtype=np.float32),
        "rotation": np.linalg.qr(normal).Q.astype(np.float32),
    }
    tensor = f"float[n, {SLOW_WIDTH}]"
    return _save(path, f"{tensor} INPUT0", f"{tensor} OUTPUT0", nodes, constants)


def conv(path: Path, gflop: float = 1.0, seed: int = 0) -> Path:
    """A plain convolutional network of at least `gflop` for one image: FP32 [n, 3, 32, 32] -> [n, 64]."""
    first = _conv_flop(3)
    layers = 1 + max(0, math.ceil((gflop * 1e9 - first) / _conv_flop(CONV_CHANNELS)))
    weights: dict[str, Array] = {}
    nodes = []
    for layer in range(layers):
        channels, source = (CONV_CHANNELS, f"active{layer - 1}") if layer else (3, "INPUT0")
        shape = (CONV_CHANNELS, channels, 3, 3)
        weights |= _layer(f"weights{layer}", f"bias{layer}", shape, 9 * channels, seed + layer)
        nodes.append(f"maps{layer} = Conv <pads = [1, 1, 1, 1]> ({source}, weights{layer}, bias{layer})")
        nodes.append(f"active{layer} = Relu (maps{layer})")
    nodes += [f"pooled = GlobalAveragePool (active{layers - 1})", "OUTPUT0 = Flatten (pooled)"]
    image = f"float[n, 3, {CONV_SIDE}, {CONV_SIDE}] INPUT0"
    return _save(path, image, f"float[n, {CONV_CHANNELS}] OUTPUT0", nodes, weights)


def failing(path: Path) -> Path:
    """A model that fails for some values: INT64 [n, 1] -> FP32 [n, 1], the square of a number below 10.

    A number outside -10..9 makes ONNX Runtime fail the whole run with "indices element out of data bounds"; -10 to
    -1 count from the end, as in Python.
    """
    squares = np.arange(FAILING_ROWS, dtype=np.float32) ** 2
    nodes = ["OUTPUT0 = Gather (squares, INPUT0)"]
    return _save(path, "int64[n, 1] INPUT0", "float[n, 1] OUTPUT0", nodes, {"squares": squares})


def external_data(path: Path, seed: int = 0) -> Path:
    """The model of `linear` with its weights in `weights.bin` beside it, without which it does not load."""
    model = onnx.load(linear(path, seed=seed))
    weights = path.with_name("weights.bin")
    weights.unlink(missing_ok=True)  # an existing file would be added to
    onnx.save_model(model, path, save_as_external_data=True, location=weights.name, size_threshold=0)
    return path


def _conv_flop(channels: int) -> int:
    return 2 * 9 * channels * CONV_CHANNELS * CONV_SIDE**2


def _layer(weights: str, bias: str, shape: tuple[int, ...], inputs: int, seed: int) -> dict[str, Array]:
    """Draw weights that keep the size of what passes through a ReLU (He et al. 2015), and a small bias."""
    random = np.random.default_rng(seed)
    outputs = shape[-1] if len(shape) == 2 else shape[0]
    return {
        weights: (random.standard_normal(shape) * math.sqrt(2 / inputs)).astype(np.float32),
        bias: (random.standard_normal(outputs) * 0.1).astype(np.float32),
    }


def _save(
    path: Path, inputs: str, outputs: str, nodes: Sequence[str], constants: Mapping[str, Array] | None = None
) -> Path:
    body = "\n".join(nodes)
    text = f'<ir_version: 8, opset_import: ["": 17]> {path.stem} ({inputs}) => ({outputs}) {{\n{body}\n}}'
    model = parser.parse_model(text)
    named = (constants or {}).items()
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in named)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path)
    return path

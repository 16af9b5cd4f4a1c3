"""What a run of an ONNX graph computes: floating-point operations of its convolutions and matrix products.

A multiplication and an addition count as two. What is left out (activations, pooling, biases) is below a hundredth in
the networks measured here.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx

Shapes = dict[str, tuple[int, ...]]


def counted(model: Path) -> int:
    """Operations for one row: a dimension of any size counts 1."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(model)).graph
    shapes: Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
    return sum(_operations(node, shapes) for node in graph.node)


def _operations(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Twice the size of the result times the length of the sums that it consists of."""
    match node.op_type:
        case "Conv":
            summed = prod(shapes[node.input[1]][1:])
        case "Gemm":
            summed = shapes[node.input[0]][0 if _attribute(node, "transA") else -1]
        case "MatMul":
            summed = shapes[node.input[0]][-1]
        case _:
            return 0
    return 2 * prod(shapes[node.output[0]]) * summed


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)

"""A request's tensor bytes as arrays, without a copy: pure.

Sizes are compared as Python numbers before numpy is asked, so that no shape can overflow anything. Data that does not
have its shape's size stays a one-dimensional uint8 array: the core, which alone knows what the model expects, reports
it in its turn.
"""

from __future__ import annotations

from math import prod

import numpy as np

from naiad.core.errors import InvalidArgument
from naiad.core.types import Array, DataType, Shape, TensorSpec
from naiad.core.validation import prefix
from naiad.frontends.grpc.transport import Buffer

_UINT8 = DataType.UINT8.dtype
_NEVER = -1


def expected_bytes(spec: TensorSpec) -> int | None:
    """How many bytes a fixed-size tensor has, -1 if its shape is not one; None for BYTES, where any number goes."""
    if spec.datatype is DataType.BYTES:
        return None
    if spec.shape and min(spec.shape) < 0:
        return _NEVER
    return prod(spec.shape) * spec.datatype.itemsize


def view(data: Buffer, spec: TensorSpec, nbytes: int | None) -> Array:
    """`data` as the array of an input (see `InferRequest.data`); `nbytes` is `expected_bytes(spec)`."""
    if nbytes == len(data):
        return np.ndarray(spec.shape, spec.datatype.dtype, data)
    return np.ndarray((len(data),), _UINT8, data)


def fit(array: Array, spec: TensorSpec) -> Array:
    """A one-dimensional array in its input's shape, or as bytes if it has not the shape's size; read-only."""
    array = array.reshape(spec.shape) if array.nbytes == expected_bytes(spec) else array.view(_UINT8)
    array.flags.writeable = False
    return array


def as_bytes_tensor(data: bytes) -> Array:
    """A BYTES tensor from its wire form."""
    return np.ndarray((len(data),), _UINT8, data)


def check_shape(name: str, datatype: DataType, shape: Shape, request_id: str) -> None:
    """Refuse a shape that numpy has no array for (more than 64 dimensions, or endless ones beside a zero)."""
    if datatype is DataType.BYTES or (shape and min(shape) < 0):
        return
    try:
        np.empty(shape if 0 in shape else (1,) * len(shape), datatype.dtype)  # other sizes are held against real data
    except ValueError:
        raise InvalidArgument(
            f"{prefix(request_id)}input '{name}' has a shape that no array can have: [{','.join(map(str, shape))}]"
        ) from None

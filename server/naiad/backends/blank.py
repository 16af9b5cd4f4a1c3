"""The rows of an output that nothing computed."""

from __future__ import annotations

import numpy as np

from naiad.core.config import TensorConfig
from naiad.core.types import Array, DataType, Shape


def inner(tensor: TensorConfig) -> Shape:
    """A tensor's shape as the model sees it, without the batch dimension."""
    return tensor.dims if tensor.reshape is None else tensor.reshape


def blank(tensor: TensorConfig, rows: int | None) -> Array:
    """Zeros (BYTES: empty) in the model's own shape, a dimension of any size 0; None for no batch dimension."""
    lead = () if rows is None else (rows,)
    return zeros(tensor.datatype, (*lead, *(max(dim, 0) for dim in inner(tensor))))


def zeros(datatype: DataType, shape: Shape) -> Array:
    """An array of zeros, or of empty strings."""
    return np.full(shape, b"" if datatype is DataType.BYTES else 0, datatype.dtype)

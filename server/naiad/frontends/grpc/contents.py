"""Typed contents (`InferTensorContents`) to arrays: pure.

FP16 and BF16 have no typed contents. INT8, INT16, UINT8 and UINT16 share the 32-bit fields; Triton keeps the low
bytes of what is too large for them and so computes with a number that nobody sent: here that is an error.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from naiad.core import strings
from naiad.core.errors import InvalidArgument
from naiad.core.types import Array, DataType, TensorSpec
from naiad.frontends.grpc.tensors import as_bytes_tensor, fit
from naiad.protocol import grpc_service_pb2 as pb

_FIELDS: tuple[tuple[str, tuple[DataType, ...], DataType], ...] = (
    ("bool_contents", (DataType.BOOL,), DataType.BOOL),
    ("int_contents", (DataType.INT8, DataType.INT16, DataType.INT32), DataType.INT32),
    ("int64_contents", (DataType.INT64,), DataType.INT64),
    ("uint_contents", (DataType.UINT8, DataType.UINT16, DataType.UINT32), DataType.UINT32),
    ("uint64_contents", (DataType.UINT64,), DataType.UINT64),
    ("fp32_contents", (DataType.FP32,), DataType.FP32),
    ("fp64_contents", (DataType.FP64,), DataType.FP64),
    ("bytes_contents", (DataType.BYTES,), DataType.BYTES),
)
"""Each field with the datatypes it may hold and the one that it is called in errors, in the order of judgement."""


def read_contents(contents: pb.InferTensorContents, spec: TensorSpec, model: str) -> Array:
    """The array of one input, shaped as `InferRequest.data` wants it; InvalidArgument for the wrong field."""
    values: Collection[object] = ()
    for field, accepted, called in _FIELDS:
        given: Collection[object] = getattr(contents, field)
        if not given:
            continue
        _check_field(bool(values), accepted, called, spec, model)
        values = given
    if spec.datatype is DataType.BYTES:
        return as_bytes_tensor(strings.encode(values))
    return fit(_numbers(values, spec, model), spec)


def _check_field(second: bool, accepted: tuple[DataType, ...], called: DataType, spec: TensorSpec, model: str) -> None:
    what = f"unexpected explicit tensor data for input tensor '{spec.name}' for model '{model}'"
    if second:
        raise InvalidArgument(f"{what}, binary data was already supplied.")
    if spec.datatype not in accepted:
        raise InvalidArgument(f"{what} of type '{called.value}', expected datatype '{spec.datatype.value}'")


def _numbers(values: Collection[object], spec: TensorSpec, model: str) -> Array:
    dtype = spec.datatype.dtype
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        return np.fromiter(values, dtype, len(values))
    wide = np.fromiter(values, np.int64, len(values))
    limits = np.iinfo(dtype)
    outside = wide[(wide < limits.min) | (wide > limits.max)]
    if outside.size:
        raise InvalidArgument(
            f"value {outside[0]} of input tensor '{spec.name}' for model '{model}' is outside the range of datatype "
            f"'{spec.datatype.value}', [{limits.min}, {limits.max}]"
        )
    return wide.astype(dtype)

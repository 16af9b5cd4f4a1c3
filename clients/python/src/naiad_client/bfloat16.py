"""BF16, which numpy has not: the upper half of an FP32, rounded to nearest, ties to even. Pure.

Bits are uint16. Where the package `ml_dtypes` is installed, arrays of its `bfloat16` are taken and given instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
BITS = np.dtype("<u2")

_QUIET_NAN = 0x40


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether this is the dtype of `ml_dtypes`, which is then installed."""
    return dtype.name == "bfloat16"


def from_float32(array: Array) -> Array:
    """The bits of the nearest BF16 values; OverflowError for a finite value that is too large."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    nearest = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16
    if (np.isfinite(array) & (nearest & 0x7F80 == 0x7F80)).any():
        raise OverflowError("a value is beyond the largest BF16")
    return np.where(np.isnan(array), (bits >> 16) | _QUIET_NAN, nearest).astype(BITS)


def given(bits: Array) -> Array:
    """What the caller gets for these bits: `bfloat16` where it can be had, else the bits."""
    try:
        import ml_dtypes
    except ImportError:
        return bits
    return bits.view(ml_dtypes.bfloat16)

"""Whether a safetensors file is whole: its header says where the last tensor ends.

Eight bytes with the length of the header, little-endian, the header in JSON, then the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from naiad.repository.structure import WHOLE, Structure, is_zero
from naiad.repository.windows import Window

MAX_HEADER = 16 * 1024 * 1024
"""Bytes of a header that is read; a file with a longer one is not judged. That of a large model has 0.1 MB."""
_LENGTH = 8


def check(window: Window) -> Structure:
    """What is wrong with a safetensors file; raises OSError."""
    begin = window.read(0, _LENGTH)
    if is_zero(begin):
        return Structure("begins with zeros")
    if len(begin) < _LENGTH:
        return Structure(f"has {len(begin)} of the {_LENGTH} bytes that it begins with")
    length = int.from_bytes(begin, "little")
    if length > MAX_HEADER:
        return WHOLE
    header = window.read(_LENGTH, length)
    if len(header) < length:
        return Structure(f"has {len(header)} of the {length} bytes of its header")
    if b"\0" in header:
        return Structure("has zeros in its header")
    end = _LENGTH + length + max(_ends(header), default=0)
    return WHOLE if end <= window.size else Structure(f"has {window.size} of {end} bytes")


def _ends(header: bytes) -> Iterator[int]:
    """Where each tensor ends, after the header; nothing where that does not say it."""
    try:
        tensors = json.loads(header)
    except (ValueError, RecursionError):
        return
    for tensor in tensors.values() if isinstance(tensors, dict) else ():
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if isinstance(offsets, list) and offsets and type(offsets[-1]) is int:
            yield offsets[-1]

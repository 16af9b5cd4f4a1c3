"""Whether a zip file, such as PyTorch's, is whole: its directory of entries stands at the end and tells of the rest.

The layout is that of APPNOTE.TXT of PKWARE, 4.3. What does not begin like a zip file is not judged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from naiad.repository.structure import WHOLE, Structure, is_zero
from naiad.repository.windows import Window

MAX_ENTRIES = 100_000
"""Entries that are looked at; the rest is not judged."""
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64, _LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _END64_BYTES, _CENTRAL_BYTES, _LOCAL_BYTES = 22, 20, 56, 46, 30
_LONGEST_COMMENT = 65_535
_MOST_ENDS = 16
"""Places that may be the end's record before the search is given up: a comment can hold its signature."""
_LARGE = 0xFFFF_FFFF
"""Stands for a number that is in the record of zip64."""
_ZIP64 = 1


class _Directory(NamedTuple):
    start: int
    size: int
    entries: int


def check(window: Window) -> Structure:
    """What is wrong with a file that may be a zip file; raises OSError."""
    begin = window.read(0, 4)
    if is_zero(begin):
        return Structure("begins with zeros")
    if not _LOCAL.startswith(begin.rstrip(b"\0")):
        return WHOLE
    faults = [_fault(window, directory) for directory in _directories(window)]
    if not faults:
        return Structure("ends without its directory of entries")
    return WHOLE if "" in faults else Structure(faults[0])


def _directories(window: Window) -> Iterator[_Directory]:
    """Where the directory of entries may be, the likeliest first."""
    start = max(0, window.size - _END_BYTES - _LONGEST_COMMENT)
    tail = window.read(start, window.size - start)
    at = len(tail)
    for _ in range(_MOST_ENDS):
        at = tail.rfind(_END, 0, at)
        if at < 0:
            return
        record = tail[at : at + _END_BYTES]
        if len(record) == _END_BYTES:
            _, _, _, _, entries, size, offset, comment = struct.unpack("<4s4H2LH", record)
            if at + _END_BYTES + comment <= len(tail):
                yield _large(window, start + at) or _Directory(offset, size, entries)


def _large(window: Window, end: int) -> _Directory | None:
    """The directory as zip64 tells of it, where it does."""
    if end < _LOCATOR_BYTES:
        return None
    signature, _, offset, _ = struct.unpack("<4sLQL", window.read(end - _LOCATOR_BYTES, _LOCATOR_BYTES))
    record = window.read(offset, _END64_BYTES) if signature == _LOCATOR64 and offset < window.size else b""
    if len(record) < _END64_BYTES or not record.startswith(_END64):
        return None
    *_, entries, size, start = struct.unpack("<4sQ2H2L4Q", record)
    return _Directory(start, size, entries)


def _fault(window: Window, directory: _Directory) -> str:
    """What does not fit together, or nothing."""
    at, end = directory.start, directory.start + directory.size
    if end > window.size:
        return f"has a directory of entries that ends at byte {end} of {window.size}"
    if not directory.entries:
        return "has a directory without entries"
    for _ in range(min(directory.entries, MAX_ENTRIES)):
        header = window.read(at, _CENTRAL_BYTES)
        if len(header) < _CENTRAL_BYTES or not header.startswith(_CENTRAL) or at + _CENTRAL_BYTES > end:
            return f"has no entry at byte {at} of its directory of entries"
        name, extra, comment = struct.unpack_from("<3H", header, 28)
        size, offset = _span(header, window.read(at + _CENTRAL_BYTES + name, extra))
        if offset + _LOCAL_BYTES + size > directory.start or window.read(offset, 4) != _LOCAL:
            return f"has no entry at byte {offset}, where its directory of entries has one of {size} bytes"
        at += _CENTRAL_BYTES + name + extra + comment
    return ""


def _span(header: bytes, extra: bytes) -> tuple[int, int]:
    """The bytes that an entry has in the file, and where it begins."""
    size, uncompressed, offset = (*struct.unpack_from("<2L", header, 20), *struct.unpack_from("<L", header, 42))
    large = iter(_zip64(extra))
    if uncompressed == _LARGE:
        next(large, 0)
    size = next(large, size) if size == _LARGE else size
    offset = next(large, offset) if offset == _LARGE else offset
    return size, offset


def _zip64(extra: bytes) -> tuple[int, ...]:
    """The large numbers of an entry, in the order of the small ones that they replace."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64:
            content = extra[at + 4 : at + 4 + size]
            count = min(len(content) // 8, 3)
            return struct.unpack(f"<{count}Q", content[: count * 8])
        at += 4 + size
    return ()

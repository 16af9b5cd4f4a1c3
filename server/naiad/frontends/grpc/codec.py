"""ModelInfer requests from the wire to the core: pure; what is learnt is kept in a cache that is handed in.

There are three ways, and they give equal results:

- Seen before: clients repeat all but the id and the tensors' bytes, in the order of field numbers. What stands before
  the id, and how much follows it, name a `_Layout`, whose header and tags are then compared byte for byte. A single
  BYTES tensor may have any length: what stands before the id alone names its `_Open` layout.
- Scanned: the top level is split by hand (wire.py), so that tensors stay where they are; the rest is the header,
  looked up by its bytes or else parsed by protobuf, which would copy each tensor at parsing and again at access.
- Parsed: what the scan does not understand goes through protobuf whole, which also says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from google.protobuf.message import DecodeError

from naiad.core.errors import InvalidArgument, NaiadError
from naiad.core.types import Array, DataType, InferRequest, Shape, Signature
from naiad.frontends.grpc.decoding import Header, place, read
from naiad.frontends.grpc.generations import Generations
from naiad.frontends.grpc.transport import Buffer
from naiad.frontends.grpc.wire import Field, scan, tag, varint_at
from naiad.frontends.versions import parse_version
from naiad.protocol import grpc_service_pb2 as pb

_NAME, _VERSION, _ID = tag(1), tag(2), tag(3)
_PARAMETERS, _INPUT, _OUTPUT, _RAW = tag(4), tag(5), tag(6), tag(7)
_HEADER_TAGS = frozenset({_PARAMETERS, _INPUT, _OUTPUT})

LARGEST_HEADER = 4096
"""Headers above this are not remembered: a cache holds at most two generations of so many bytes each."""
SMALL = 32 * 1024
"""Messages up to this size that are not `bytes` yet are copied: comparing bytes is much faster than views."""

Known = Callable[[str, int | None], object]
_array = np.ndarray
_UINT8 = DataType.UINT8.dtype
_new = cast("Callable[[type[InferRequest], tuple[Any, ...]], InferRequest]", tuple.__new__)
"""What NamedTuple's own constructor calls, at half the price."""


_Tensor = tuple[int, bytes, int, Shape, np.dtype[Any]]
"""Where a tensor is, counted from the end of the id: the bytes before its data, the data, its shape and dtype."""

_Layout = tuple[bytes, Signature, int, Shape, np.dtype[Any], tuple[_Tensor, ...] | None]
"""A whole message but for its id and its tensors' bytes: the header, from the end of the id to the first tensor's data;
the signature; offset (from the end of the id), shape and dtype of the first tensor; the others, if any.

Both are plain tuples because those are unpacked fastest.
"""

_Open = tuple[bytes, Signature]
"""A message with one BYTES tensor: the header, from the end of the id to the tensor's length; the signature."""


class DecodeCache(Generations[tuple[bytes, int], _Layout]):
    """What a decoder has learnt, for any number of threads (generations.py says why no lock is needed).

    The layouts themselves, by what stands before the id and the number of bytes behind it; the open ones; the headers.
    """

    __slots__ = ("headers", "open")

    def __init__(self, size: int = 1024) -> None:
        super().__init__(size)
        self.headers: Generations[bytes, Header] = Generations(size)
        self.open: Generations[bytes, _Open] = Generations(size)


def decode(
    message: Buffer,
    cache: DecodeCache,
    received_ns: int,
    deadline: float | None = None,
    trace_id: str = "",
    known: Known | None = None,
    reserved: bool = False,
) -> InferRequest:
    """Read a ModelInferRequest; the other arguments become the request's fields.

    Raises InvalidArgument and Unimplemented; before that `known` is asked about the model (name and version), and
    what it raises comes first, unless the message or the version cannot be read at all. Tensors are views of
    `message`, which must not change afterwards.
    """
    if type(message) is not bytes:
        if len(message) > SMALL:
            return _decode_new(message, cache, received_ns, deadline, trace_id, known, reserved)
        message = bytes(message)
    try:
        start = 2 + message[1]
        following = message[start]
        if following == _VERSION:
            start += 2 + message[start + 1]
            following = message[start]
        if following == _ID and (length := message[start + 1]) < 0x80:
            end = start + 2 + length
            request_id = message[start + 2 : end].decode()
        else:
            end = start
            request_id = ""
        size = len(message)
        before = message[:start]
        layout = cache.young.get((before, size - end))
        if layout is None:
            signature, data = _open(message, before, end, cache)
            return _new(InferRequest, (signature, request_id, data, received_ns, size, deadline, trace_id, reserved))
        header, signature, offset, shape, dtype, others = layout
        if message[end : end + offset] == header:
            first = _array(shape, dtype, message, end + offset)
            data = (first,) if others is None else _all(first, message, end, others)
            return _new(InferRequest, (signature, request_id, data, received_ns, size, deadline, trace_id, reserved))
    except (KeyError, IndexError, UnicodeDecodeError):
        pass  # not seen before
    return _decode_new(message, cache, received_ns, deadline, trace_id, known, reserved)


def _open(message: bytes, before: bytes, end: int, cache: DecodeCache) -> tuple[Signature, tuple[Array, ...]]:
    """The signature and the only tensor of a message with an open layout; KeyError if it has none."""
    header, signature = cache.open.young[before]
    position = end + len(header)
    if message[end:position] == header:
        length, position = varint_at(message, position)
        if position + length == len(message):
            return signature, (_array((length,), _UINT8, message, position),)
    raise KeyError(before)


def outline(message: Buffer) -> tuple[str, int | None, str]:
    """Model, version and id of a request that cannot be decoded, as far as they can be read; never raises.

    A version that is no number is -1, which no model has.
    """
    found = {
        f.tag: bytes(message[f.content : f.end]).decode("utf-8", "replace")
        for f in scan(message) or ()
        if f.tag in (_NAME, _VERSION, _ID)
    }
    try:
        version = parse_version(found.get(_VERSION, ""))
    except InvalidArgument:
        version = -1
    return found.get(_NAME, ""), version, found.get(_ID, "")


def _all(first: Array, message: Buffer, end: int, tensors: Sequence[_Tensor]) -> tuple[Array, ...]:
    """The first tensor and those behind it; KeyError if they are not where the layout has them."""
    arrays = [first]
    for tag_offset, lead, offset, shape, dtype in tensors:
        if message[end + tag_offset : end + offset] != lead:
            raise KeyError(lead)
        arrays.append(_array(shape, dtype, message, end + offset))
    return tuple(arrays)


def _decode_new(
    message: Buffer,
    cache: DecodeCache,
    received_ns: int,
    deadline: float | None,
    trace_id: str,
    known: Known | None,
    reserved: bool,
) -> InferRequest:
    fields = scan(message)
    view = memoryview(message).toreadonly()
    try:
        if fields is None:
            header, request_id, data = _parse(bytes(message), None, cache, known)
        else:
            header, request_id, data = _read_scanned(view, fields, cache, known)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"failed to parse the message as a ModelInferRequest: {error}") from None
    if fields is not None and isinstance(message, bytes):
        _learn(message, fields, header, cache)
    size = len(message)
    return InferRequest(header.signature, request_id, data, received_ns, size, deadline, trace_id, reserved)


_Content = tuple[Header, str, tuple[Array, ...]]


def _read_scanned(view: memoryview, fields: Sequence[Field], cache: DecodeCache, known: Known | None) -> _Content:
    raws = [view[f.content : f.end] for f in fields if f.tag == _RAW]
    ids = [f for f in fields if f.tag == _ID]
    head = b"".join([view[f.start : f.end] for f in fields if f.tag not in (_RAW, _ID)])
    small = len(head) <= LARGEST_HEADER
    header = cache.headers.get(head) if small and len(ids) < 2 else None
    if header is None:
        content = _parse(head + b"".join([view[f.start : f.end] for f in ids]), raws, cache, known)
        if small and raws:
            cache.headers.put(head, content[0])
        return content
    try:
        return header, "".join([str(view[f.content : f.end], "utf-8") for f in ids]), place(header, raws)
    except NaiadError:
        _ask(known, header.signature.model, header.signature.version)
        raise


def _parse(message: bytes, raws: Sequence[Buffer] | None, cache: DecodeCache, known: Known | None) -> _Content:
    """Read a message by protobuf; `raws` are its tensors, None for those that it holds itself."""
    parsed = pb.ModelInferRequest.FromString(message)
    version = parse_version(parsed.model_version)
    try:
        header, data = read(parsed, version, list(parsed.raw_input_contents) if raws is None else raws)
    except NaiadError:
        _ask(known, parsed.model_name, version)
        raise
    request_id = parsed.id
    return _interned(parsed, header, cache), request_id, data


def _ask(known: Known | None, model: str, version: int | None) -> None:
    if known is not None:
        known(model, version)


def _interned(parsed: pb.ModelInferRequest, header: Header, cache: DecodeCache) -> Header:
    """The one header of this content: requests that differ in id and data only share its signature."""
    parsed.ClearField("id")
    parsed.ClearField("raw_input_contents")
    for tensor in parsed.inputs:
        tensor.ClearField("contents")
    key = parsed.SerializeToString(deterministic=True)
    if len(key) > LARGEST_HEADER:
        return header
    found = cache.headers.get(key)
    if found is None:
        found = header._replace(signature=replace(header.signature, interned=True))
        cache.headers.put(key, found)
    return found


def _learn(message: bytes, fields: Sequence[Field], header: Header, cache: DecodeCache) -> None:
    """Remember how a message is laid out, if its fields are in the usual order and its tensors' sizes are fixed."""
    count = len(header.nbytes)
    if not count or (None in header.nbytes and count > 1):
        return
    middle, raws = fields[:-count], fields[-count:]
    leading = _leading(middle)
    if leading is None or any(
        f.end - f.content != n for f, n in zip(raws, header.nbytes, strict=True) if n is not None
    ):
        return
    if {f.tag for f in raws} != {_RAW} or not {f.tag for f in middle[leading:]} <= _HEADER_TAGS:
        return
    last = middle[leading - 1]
    start = last.start if last.tag == _ID else last.end
    if header.nbytes == (None,):
        if raws[0].start - last.end < LARGEST_HEADER:
            cache.open.put(message[:start], (message[last.end : raws[0].start + 1], header.signature))
        return
    tensors: list[_Tensor] = [
        (f.start - last.end, message[f.start : f.content], f.content - last.end, spec.shape, spec.datatype.dtype)
        for f, spec in zip(raws, header.signature.inputs, strict=True)
    ]
    _, _, offset, shape, dtype = tensors[0]
    if offset <= LARGEST_HEADER:
        whole = message[last.end : last.end + offset]
        layout = (whole, header.signature, offset, shape, dtype, tuple(tensors[1:]) or None)
        cache.put((message[:start], len(message) - last.end), layout)


def _leading(fields: Sequence[Field]) -> int | None:
    """How many fields are name, version and id, each at most once and shorter than 128 bytes; None without a name."""
    tags = [f.tag for f in fields[:3]]
    for count in (3, 2, 1):
        usual = ([_NAME, _VERSION, _ID], [_NAME, _VERSION], [_NAME, _ID], [_NAME])
        if tags[:count] in usual and all(f.content - f.start == 2 for f in fields[:count]):
            return count
    return None

"""ModelInfer responses from the core to the wire: pure; what is learnt is kept in a cache that is handed in.

A response is what comes before its id, what comes behind, and its tensors' bytes. The first two are learnt per head
and shapes. Large tensors are not copied: they are sent as views of their arrays, as parts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from naiad.core import strings
from naiad.core.errors import Internal, InvalidArgument
from naiad.core.types import Array, DataType, InferResponse, ResponseHead, Shape
from naiad.frontends.grpc.generations import Generations
from naiad.frontends.grpc.transport import Buffer
from naiad.frontends.grpc.wire import tag, varint
from naiad.protocol import grpc_service_pb2 as pb

LARGE = 16 * 1024
"""Up to this size copying a tensor into the piece before it costs less than handling it as a part of its own."""
LARGEST_RESPONSE = 2**31 - 1

_ID, _RAW = bytes([tag(3)]), bytes([tag(6)])
_SHORT_IDS = tuple(_ID + varint(size) for size in range(128))
_BYTES = -1


_Tensor = tuple[int, bytes]
"""How one output is written: its size and the tag before it, or _BYTES and nothing where that differs each time."""
_Template = tuple[bytes, bytes, tuple[_Tensor, ...]]
"""What comes before the id, what comes behind, and the tensors."""
_Single = tuple[bytes, bytes, int]
"""The same for one small tensor of a fixed size, whose tag is behind the id already: its size."""

_Small = tuple[bytes, list[int]]
"""The whole response with small tensors of fixed sizes, as a format for the id and each tensor's bytes; their sizes."""


class EncodeCache:
    """What an encoder has learnt, for any number of threads (generations.py says why no lock is needed)."""

    def __init__(self, size: int = 1024) -> None:
        self.single: Generations[tuple[ResponseHead, Shape], _Single] = Generations(size)
        self.small: Generations[tuple[ResponseHead, tuple[Shape, ...]], _Small] = Generations(size)
        self.any: Generations[tuple[ResponseHead, tuple[Shape, ...]], _Template] = Generations(size)


def encode(response: InferResponse, cache: EncodeCache) -> Sequence[Buffer]:
    """A ModelInferResponse in parts. The arrays must not change until the parts are sent.

    Raises Internal when an array has not the size of its datatype and shape, BackendError for an element of a BYTES
    tensor that is no string, InvalidArgument for a response that no message can hold.
    """
    head, request_id, arrays = response
    if len(arrays) == 1:
        array = arrays[0]
        try:
            before, after, nbytes = cache.single.young[head, array.shape]
            if array.nbytes == nbytes:
                if not request_id:
                    return (before + after + array.tobytes(),)
                encoded = request_id.encode()
                return (before + _SHORT_IDS[len(encoded)] + encoded + after + array.tobytes(),)
        except (KeyError, IndexError):
            pass  # not seen before, or a long id
    else:
        try:
            layout, sizes = cache.small.young[head, tuple([array.shape for array in arrays])]
            if [array.nbytes for array in arrays] == sizes:
                encoded = request_id.encode()
                named = _SHORT_IDS[len(encoded)] + encoded if encoded else b""
                return (layout % (named, *[array.tobytes() for array in arrays]),)
        except (KeyError, IndexError):
            pass  # as above
    return _encode(head, request_id, arrays, cache)


def _encode(head: ResponseHead, request_id: str, arrays: Sequence[Array], cache: EncodeCache) -> Sequence[Buffer]:
    shapes = tuple([array.shape for array in arrays])
    before, after, tensors = cache.any.get((head, shapes)) or _learn(head, shapes, cache)
    parts: list[Buffer] = []
    small: list[Buffer] = [before, _id(request_id), after]
    for i, array in enumerate(arrays):
        nbytes, lead = tensors[i]
        if nbytes == array.nbytes <= LARGE:
            small += (lead, array.tobytes())
        elif nbytes == _BYTES:
            encoded = strings.encode(array.ravel().tolist())
            small += (_RAW, varint(len(encoded)), encoded)
        elif array.nbytes != nbytes:
            raise _wrong_size(head, i, array, nbytes)
        else:
            small.append(lead)
            parts += (b"".join(small), np.ascontiguousarray(array).data.cast("B"))
            small = []
    if small:
        parts.append(b"".join(small))
    return _checked(parts)


def _id(request_id: str) -> bytes:
    if not request_id:
        return b""
    encoded = request_id.encode()
    length = len(encoded)
    return (_SHORT_IDS[length] if length < len(_SHORT_IDS) else _ID + varint(length)) + encoded


def _wrong_size(head: ResponseHead, index: int, array: Array, expected: int) -> Internal:
    name, datatype = head.outputs[index]
    return Internal(
        f"output '{name}' of model '{head.model}' has {array.nbytes} bytes for datatype {datatype.value} and shape "
        f"{list(array.shape)}, expected {expected}"
    )


def _checked(parts: Sequence[Buffer]) -> Sequence[Buffer]:
    size = sum(map(len, parts))
    if size > LARGEST_RESPONSE:
        raise InvalidArgument(f"Response has byte size {size} which exceeds gRPC's byte size limit {LARGEST_RESPONSE}.")
    return parts


def _learn(head: ResponseHead, shapes: tuple[Shape, ...], cache: EncodeCache) -> _Template:
    before = pb.ModelInferResponse(model_name=head.model, model_version=head.version)
    after = pb.ModelInferResponse()
    for (name, datatype), shape in zip(head.outputs, shapes, strict=True):
        after.outputs.add(name=name, datatype=datatype.value, shape=shape)
    tensors = tuple(_tensor(datatype, shape) for (_, datatype), shape in zip(head.outputs, shapes, strict=True))
    template = before.SerializeToString(), after.SerializeToString(), tensors
    cache.any.put((head, shapes), template)
    sizes = [nbytes for nbytes, _ in tensors]
    if len(tensors) == 1 and 0 <= sizes[0] <= LARGE:
        cache.single.put((head, shapes[0]), (template[0], template[1] + tensors[0][1], sizes[0]))
    elif tensors and min(sizes) >= 0 and max(sizes) <= LARGE:
        pieces = (template[0], template[1] + tensors[0][1], *(lead for _, lead in tensors[1:]), b"")
        cache.small.put((head, shapes), (b"%b".join(piece.replace(b"%", b"%%") for piece in pieces), sizes))
    return template


def _tensor(datatype: DataType, shape: Shape) -> _Tensor:
    if datatype is DataType.BYTES:
        return _BYTES, b""
    nbytes = prod(shape) * datatype.itemsize
    return nbytes, _RAW + varint(nbytes)

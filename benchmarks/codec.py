"""What reading a request and writing its answer cost, for a signature seen before, against protobuf's own (upb).

Ours: message to request with its arrays, response to the parts that are sent. Protobuf: parse the same request, whose
tensors are then still bytes, and serialise a response message that exists already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.options import Options
from benchmarks.report import Budget, Section, Table, figure
from benchmarks.timing import interleaved
from naiad.core import strings
from naiad.core.types import Array, DataType, InferResponse, ResponseHead
from naiad.frontends.grpc.codec import DecodeCache, decode
from naiad.frontends.grpc.encoding import EncodeCache, encode
from naiad.protocol import grpc_service_pb2 as pb

BUDGET = 4
HEAD = ("request and answer", "Naiad us least", "median", "protobuf us least", "median", "ratio of the least")


class Case(NamedTuple):
    """Tensors that go both ways."""

    name: str
    datatype: DataType
    arrays: tuple[Array, ...]


def cases() -> list[Case]:
    texts = np.array([[f"text {number}".encode() for number in range(16)]], object)
    small = np.ones((1, 16), np.float32)
    return [
        *(Case(f"{count} x FP32 [1, 16]", DataType.FP32, (small,) * count) for count in (1, 2, 4)),
        Case("1 x BYTES [1, 16]", DataType.BYTES, (texts,)),
        Case("1 x FP32 [1, 3, 224, 224], 600 KB", DataType.FP32, (np.ones((1, 3, 224, 224), np.float32),)),
        Case("1 x FP32 [1, 5000000], 20 MB", DataType.FP32, (np.ones((1, 5_000_000), np.float32),)),
    ]


def measure(options: Options) -> Section:
    rows = []
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for case in cases():
        times = interleaved({"ours": _ours(case), "protobuf": _protobuf(case)}, options.rounds)
        ours, protobuf = times["ours"], times["protobuf"]
        ratio = ours.least / protobuf.least
        ratios[case.datatype is DataType.BYTES].append(ratio)
        rows.append((case.name, *map(figure, (ours.least, ours.median, protobuf.least, protobuf.median, ratio))))
    what = "Naiad / protobuf's own parse and serialise, the largest ratio"
    note = (
        "Reading a request of a signature seen before and writing its answer, which has the same tensors. Protobuf's "
        "side has every tensor in wire form already; for BYTES ours makes that form from 16 Python objects."
    )
    return Section(
        "The codec",
        (note,),
        [Table(HEAD, rows)],
        [
            Budget(f"{what} of fixed-size datatypes", max(ratios[False]), BUDGET),
            Budget(f"{what} of BYTES", max(ratios[True]), BUDGET),
        ],
    )


def _ours(case: Case) -> Callable[[], object]:
    message, response = _request(case).SerializeToString(), _response(case)
    decoding, encoding = DecodeCache(), EncodeCache()
    now = time.monotonic_ns()

    def both() -> Sequence[object]:
        decode(message, decoding, now)
        return encode(response, encoding)

    return both


def _protobuf(case: Case) -> Callable[[], object]:
    message = _request(case).SerializeToString()
    response = pb.ModelInferResponse.FromString(b"".join(encode(_response(case), EncodeCache())))

    def both() -> bytes:
        pb.ModelInferRequest.FromString(message)
        return response.SerializeToString()

    return both


def _request(case: Case) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="model", id="1")
    for number, array in enumerate(case.arrays):
        request.inputs.add(name=f"INPUT{number}", datatype=case.datatype.value, shape=array.shape)
        request.raw_input_contents.append(_raw(case.datatype, array))
    return request


def _response(case: Case) -> InferResponse:
    outputs = tuple((f"OUTPUT{number}", case.datatype) for number in range(len(case.arrays)))
    return InferResponse(ResponseHead("model", "1", outputs), "1", case.arrays)


def _raw(datatype: DataType, array: Array) -> bytes:
    return strings.encode(array.ravel().tolist()) if datatype is DataType.BYTES else array.tobytes()

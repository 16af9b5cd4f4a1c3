"""What a scenario saw: a value that compares, prints and travels as JSON.

`status` is the name of the gRPC status, `text` the error's text, and `lines` say what an answer held, one fact to a
line, so that a difference between two servers reads like a difference between two files.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import grpc
import numpy as np
from tritonclient.utils import InferenceServerException

NUMBERS = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


class Observation(NamedTuple):
    """What one server did; equal observations mean that no client can tell the difference."""

    status: str
    text: str = ""
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.status} {self.text}".rstrip()
        return "\n".join([head, *(f"    {line}" for line in self.lines)])

    def to_json(self) -> dict[str, Any]:
        return {"status": self.status, "text": self.text, "lines": list(self.lines)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Observation":
        return cls(value["status"], value["text"], tuple(value["lines"]))


def ok(*lines: str) -> Observation:
    return Observation("OK", "", lines)


def refused(status: str, text: str, *lines: str) -> Observation:
    return Observation(status, text, lines)


def observe(call: Callable[[], Iterable[str]]) -> Observation:
    """Make a call that gives lines, and note them, or the error that it ended with, as gRPC or the client raises it."""
    try:
        return ok(*call())
    except grpc.RpcError as error:
        return Observation(error.code().name, error.details() or "")
    except InferenceServerException as error:
        return Observation(str(error.status()), str(error.message()))


def answer_lines(response: Any) -> list[str]:
    """Return a ModelInferResponse as lines: who answered, its parameters, and every output with its values."""
    lines = [f"{response.model_name} version {response.model_version} id {response.id!r}"]
    lines += [f"parameter {key}: {parameter_value(response.parameters[key])}" for key in sorted(response.parameters)]
    if len(response.outputs) != len(response.raw_output_contents):
        lines.append(f"{len(response.outputs)} outputs, {len(response.raw_output_contents)} raw contents")
    for output, raw in zip(response.outputs, response.raw_output_contents, strict=False):
        shape = ",".join(map(str, output.shape))
        lines.append(f"{output.name} {output.datatype} [{shape}] {values(output.datatype, raw)}".rstrip())
    return lines


def parameter_value(parameter: Any) -> str:
    kind = parameter.WhichOneof("parameter_choice")
    return f"{kind} {getattr(parameter, kind)!r}" if kind else "unset"


def values(datatype: str, raw: bytes) -> str:
    """Return the values of a tensor as text: numbers as numpy prints them, BF16 as its bits, BYTES quoted."""
    if datatype == "BYTES":
        return " ".join(map(repr, _strings(raw)))
    if datatype == "BF16":
        return " ".join(f"0x{bits:04x}" for bits in np.frombuffer(raw, "<u2"))
    return " ".join(str(value) for value in np.frombuffer(raw, NUMBERS[datatype]))


def _strings(raw: bytes) -> Iterable[bytes]:
    position = 0
    while position < len(raw):
        (length,) = struct.unpack_from("<I", raw, position)
        yield raw[position + 4 : position + 4 + length]
        position += 4 + length


def difference(ours: Observation, theirs: Observation) -> list[str]:
    """Return what differs, as the lines of a diff: `-` only in the first, `+` only in the second."""
    first, second = str(ours).splitlines(), str(theirs).splitlines()
    gone = [f"- {line}" for line in first if line not in second]
    come = [f"+ {line}" for line in second if line not in first]
    if ours != theirs and not gone and not come:
        return ["- " + " | ".join(first), "+ " + " | ".join(second)]
    return gone + come

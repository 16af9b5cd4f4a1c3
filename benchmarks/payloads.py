"""Large requests to the model `pair` (models.py): a tensor of some size, which comes back or not."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks import http2
from naiad.protocol import grpc_service_pb2 as pb


class Payload(NamedTuple):
    """An FP32 tensor of so many elements to send, and whether it is asked for in return, beside one element."""

    name: str
    elements: int
    returned: bool

    @property
    def nbytes(self) -> int:
        """Of the tensor, each way that it goes."""
        return 4 * self.elements

    def __str__(self) -> str:
        return f"{self.name}, {'the same' if self.returned else '4 bytes'} back"

    def message(self, model: str) -> bytes:
        """The framed request; the tensor holds zeros."""
        message = pb.ModelInferRequest(model_name=model)
        for number, elements in enumerate((self.elements, 1)):
            message.inputs.add(name=f"INPUT{number}", datatype="FP32", shape=[elements])
            message.raw_input_contents.append(bytes(4 * elements))
        for number in range(2) if self.returned else (1,):
            message.outputs.add(name=f"OUTPUT{number}")
        return http2.framed(message.SerializeToString())


PAYLOADS = tuple(
    Payload(name, elements, returned)
    for name, elements in (("600 KB image", 3 * 224 * 224), ("20 MB tensor", 5_000_000))
    for returned in (False, True)
)

"""What an inference gives back: the outputs as arrays, and who answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np

from naiad_client import parameters, tensors
from naiad_client.errors import MalformedResponse
from naiad_client.parameters import Parameter
from naiad_client.protocol.generated.grpc_service_pb2 import InferTensorContents, ModelInferResponse

Array = np.ndarray[Any, np.dtype[Any]]
_Output = ModelInferResponse.InferOutputTensor

_CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where each datatype stands in a response that has no raw bytes; FP16 and BF16 always have them."""


class Result(Mapping[str, Array]):
    """The outputs by name, in the order in which the server sent them: `result["label"]`, or `result.label`.

    Arrays are read-only views of what was received (`.copy()` gives one to write to); BYTES outputs are object arrays
    of `bytes`, and `text` gives them as `str`; BF16 outputs are those of `ml_dtypes` where it is installed, else their
    bits as uint16. A result with one output can be given to numpy where an array is expected.

    model, version, id, parameters: who answered, and what was said beside the tensors. An output that is called like
    one of these or like a method, or whose name begins with an underscore, is only to be had by `result[name]`.
    """

    def __init__(
        self,
        outputs: Mapping[str, Array],
        model: str,
        version: str,
        request_id: str,
        parameters: Mapping[str, Parameter],
    ) -> None:
        self._outputs = dict(outputs)
        self.model = model
        self.version = version
        self.id = request_id
        self.parameters = dict(parameters)

    @classmethod
    def from_message(cls, message: ModelInferResponse) -> Self:
        """The result that a response holds; MalformedResponse where it contradicts itself."""
        return cls(
            dict(_outputs(message)),
            message.model_name,
            message.model_version,
            message.id,
            parameters.decode(message.parameters),
        )

    def text(self, name: str, encoding: str = "utf-8") -> Array:
        """A BYTES output as an object array of `str`; UnicodeDecodeError where it is not in this encoding."""
        array = self[name]
        texts = np.empty(array.shape, dtype=object)
        texts.ravel()[:] = [element.decode(encoding) for element in array.ravel().tolist()]
        return texts

    def __getitem__(self, name: str) -> Array:
        try:
            return self._outputs[name]
        except KeyError:
            raise KeyError(self._missing(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)  # as pickle asks, of a result that is not made yet
        if name in self._outputs:
            return self._outputs[name]
        raise AttributeError(self._missing(name))

    def __dir__(self) -> Sequence[str]:
        return [*super().__dir__(), *filter(str.isidentifier, self._outputs)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if len(self._outputs) != 1:
            raise ValueError(f"expected one output to make an array of, got {list(self._outputs)}")
        (array,) = self._outputs.values()
        return np.array(array, dtype, copy=copy)

    def __repr__(self) -> str:
        outputs = ", ".join(f"{name}: {array.dtype}{list(array.shape)}" for name, array in self._outputs.items())
        return f"<Result of {self.model!r}, version {self.version}: {outputs}>"

    def _missing(self, name: str) -> str:
        return f"no output {name!r} of model {self.model!r}, expected one of {list(self._outputs)}"


def _outputs(message: ModelInferResponse) -> Iterator[tuple[str, Array]]:
    raw = message.raw_output_contents
    if raw and len(raw) != len(message.outputs):
        raise MalformedResponse(
            f"response of model {message.model_name!r}: expected {len(message.outputs)} raw outputs, got {len(raw)}"
        )
    for at, output in enumerate(message.outputs):
        where = f"output {output.name!r} of model {message.model_name!r}"
        yield (
            output.name,
            (tensors.decode(raw[at], output.datatype, output.shape, where) if raw else _from_contents(output, where)),
        )


def _from_contents(output: _Output, where: str) -> Array:
    field = _CONTENTS.get(output.datatype)
    if field is None:
        raise MalformedResponse(f"{where}: expected raw bytes for datatype {output.datatype!r}, got none")
    contents: InferTensorContents = output.contents
    return tensors.from_contents(getattr(contents, field), output.datatype, output.shape, where)

"""What becomes of backends that are not served: which will be, which will not, and what to do instead. Pure.

Nothing is loaded that was built for another server: a backend that is no name of this table is somebody's own shared
library, unless its name is a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Sequence

from naiad.core.problems import Cause, Problem
from naiad.core.spelling import closest

NOT_YET = {
    "pytorch": "Export the model to ONNX (torch.onnx.export) to serve it now",
    "tensorrt": "Serve the ONNX model that the engine was built from until then",
    "python": "Serve the model that model.py calls, exported to ONNX, until then",
    "ensemble": "Call its models one after the other from the client, or serve them as one ONNX graph, until then",
    "repeat": "It is a test of decoupled models: there is nothing like it until then",
}
"""Backends that will be served, with what can be done until then."""

NEVER = {
    "caffe2": "Export the model to ONNX, from PyTorch or with caffe2.python.onnx",
    "custom": "Export what it computes to ONNX",
    "dali": "Prepare the inputs in the client, or inside the ONNX graph",
    "fil": "Convert the trees to ONNX, for example with onnxmltools",
    "openvino": "Serve the ONNX model that it was made from",
    "square": "It is a test of decoupled models: leave it out",
    "tensorflow": "Convert the model to ONNX, for example with tf2onnx",
    "tensorrtllm": "Serve language models with a server made for them",
    "vllm": "Serve language models with a server made for them",
}
"""Backends that will not be served, with what to do instead."""

_ALIASES = {
    "onnx": "onnxruntime", "ort": "onnxruntime", "onnxruntime_onnx": "onnxruntime", "onnx_runtime": "onnxruntime",
    "onnxrt": "onnxruntime", "torch": "pytorch", "libtorch": "pytorch", "pytorch_libtorch": "pytorch",
    "trt": "tensorrt", "tensorrt_plan": "tensorrt", "tf": "tensorflow", "echo": "identity",
}  # fmt: skip


def refusal(name: str, served: Sequence[str], field: str = "backend") -> Problem:
    """Why a backend that is not among those `served` cannot be had, and what to do about it."""
    found, expected = f"'{name}'", f"one of {', '.join(served)}"
    if name in NOT_YET:
        text, remedy = f"backend {found} is not served yet, expected {expected}", NOT_YET[name]
        return Problem(text, field, found=found, expected=expected, remedy=remedy, cause=Cause.NOT_YET)
    if name in NEVER:
        text, remedy = f"backend {found} is not served, expected {expected}", NEVER[name]
        return Problem(text, field, found=found, expected=expected, remedy=remedy, cause=Cause.NEVER)
    text = f"unknown backend {found}, expected {expected}"
    if guess := _meant(name, served):
        return Problem(text, field, found=found, expected=expected, remedy=f"Write '{guess}'")
    remedy = f"Serve the model with {expected}: backends built for other servers cannot be loaded"
    return Problem(text, field, found=found, expected=expected, remedy=remedy, cause=Cause.NEVER)


def _meant(name: str, served: Sequence[str]) -> str | None:
    return _ALIASES.get(name.lower()) or closest(name, [*served, *NOT_YET, *NEVER])

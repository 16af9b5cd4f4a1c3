"""What becomes of backends that are not served: which will be, which will not, and what to do instead. Pure.

Nothing is loaded that was built for another server: a backend that is no name of this table is somebody's own shared
library, unless its name is surely a slip of the pen or another name of one. What was meant decides: a misspelt name
of a backend that is not served is not repaired by writing it well.
"""

from __future__ import annotations

from collections.abc import Sequence

from naiad.core.problems import Cause, Problem
from naiad.core.spelling import SURE, closest

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
    "torchscript": "pytorch", "torch_aoti": "pytorch", "trt": "tensorrt", "tensorrt_plan": "tensorrt",
    "tf": "tensorflow", "tensorflow1": "tensorflow", "tensorflow2": "tensorflow", "trtllm": "tensorrtllm",
    "tensorrt_llm": "tensorrtllm", "tensorrt-llm": "tensorrtllm", "py": "python",
}  # fmt: skip
"""What else people call a backend."""
_OWN = "Convert the model to ONNX and serve it with onnxruntime: backends built for other servers cannot be loaded"
_NEVER_GUESSED = ("identity", "custom", "repeat", "square")
"""Backends for tests, and a word that stands for any: who writes something like it means another backend."""


def refusal(name: str, served: Sequence[str], field: str = "backend") -> Problem:
    """Why a backend that is not among those `served` cannot be had, and what to do about it."""
    expected = f"one of {', '.join(served)}"
    meant = name if name in NOT_YET or name in NEVER else _meant(name, served)
    subject = f"backend '{name}'" if meant in ("", name) else f"backend '{name}' ('{meant}')"
    if meant in NOT_YET:
        text, remedy, cause = f"{subject} is not served yet", NOT_YET[meant], Cause.NOT_YET
    elif meant in NEVER:
        text, remedy, cause = f"{subject} is not served", NEVER[meant], Cause.NEVER
    elif meant:
        text, remedy, cause = f"unknown backend '{name}'", f"Write '{meant}'", Cause.MISTAKE
    else:
        text, remedy, cause = f"unknown backend '{name}'", _OWN, Cause.NEVER
    topic = "" if cause is Cause.MISTAKE else f"backend '{name}'"
    return Problem(
        f"{text}, expected {expected}",
        field,
        found=f"'{name}'",
        expected=expected,
        remedy=remedy,
        cause=cause,
        topic=topic,
    )


def own_platform(platform: str, text: str, expected: str) -> Problem:
    """Why a platform that nobody knows cannot be had: it is that of somebody's own backend."""
    topic = f"platform '{platform}'"
    return Problem(
        text, "platform", found=f"'{platform}'", expected=expected, remedy=_OWN, cause=Cause.NEVER, topic=topic
    )


def _meant(name: str, served: Sequence[str]) -> str:
    """The backend that was surely meant, or nothing."""
    known, lower = (*served, *NOT_YET, *NEVER), name.lower()
    if lower in known:
        return lower
    return _ALIASES.get(lower) or closest(name, [n for n in known if n not in _NEVER_GUESSED], SURE) or ""

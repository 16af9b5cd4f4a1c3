"""Opening a session of ONNX Runtime on a device, and its errors in words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from naiad.backends.onnxruntime_options import cuda_options, session_options
from naiad.backends.onnxruntime_threads import Threads
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.errors import BackendError
from naiad.core.problems import Cause, InvalidConfig, Problem

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

ERRORS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    ValueError,
)
"""What loading and running raise: ONNX Runtime's classes share no base, and its Python binding has the others."""

_NOT_THE_FILES_FAULT = (state.RuntimeException, state.EPFail, RuntimeError, ValueError)
_PREFIX = re.compile(r"\[ONNXRuntimeError\] : (\d+) : \w+ : ")
_LOADING = re.compile(r"Load model from .*? failed:")
_SOURCE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\)(?: const)? |\b\w+\.cc:\d+ \w+ ")
_HEAD_BYTES = 256
_EXPORT = "Export the model to ONNX (torch.onnx.export) and put that file here"
_COPY = "Copy the file again, to another name first, and rename it when it is complete"
_OTHER_FILES = {
    b"version https://git-lfs": (
        "is a Git LFS pointer, not the model itself (git lfs pull fetches it)",
        "Run git lfs pull where the repository was cloned",
    ),
    b"PK\x03\x04": ("is a zip archive, such as PyTorch writes", _EXPORT),
    b"\x80": ("is a pickle, such as PyTorch and scikit-learn write", _EXPORT),
    b"\x89HDF": ("is an HDF5 file, such as Keras writes", "Convert the model to ONNX, for example with tf2onnx"),
    b"\x1f\x8b": ("is a gzip archive", "Unpack it and put the model's file here"),
    b"<": ("is an HTML or XML page", "Download the file again: a server has answered with a page in its place"),
    bytes(_HEAD_BYTES): ("begins with zeros only: is it still being copied?", _COPY),
}
_REMEDIES = (
    ("External data path", "Put the file of the weights beside the model, under the name that the model has for it"),
    ("External initializer", "Copy the file of the weights again: it is shorter than the model says"),
    ("official released onnx opset", "Export the model with an older opset, or upgrade onnxruntime"),
    ("Unsupported model IR version", "Export the model with an older version of onnx, or upgrade onnxruntime"),
    ("is not a registered function/op", "Export the model without custom operators: there is no library for them here"),
    ("No Op registered", "Export the model with the operators of ONNX, or upgrade onnxruntime"),
    ("invalid model", "Check the model with onnx.checker.check_model and export it again"),
    ("Invalid model", "Check the model with onnx.checker.check_model and export it again"),
)
"""What to do about what ONNX Runtime says; the first that occurs in its text."""


class _Refusal(NamedTuple):
    """Why a file cannot be opened; `topic` in few words, after "a file that"."""

    reason: str
    found: str = ""
    expected: str = ""
    remedy: str = ""
    topic: str = "ONNX Runtime does not run"


def open_session(path: Path, config: ModelConfig, device: Device, threads: Threads) -> Any:
    """An `InferenceSession` of the model at `path`.

    InvalidConfig where there can be none as long as the files or the machine stay as they are; else BackendError.
    """
    providers = _providers(config, device)
    try:
        session = onnxruntime.InferenceSession(
            str(path), session_options(config, threads), providers=providers, enable_fallback=0
        )
    except ERRORS as error:
        refusal = _refusal(path, error)
        text = f"model '{config.name}' cannot be loaded on {device}: {refusal.reason}"
        if isinstance(error, _NOT_THE_FILES_FAULT):
            raise BackendError(text) from error
        _, found, expected, remedy, _ = refusal
        topic = f"a model file that {refusal.topic}"
        raise InvalidConfig(
            [Problem(text, place=str(path), found=found, expected=expected, remedy=remedy, topic=topic)]
        ) from error
    if device.kind is Kind.GPU and CUDA not in session.get_providers():
        reason = "its CUDA provider does not start: are CUDA and cuDNN of its version installed?"
        raise _no_gpu(config, device, reason, "Install CUDA and cuDNN of the version that onnxruntime-gpu wants")
    return session


def _providers(config: ModelConfig, device: Device) -> list[str | tuple[str, dict[str, str]]]:
    if device.kind is Kind.CPU:
        return [CPU]
    if CUDA not in onnxruntime.get_available_providers():
        reason = "it has no CUDA provider: install onnxruntime-gpu (pip install 'naiad[gpu]')"
        raise _no_gpu(config, device, reason, "Install it, or write KIND_CPU")
    return [(CUDA, cuda_options(config, device.id)), CPU]


def _no_gpu(config: ModelConfig, device: Device, reason: str, remedy: str) -> InvalidConfig:
    text = f"model '{config.name}' is to run on {device}, which ONNX Runtime {onnxruntime.__version__} cannot: {reason}"
    found, cause = "no CUDA provider", Cause.NO_GPU
    return InvalidConfig(
        [Problem(text, "instance_group", found=found, expected=CUDA, remedy=remedy, cause=cause, topic=found)]
    )


def _refusal(path: Path, error: Exception) -> _Refusal:
    text = str(error)
    if not path.is_file():
        remedy = f"Put the model there, as '{path}'"
        return _Refusal("there is no such file", "no file", "an ONNX model", remedy, "is not there")
    if not os.access(path, os.R_OK):
        remedy = f"Let the user that serves (uid {os.geteuid()}) read it: chmod a+r '{path}'"
        reason, found = "the file cannot be read: Permission denied", "Permission denied"
        return _Refusal(reason, found, "an ONNX model", remedy, "cannot be read")
    if isinstance(error, state.InvalidProtobuf) or "No graph was found in the protobuf" in text:
        return _not_a_model(path)
    said = _SOURCE.sub("", _LOADING.sub("", _PREFIX.sub("", text))).strip()
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "")
    return _Refusal(f"ONNX Runtime: {said}", said, f"a model that ONNX Runtime {onnxruntime.__version__} runs", remedy)


def _not_a_model(path: Path) -> _Refusal:
    """What a file is that does not parse, by its size and its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return _Refusal("the file is empty", "the file is empty", "an ONNX model", _COPY, "is empty")
    subject = f"the file ({path.stat().st_size} bytes)"
    for begin, (what, remedy) in _OTHER_FILES.items():
        if head.startswith(begin):
            reason, topic = f"{subject} {what}, expected an ONNX model", re.split(r"[,:(]", what)[0].strip()
            return _Refusal(reason, what, "an ONNX model", remedy, topic)
    found = "is not a complete ONNX model: it is cut short, still being copied, or another kind of file"
    return _Refusal(f"{subject} {found}", found, "a complete ONNX model", _COPY, "is not a complete ONNX model")


def run_reason(error: Exception) -> str:
    """Why a run failed, as Triton's backend tells it: `onnx runtime error CODE: ...`."""
    if isinstance(error, UnicodeDecodeError):
        return f"onnx runtime error: an output of strings is not UTF-8 ({error})"
    if match := _PREFIX.match(str(error)):
        return f"onnx runtime error {match[1]}: {str(error)[match.end() :]}"
    return f"onnx runtime error: {error}"

"""Opening a session of ONNX Runtime on a device, and its errors in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from naiad.backends.onnxruntime_options import cuda_options, session_options
from naiad.backends.onnxruntime_threads import Threads
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.errors import BackendError
from naiad.core.problems import InvalidConfig, Problem

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
_OTHER_FILES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the model itself (git lfs pull fetches it)",
    b"PK\x03\x04": "is a zip archive, such as PyTorch writes",
    b"\x89HDF": "is an HDF5 file, such as Keras writes",
    b"<": "is an HTML or XML page",
    bytes(_HEAD_BYTES): "begins with zeros only: is it still being copied?",
}


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
        text = f"model '{config.name}' cannot be loaded on {device}: {_load_reason(path, error)}"
        if isinstance(error, _NOT_THE_FILES_FAULT):
            raise BackendError(text) from error
        raise InvalidConfig([Problem(text, place=str(path))]) from error
    if device.kind is Kind.GPU and CUDA not in session.get_providers():
        raise _no_gpu(config, device, "its CUDA provider does not start: are CUDA and cuDNN of its version installed?")
    return session


def _providers(config: ModelConfig, device: Device) -> list[str | tuple[str, dict[str, str]]]:
    if device.kind is Kind.CPU:
        return [CPU]
    if CUDA not in onnxruntime.get_available_providers():
        raise _no_gpu(config, device, "it has no CUDA provider: install onnxruntime-gpu (pip install 'naiad[gpu]')")
    return [(CUDA, cuda_options(config, device.id)), CPU]


def _no_gpu(config: ModelConfig, device: Device, reason: str) -> InvalidConfig:
    text = f"model '{config.name}' is to run on {device}, which ONNX Runtime {onnxruntime.__version__} cannot: {reason}"
    return InvalidConfig([Problem(text, "instance_group")])


def _load_reason(path: Path, error: Exception) -> str:
    text = str(error)
    if isinstance(error, state.NoSuchFile) or not path.is_file():
        return "there is no such file"
    if isinstance(error, state.InvalidProtobuf) or "No graph was found in the protobuf" in text:
        return _not_a_model(path)
    return "ONNX Runtime: " + _SOURCE.sub("", _LOADING.sub("", _PREFIX.sub("", text))).strip()


def _not_a_model(path: Path) -> str:
    """What a file is that does not parse, by its size and its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "the file is empty"
    for begin, what in _OTHER_FILES.items():
        if head.startswith(begin):
            return f"the file ({path.stat().st_size} bytes) {what}, expected an ONNX model"
    return (
        f"the file ({path.stat().st_size} bytes) is not a complete ONNX model: it is cut short, still being copied, "
        "or another kind of file"
    )


def run_reason(error: Exception) -> str:
    """Why a run failed, as Triton's backend tells it: `onnx runtime error CODE: ...`."""
    if isinstance(error, UnicodeDecodeError):
        return f"onnx runtime error: an output of strings is not UTF-8 ({error})"
    if match := _PREFIX.match(str(error)):
        return f"onnx runtime error {match[1]}: {str(error)[match.end() :]}"
    return f"onnx runtime error: {error}"

"""Which backend runs what: platforms, default file names and file name endings.

`platform` is the older word for a backend with a format, and still names the two formats of PyTorch.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple


class Format(NamedTuple):
    """A kind of model file. `filename` is its name where a config gives none; identity needs no file."""

    backend: str
    platform: str
    filename: str
    endings: tuple[str, ...]


FORMATS = (
    Format("onnxruntime", "onnxruntime_onnx", "model.onnx", (".onnx",)),
    Format("tensorrt", "tensorrt_plan", "model.plan", (".plan", ".trt", ".engine")),
    Format("pytorch", "pytorch_libtorch", "model.pt", (".pt", ".pth")),
    Format("pytorch", "torch_aoti", "model.pt2", (".pt2",)),
    Format("identity", "", "", ()),
)
_ALIASES = {"libtorch": "pytorch_libtorch"}


def of_platform(platform: str) -> Format | None:
    """The format of a platform."""
    platform = _ALIASES.get(platform, platform)
    return next((f for f in FORMATS if f.platform == platform and platform), None)


def of_backend(backend: str) -> tuple[Format, ...]:
    """The formats that a backend runs, the usual one first; none for a backend that is not known here."""
    return tuple(f for f in FORMATS if f.backend == backend)


def of_file(path: str) -> Format | None:
    """The format of a file or directory by the ending of its name."""
    ending = PurePosixPath(path).suffix
    return next((f for f in FORMATS if ending in f.endings), None)

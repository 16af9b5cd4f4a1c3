"""Which backend runs what: platforms, default file names and file name endings.

`platform` is the older word for a backend with a format, and still names the two formats of PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable
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
FOREIGN = (
    Format("python", "", "model.py", ()),
    Format("tensorflow", "tensorflow_savedmodel", "model.savedmodel", (".savedmodel",)),
    Format("tensorflow", "tensorflow_graphdef", "model.graphdef", (".graphdef",)),
    Format("openvino", "", "model.xml", ()),
    Format("dali", "", "model.dali", (".dali",)),
)
"""What Triton serves without being told the backend, and nothing here does: it says whose model a directory holds."""
_ALIASES = {"libtorch": "pytorch_libtorch"}


def of_platform(platform: str) -> Format | None:
    """The format of a platform."""
    platform = _ALIASES.get(platform, platform)
    return next((f for f in FORMATS if f.platform == platform and platform), None)


def foreign(names: Iterable[str]) -> tuple[str, Format] | None:
    """The file or directory among `names` that is a model of another backend, with its format."""
    there = list(names)
    usual = ((f.filename, f) for f in FOREIGN if f.filename in there)
    return next(usual, None) or next(((n, f) for f in FOREIGN for n in there if n.endswith(f.endings)), None)


def of_backend(backend: str) -> tuple[Format, ...]:
    """The formats that a backend runs, the usual one first; none for a backend that is not known here."""
    return tuple(f for f in FORMATS if f.backend == backend)


def of_file(path: str) -> Format | None:
    """The format of a file or directory by the ending of its name."""
    ending = PurePosixPath(path).suffix
    return next((f for f in FORMATS if ending in f.endings), None)


_FOREIGN = {
    ".h5": "a Keras model: convert it to ONNX, for example with tf2onnx",
    ".keras": "a Keras model: convert it to ONNX, for example with tf2onnx",
    ".savedmodel": "a TensorFlow SavedModel: convert it to ONNX, for example with tf2onnx",
    ".graphdef": "a TensorFlow graph: convert it to ONNX, for example with tf2onnx",
    ".pb": "a TensorFlow graph: convert it to ONNX, for example with tf2onnx",
    ".tflite": "a TensorFlow Lite model: convert it to ONNX, for example with tf2onnx",
    ".pkl": "a pickle: convert what is in it to ONNX, a scikit-learn model with skl2onnx",
    ".pickle": "a pickle: convert what is in it to ONNX, a scikit-learn model with skl2onnx",
    ".joblib": "a pickle: convert what is in it to ONNX, a scikit-learn model with skl2onnx",
    ".safetensors": "weights without their model: export both to ONNX (torch.onnx.export)",
    ".ckpt": "a checkpoint of a training: export its model to ONNX (torch.onnx.export)",
    ".mlmodel": "a Core ML model: export the model that it was made from to ONNX",
    ".xml": "an OpenVINO model: use the ONNX model that it was made from",
    ".py": "a model of Triton's Python backend, which is not served yet: export what it calls to ONNX",
    ".zip": "an archive: unpack it here",
    ".gz": "an archive: unpack it here",
    ".tar": "an archive: unpack it here",
    ".tgz": "an archive: unpack it here",
    ".bin": "weights without their model: export both to ONNX (torch.onnx.export)",
}
"""What people bring along that is no model file here, by the ending of its name; what tells most comes first."""


def advice(names: Iterable[str]) -> str:
    """What to do about files among which there is no model; empty where their names tell nothing."""
    there = sorted(names)
    for name in there:
        plain = PurePosixPath(name).with_suffix(PurePosixPath(name).suffix.lower())
        if plain.name != name and of_file(plain.name):
            return f"Rename '{name}' to '{plain}'"
    told = ((name, what) for ending, what in _FOREIGN.items() for name in there if name.lower().endswith(ending))
    return next((f"'{name}' is {what}" for name, what in told), "")

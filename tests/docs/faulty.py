"""Models with one mistake each, as people make them."""

from collections.abc import Callable
from pathlib import Path

from tests.models import build

ONNX = "1/model.onnx"


def config(model: Path, text: str) -> None:
    (model / "config.pbtxt").write_text(text)


def linear(model: Path, text: str = "") -> None:
    """Write a sound model FP32 [16] -> [4], and a config."""
    build.linear(model / ONNX)
    if text:
        config(model, text)


def raw(model: Path, content: bytes) -> None:
    """Write something as a model file that is none."""
    (model / "1").mkdir()
    (model / ONNX).write_bytes(content)


def tensors(shape: str = "16", datatype: str = "TYPE_FP32", name: str = "INPUT0") -> str:
    return (
        f'max_batch_size: 8 input {{ name: "{name}" data_type: {datatype} dims: [{shape}] }} '
        'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [4] }'
    )


def misplaced(model: Path) -> None:
    (build.linear(model / ONNX)).rename(model / "model.onnx")
    (model / "1").rmdir()


def two_files(model: Path) -> None:
    for file in ("a.onnx", "b.onnx"):
        build.linear(model / "1" / file)


def without_weights(model: Path) -> None:
    build.external_data(model / ONNX)
    (model / "1" / "weights.bin").unlink()


def link(model: Path) -> None:
    (model / "1").mkdir()
    (model / ONNX).symlink_to("/nowhere/model.onnx")


def without_labels(model: Path) -> None:
    linear(model, 'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [4] label_filename: "x" }')


def of_pytorch(model: Path) -> None:
    (model / "1").mkdir()
    (model / "1" / "model.pt").touch()
    config(model, 'backend: "pytorch"\n')


def fixed(model: Path) -> None:
    build.fixed_batch(model / ONNX)
    config(model, "max_batch_size: 8\n")


def writable(model: Path) -> None:
    linear(model)
    model.chmod(0o777)


FAULTY: dict[str, Callable[[Path], object]] = {
    "misspelt": lambda model: linear(model, "max_batch_sise: 8\n"),
    "unquoted": lambda model: linear(model, "backend: onnxruntime\n"),
    "unclosed": lambda model: linear(model, "dynamic_batching {\n"),
    "misnamed": lambda model: linear(model, 'name: "another"\n'),
    "versionless": misplaced,
    "lettered": lambda model: build.linear(model / "v1" / "model.onnx"),
    "twofiles": two_files,
    "lfs": lambda model: raw(model, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "page": lambda model: raw(model, b"<!DOCTYPE html><title>Sign in</title>"),
    "cut": lambda model: raw(model, b"\x08\x08\x12\x07pytorch" * 9),
    "weightless": without_weights,
    "dangling": link,
    "fixed": fixed,
    "dims": lambda model: linear(model, tensors("8, 16")),
    "datatype": lambda model: linear(model, tensors(datatype="TYPE_INT32")),
    "names": lambda model: linear(model, tensors(name="input")),
    "labels": without_labels,
    "torch": of_pytorch,
    "ragged": lambda model: linear(
        model, 'input { name: "INPUT0" data_type: TYPE_FP32 dims: [16] allow_ragged_batch: true }\n'
    ),
    "tuned": lambda model: linear(model, "response_cache { enable: true }\n"),
    "writable": writable,
    "gpu": lambda model: linear(model, "instance_group { kind: KIND_GPU }\n"),
}
"""Models by name, each with one mistake."""
SERVED = {"tuned", "writable"}
"""Those that only get a warning."""


def plant(directory: Path) -> Path:
    """Write every model of FAULTY; return the repository."""
    for name, write in FAULTY.items():
        (directory / name).mkdir(parents=True)
        write(directory / name)
    return directory

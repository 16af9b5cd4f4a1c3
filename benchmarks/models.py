"""The repositories that are measured, made at run time: random weights, the same each time."""

from __future__ import annotations

from pathlib import Path

from tests.models import build

MLP_SIZES = (128, 512, 512, 10)
IMAGE = (3, 32, 32)


def mlp(repository: Path) -> Path:
    """The model `mlp`, three layers; gives its file."""
    return build.mlp(_model(repository, "mlp", 64), MLP_SIZES)


def conv(repository: Path, gflop: float, max_batch_size: int) -> Path:
    """The model `conv`, convolutions of so many GFLOP for an image of IMAGE; gives its file."""
    return build.conv(_model(repository, "conv", max_batch_size), gflop)


def small(repository: Path, count: int, max_batch_size: int = 64) -> list[str]:
    """The models `small0`, `small1`, ..., one layer of 16 to 4 each; gives their names."""
    names = [f"small{number}" for number in range(count)]
    for number, name in enumerate(names):
        build.linear(_model(repository, name, max_batch_size), seed=number)
    return names


def _model(repository: Path, name: str, max_batch_size: int) -> Path:
    """Write a config; gives where the model's file belongs."""
    file = repository / name / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    config = f'backend: "onnxruntime"\nmax_batch_size: {max_batch_size}\ndynamic_batching {{ }}\n'
    (repository / name / "config.pbtxt").write_text(config)
    return file

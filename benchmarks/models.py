"""The repositories that are measured, made at run time: random weights, the same each time."""

from __future__ import annotations

from pathlib import Path

from tests.models import build

MLP_SIZES = (128, 512, 512, 10)
IMAGE = (3, 32, 32)
LONG_SHAPE = (build.SLOW_WIDTH,)


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


def echoes(repository: Path, count: int) -> list[str]:
    """The models `echo0`, `echo1`, ..., each as `echo` of the sample repository is; gives their names."""
    names = [f"echo{number}" for number in range(count)]
    for name in names:
        _identity(repository, name, tensors=1, more="max_batch_size: 64\ndynamic_batching { }\n")
    return names


def pair(repository: Path) -> str:
    """The model `pair`, which returns two tensors, FP32 of any length, and is not batched; gives its name."""
    _identity(repository, "pair", tensors=2)
    return "pair"


def long(repository: Path, gflop: float) -> Path:
    """The model `long`, matrix products of so many GFLOP for LONG_SHAPE: one instance, one thread, one row a run."""
    more = (
        "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
    )
    return build.slow(_model(repository, "long", 1, more), gflop)


def _identity(repository: Path, name: str, tensors: int, more: str = "") -> None:
    """A model that returns its input, which needs no file, only a version."""
    fields = "".join(
        f'{kind}put {{ name: "{kind.upper()}PUT{number}" data_type: TYPE_FP32 dims: [ -1 ] }}\n'
        for kind in ("in", "out")
        for number in range(tensors)
    )
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(f'backend: "identity"\n{more}{fields}')


def _model(repository: Path, name: str, max_batch_size: int, more: str = "") -> Path:
    """Write a config; gives where the model's file belongs."""
    file = repository / name / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    config = f'backend: "onnxruntime"\nmax_batch_size: {max_batch_size}\ndynamic_batching {{ }}\n{more}'
    (repository / name / "config.pbtxt").write_text(config)
    return file

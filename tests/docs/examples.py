"""The configs in the pages as models that a server can be given.

A pbtxt block begins with the file that it is, `# models/NAME/config.pbtxt`; below, each NAME has the function that
writes what else the model needs. What a page says about a model is what is written here.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from tests.docs.pages import DOCS, of_language
from tests.models import build

FILE = re.compile(r"# (\S+)/([\w-]+)/config\.pbtxt\n")
NEEDS_GPU = "gpu"
"""The repository in whose place no machine without a GPU has anything."""


def nothing(version: Path) -> None:
    """The identity backend needs no file."""


def scaled(path: Path) -> Path:
    """Write a model with an input that has a default: FP32 [4] times FP32 [1], which is 2 where it is left out."""
    text = (
        '<ir_version: 8, opset_import: ["": 17]> scaled (float[4] INPUT0, float[1] FACTOR) => (float[4] OUTPUT0) '
        "{ OUTPUT0 = Mul (INPUT0, FACTOR) }"
    )
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.float32), "FACTOR"))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path)
    return path


MODELS: dict[str, Callable[[Path], object]] = {
    "forecast": lambda version: build.linear(version / "model.onnx"),
    "ranker": lambda version: build.linear(version / "model.onnx"),
    "sums": lambda version: build.add_sub(version / "model.onnx"),
    "transpose": lambda version: build.nonbatching(version / "model.onnx"),
    "shout": lambda version: build.identity(version / "model.onnx", "BYTES", (1,)),
    "score": lambda version: build.identity(version / "model.onnx", "FP32", ()),
    "scaled": lambda version: scaled(version / "model.onnx"),
    "embedder": lambda version: build.mlp(version / "model.onnx"),
    "detector": lambda version: build.conv(version / "model.onnx", 0.01),
    "segmenter": lambda version: build.conv(version / "model.onnx", 0.01),
    "slow_echo": nothing,
}
VERSIONS = {"forecast": (1, 2, 3)}


def lay_out(directory: Path) -> list[Path]:
    """Write every config of the pages below `directory`, and its model; return the models' directories."""
    return [_model(directory, block.text) for page in sorted(DOCS.glob("*.md")) for block in of_language(page, "pbtxt")]


def _model(directory: Path, config: str) -> Path:
    found = FILE.match(config)
    assert found is not None, f"a config must begin with the file that it is, got {config.splitlines()[0]!r}"
    repository, model = found.groups()
    home = directory / repository / model
    home.mkdir(parents=True)  # a model that two blocks describe is a mistake
    (home / "config.pbtxt").write_text(config)
    for number in VERSIONS.get(model, (1,)):
        (home / str(number)).mkdir()
        MODELS[model](home / str(number))
    return home

"""The sample models' held-out examples, and what ONNX Runtime answers to them without a server."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.e2e.conftest import SAMPLES

TRAINED_DIGITS = 1200
Array = NDArray[Any]


class Examples(NamedTuple):
    """One input of [n, ...], and for each row the true label as an index into labels.txt."""

    input: Array
    truth: Array

    def correct(self, probabilities: Array) -> int:
        return int((probabilities.argmax(axis=1) == self.truth).sum())


def digits() -> Examples:
    bundled = load_digits()
    return Examples(bundled.images[TRAINED_DIGITS:].astype(np.float32), bundled.target[TRAINED_DIGITS:])


def language() -> Examples:
    lines = (SAMPLES / "language_corpus.tsv").read_text("utf-8").splitlines()[1:]
    held_out = [(name, text) for name, split, text in (line.split("\t") for line in lines) if split == "held-out"]
    labels = (SAMPLES / "language/labels.txt").read_text().splitlines()
    texts = np.array([[text] for _, text in held_out], dtype=object)
    return Examples(texts, np.array([labels.index(name) for name, _ in held_out]))


def recorded(model: str, version: str) -> int:
    """Return how many held-out examples the version is on record as getting right."""
    return int(json.loads((SAMPLES / "accuracy.json").read_text())[model][version]["correct"])


class Offline:
    """One version's file in ONNX Runtime, without a server."""

    def __init__(self, model: str, version: str) -> None:
        path: Path = SAMPLES / model / version / "model.onnx"
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def infer(self, given: Array) -> dict[str, Array]:
        names = [output.name for output in self._session.get_outputs()]
        (name,) = (each.name for each in self._session.get_inputs())
        return dict(zip(names, self._session.run(names, {name: given}), strict=True))

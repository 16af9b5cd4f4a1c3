"""The sample models are what their descriptions and `accuracy.json` say, and `train.py` makes them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

SAMPLES = Path(__file__).resolve().parents[2] / "model_repository"
TRAINED_DIGITS = 1200
VERSIONS = [("digits", "1"), ("digits", "2"), ("language", "1")]

Array = NDArray[Any]
Record = dict[str, dict[str, dict[str, float]]]


class HeldOut(NamedTuple):
    """What no model was trained on: inputs by name, and for each row the label that is true."""

    inputs: dict[str, Array]
    truth: list[str]


def held_out(model: str) -> HeldOut:
    if model == "digits":
        bundled = load_digits()
        images, digits = bundled.images[TRAINED_DIGITS:], bundled.target[TRAINED_DIGITS:]
        return HeldOut({"image": images.astype(np.float32)}, [str(digit) for digit in digits])
    texts, languages = zip(*((text, name) for name, split, text in corpus() if split == "held-out"), strict=True)
    return HeldOut({"text": np.array(texts, dtype=object).reshape(-1, 1)}, list(languages))


def corpus() -> list[tuple[str, str, str]]:
    lines = (SAMPLES / "language_corpus.tsv").read_text("utf-8").splitlines()
    rows = [tuple(line.split("\t")) for line in lines]
    assert rows[0] == ("language", "split", "text")
    return [(name, split, text) for name, split, text in rows[1:]]


def infer(repository: Path, model: str, version: str, inputs: dict[str, Array]) -> dict[str, Array]:
    file = repository / model / version / "model.onnx"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def labels(repository: Path, model: str) -> list[str]:
    return (repository / model / "labels.txt").read_text().splitlines()


def count_correct(repository: Path, model: str, version: str) -> int:
    inputs, truth = held_out(model)
    names = labels(repository, model)
    chosen = infer(repository, model, version, inputs)["probabilities"].argmax(axis=1)
    return sum(names[index] == true for index, true in zip(chosen, truth, strict=True))


def accuracy(repository: Path) -> Record:
    record: Record = json.loads((repository / "accuracy.json").read_text())
    return record


@pytest.mark.parametrize(("model", "version"), VERSIONS)
def test_the_recorded_accuracy_is_what_the_held_out_examples_give(model: str, version: str) -> None:
    recorded, examples = accuracy(SAMPLES)[model][version], len(held_out(model).truth)
    correct = count_correct(SAMPLES, model, version)
    assert recorded == {
        "held_out": examples,
        "correct": correct,
        "accuracy": pytest.approx(correct / examples, abs=5e-5),
    }


def test_the_second_version_of_digits_is_clearly_better() -> None:
    digits = accuracy(SAMPLES)["digits"]
    assert digits["2"]["correct"] - digits["1"]["correct"] >= 25


@pytest.mark.parametrize(("model", "version"), VERSIONS)
def test_the_description_tells_the_recorded_accuracy(model: str, version: str) -> None:
    recorded = accuracy(SAMPLES)[model][version]
    percent = f"{recorded['correct'] / recorded['held_out']:.1%}".replace("%", " %")
    description = " ".join((SAMPLES / model / "README.md").read_text().split())
    assert re.search(rf"\b{recorded['correct']} .*\({percent}\)", description)
    assert percent in (SAMPLES / "README.md").read_text()


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_digit_s_label_is_the_most_probable_one(version: str) -> None:
    answer = infer(SAMPLES, "digits", version, held_out("digits").inputs)
    assert answer["label"].dtype == np.int64
    np.testing.assert_array_equal(answer["label"][:, 0], answer["probabilities"].argmax(axis=1))
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_a_language_is_the_most_probable_label() -> None:
    answer = infer(SAMPLES, "language", "1", held_out("language").inputs)
    names = labels(SAMPLES, "language")
    assert answer["language"].shape == (108, 1)
    assert answer["language"][:, 0].tolist() == [names[at] for at in answer["probabilities"].argmax(axis=1)]


def test_a_text_gets_the_same_answer_alone_and_among_longer_ones() -> None:
    texts = held_out("language").inputs["text"]
    together = infer(SAMPLES, "language", "1", {"text": texts})["probabilities"]
    alone = [infer(SAMPLES, "language", "1", {"text": texts[at : at + 1]})["probabilities"][0] for at in (0, 8, 107)]
    np.testing.assert_allclose(together[[0, 8, 107]], alone, atol=1e-6)


def test_capitals_and_punctuation_change_no_answer() -> None:
    spellings = np.array([["c'est l'été, à Nîmes"], ["  C'EST L'ÉTÉ -- À NÎMES!\n"]], dtype=object)
    first, second = infer(SAMPLES, "language", "1", {"text": spellings})["probabilities"]
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert labels(SAMPLES, "language")[first.argmax()] == "fr"


@pytest.mark.parametrize("text", ["", " \t\n", "12345", "日本語"])
def test_a_text_without_a_known_letter_gets_a_low_probability(text: str) -> None:
    answer = infer(SAMPLES, "language", "1", {"text": np.array([[text]], dtype=object)})
    assert answer["probabilities"].max() < 0.5


def test_a_long_text_is_recognised_too() -> None:
    text = " ".join(held_out("language").inputs["text"][:8, 0]) * 100
    answer = infer(SAMPLES, "language", "1", {"text": np.array([[text]], dtype=object)})
    assert len(text) > 30_000
    assert answer["language"].tolist() == [["de"]]


def test_no_held_out_text_is_trained_on() -> None:
    texts = {split: {text for _, each, text in corpus() if each == split} for split in ("train", "held-out")}
    assert len(texts["train"]) == 288
    assert len(texts["held-out"]) == 108
    assert not any(held in trained for held in texts["held-out"] for trained in texts["train"])


def test_the_samples_stay_small() -> None:
    assert sum(file.stat().st_size for file in SAMPLES.rglob("*") if file.is_file()) < 500_000


@pytest.mark.timeout(300)
def test_training_again_gives_models_that_are_as_good(tmp_path: Path) -> None:
    """The same libraries on the same kind of machine give the same bytes; elsewhere a few answers may differ."""
    command = [sys.executable, "-W", "error", str(SAMPLES / "train.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    for model, version in VERSIONS:
        again, recorded = accuracy(tmp_path)[model][version], accuracy(SAMPLES)[model][version]
        assert again["correct"] == count_correct(tmp_path, model, version)
        assert again["correct"] == pytest.approx(recorded["correct"], abs=3)
        assert labels(tmp_path, model) == labels(SAMPLES, model)

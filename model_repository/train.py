"""Trains the sample models beside this file and writes what the server reads of them.

    python model_repository/train.py [--output DIRECTORY]

Written: `digits/{1,2}/model.onnx`, `language/1/model.onnx`, a `labels.txt` for each, and `accuracy.json`. The
configs, the descriptions and `language_corpus.tsv` are written by hand. `echo` has nothing to train.

- Nothing here is random: the same libraries on the same kind of machine write the same bytes.
- Held-out examples are never trained on. Digits: the last 597 of the 1797 images, in the order in which
  they come, because neighbours resemble each other and shuffling would flatter the scores. Language: the
  lines marked `held-out` in the corpus.
- Nothing is written unless ONNX Runtime answers every held-out example of every graph as scikit-learn does.
"""

import argparse
import json
import re
from collections.abc import Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import helper, numpy_helper, parser
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

Floats = NDArray[np.float32]

HERE = Path(__file__).resolve().parent
TRAINED_DIGITS = 1200
PIXEL_MAXIMUM = np.array(16, dtype=np.float32)
CONV_FILTERS = 16
LONGEST_NGRAM = 3
NGRAMS = 3000
WORDS_PER_PIECE = 4
CLOSE_ENOUGH = 1e-5


class Trained(NamedTuple):
    """One version: its graph, and for each held-out input the true label and scikit-learn's probabilities."""

    model: str
    version: int
    graph: onnx.ModelProto
    labels: list[str]
    inputs: NDArray[Any]
    truth: NDArray[np.int64]
    expected: Floats


def main() -> None:
    """Train everything, then write everything: a failure on the way leaves the files as they were."""
    arguments = argparse.ArgumentParser(description="Train the sample models and write their files.")
    arguments.add_argument("--output", type=Path, default=HERE, help="the repository to write into")
    output = arguments.parse_args().output
    versions = [train_pixel_digits(), train_conv_digits(), train_language()]
    record: dict[str, dict[str, dict[str, int | float]]] = {}
    for version in versions:
        correct, total = verify(version), len(version.truth)
        record.setdefault(version.model, {})[str(version.version)] = {
            "held_out": total,
            "correct": correct,
            "accuracy": round(correct / total, 4),
        }
        print(f"{version.model} version {version.version}: {correct} of {total} held-out examples right")
    for version in versions:
        write(version, output)
    (output / "accuracy.json").write_text(json.dumps(record, indent=2) + "\n")


def verify(version: Trained) -> int:
    """Count the held-out examples that ONNX Runtime gets right; raise if scikit-learn differs on any."""
    where = f"{version.model} version {version.version}"
    answers = run(version.graph, version.inputs)
    worst = float(np.abs(answers["probabilities"] - version.expected).max())
    if not worst <= CLOSE_ENOUGH:
        raise RuntimeError(f"{where}: probabilities differ from scikit-learn's by {worst}, not {CLOSE_ENOUGH}")
    chosen = [str(label) for label in answers["label"].ravel()]
    if chosen != [version.labels[index] for index in version.expected.argmax(axis=1)]:
        raise RuntimeError(f"{where}: ONNX Runtime and scikit-learn choose different labels")
    return sum(label == version.labels[index] for label, index in zip(chosen, version.truth, strict=True))


def run(model: onnx.ModelProto, inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Answer with ONNX Runtime: the probabilities, and whatever else the graph tells as `label`."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (fed,) = session.get_inputs()
    (label,) = (output.name for output in session.get_outputs() if output.name != "probabilities")
    probabilities, chosen = session.run(["probabilities", label], {fed.name: inputs})
    return {"probabilities": probabilities, "label": chosen}


def write(version: Trained, output: Path) -> None:
    """Write the model file and the labels of one version below `output`."""
    directory = output / version.model / str(version.version)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(version.graph.SerializeToString(deterministic=True))
    (output / version.model / "labels.txt").write_text("".join(f"{label}\n" for label in version.labels))


def graph_of(text: str, **initializers: NDArray[Any]) -> onnx.ModelProto:
    """Parse a graph in ONNX's text syntax and give it its constants."""
    model = parser.parse_model(text)
    constants = (numpy_helper.from_array(value, name) for name, value in initializers.items())
    model.graph.initializer.extend(constants)
    return model


# Digits


def digits() -> tuple[Floats, NDArray[np.int64]]:
    """Return the images, [1797, 8, 8] with ink from 0 (none) to 16 (full), and the digit that each shows."""
    bundled = load_digits()
    return bundled.images.astype(np.float32), bundled.target.astype(np.int64)


def train_pixel_digits() -> Trained:
    """Version 1: logistic regression on the 64 pixels."""
    images, truth = digits()
    pixels = images.reshape(-1, 64) / PIXEL_MAXIMUM
    classifier = LogisticRegression(max_iter=1000).fit(pixels[:TRAINED_DIGITS], truth[:TRAINED_DIGITS])
    graph = graph_of(
        """
        <ir_version: 8, opset_import: ["": 17]>
        digits_pixels (float[N, 8, 8] image) => (float[N, 10] probabilities, int64[N, 1] label) {
            pixels = Flatten <axis = 1> (image)
            scaled = Div (pixels, pixel_maximum)
            logits = Gemm <transB = 1> (scaled, weights, bias)
            probabilities = Softmax <axis = -1> (logits)
            label = ArgMax <axis = -1, keepdims = 1> (probabilities)
        }
        """,
        pixel_maximum=PIXEL_MAXIMUM,
        **linear_layer(classifier),
    )
    return trained_digits(1, graph, classifier.predict_proba(pixels[TRAINED_DIGITS:]))


def train_conv_digits() -> Trained:
    """Version 2: a convolution with the principal components of the patches, then logistic regression.

    The training images are shown moved by one pixel too: there are few of them.
    """
    images, truth = digits()
    filters, offsets = principal_filters(images[:TRAINED_DIGITS])
    classifier = LogisticRegression(C=10, max_iter=1000).fit(
        conv_features(moved(images[:TRAINED_DIGITS]), filters, offsets), np.tile(truth[:TRAINED_DIGITS], 5)
    )
    graph = graph_of(
        """
        <ir_version: 8, opset_import: ["": 17]>
        digits_conv (float[N, 8, 8] image) => (float[N, 10] probabilities, int64[N, 1] label) {
            scaled = Div (image, pixel_maximum)
            plane = Unsqueeze (scaled, channel_axis)
            maps = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (plane, filters, offsets)
            active = Relu (maps)
            pooled = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (active)
            features = Flatten <axis = 1> (pooled)
            logits = Gemm <transB = 1> (features, weights, bias)
            probabilities = Softmax <axis = -1> (logits)
            label = ArgMax <axis = -1, keepdims = 1> (probabilities)
        }
        """,
        pixel_maximum=PIXEL_MAXIMUM,
        channel_axis=np.array([1]),
        filters=filters.reshape(CONV_FILTERS, 1, 3, 3),
        offsets=offsets,
        **linear_layer(classifier),
    )
    features = conv_features(images[TRAINED_DIGITS:], filters, offsets)
    return trained_digits(2, graph, classifier.predict_proba(features))


def trained_digits(version: int, graph: onnx.ModelProto, expected: Floats) -> Trained:
    images, truth = digits()
    labels = [str(digit) for digit in range(10)]
    held_out = slice(TRAINED_DIGITS, None)
    return Trained("digits", version, graph, labels, images[held_out], truth[held_out], expected)


def linear_layer(classifier: LogisticRegression) -> dict[str, Floats]:
    return {"weights": classifier.coef_.astype(np.float32), "bias": classifier.intercept_.astype(np.float32)}


def patches(images: Floats) -> Floats:
    """Return the 3x3 surroundings of each pixel, scaled to 0..1: [n, 8, 8, 9]."""
    padded = np.pad(images / PIXEL_MAXIMUM, ((0, 0), (1, 1), (1, 1)))
    return sliding_window_view(padded, (3, 3), axis=(1, 2)).reshape(len(images), 8, 8, 9)


def principal_filters(images: Floats) -> tuple[Floats, Floats]:
    """Return filters [16, 9], each principal component in both signs, and offsets [16] that centre."""
    analysis = PCA(CONV_FILTERS // 2, svd_solver="full").fit(patches(images).reshape(-1, 9))
    filters: Floats = np.concatenate([analysis.components_, -analysis.components_]).astype(np.float32)
    offsets: Floats = (-filters @ analysis.mean_).astype(np.float32)
    return filters, offsets


def conv_features(images: Floats, filters: Floats, offsets: Floats) -> Floats:
    """Do what the graph does before its last layer: convolve, cut at zero, average over 2x2, [n, 256]."""
    maps: Floats = np.maximum(patches(images) @ filters.T + offsets, 0)
    pooled: Floats = maps.reshape(len(images), 4, 2, 4, 2, CONV_FILTERS).mean(axis=(2, 4))
    return pooled.transpose(0, 3, 1, 2).reshape(len(images), -1)


def moved(images: Floats) -> Floats:
    """Return the images as they are, then moved by a pixel to each of the four sides."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (1, 0), (1, 2), (0, 1), (2, 1))
    return np.concatenate([padded[:, top : top + 8, left : left + 8] for top, left in corners])


# Language


def train_language() -> Trained:
    """Logistic regression on how often each of the commonest runs of one to three characters occurs."""
    corpus = [line.split("\t") for line in (HERE / "language_corpus.tsv").read_text("utf-8").splitlines()[1:]]
    labels = sorted({name for name, _, _ in corpus})
    shown = [(piece, name) for name, split, text in corpus if split == "train" for piece in pieces(text)]
    held_out = [(text, name) for name, split, text in corpus if split == "held-out"]
    letters = sorted({character for text, _ in shown for character in text.lower() if character.isalpha()})
    counter = CountVectorizer(analyzer=partial(ngrams, both_cases(letters)), max_features=NGRAMS)
    classifier = LogisticRegression(C=30, max_iter=1000)
    pipeline = make_pipeline(counter, FunctionTransformer(np.log1p), Normalizer(), classifier)
    pipeline.fit(*zip(*shown, strict=True))
    texts, truth = zip(*held_out, strict=True)
    return Trained(
        model="language",
        version=1,
        graph=language_graph(letters, labels, counter.vocabulary_, classifier),
        labels=labels,
        inputs=np.array(texts, dtype=object).reshape(-1, 1),
        truth=np.array([labels.index(name) for name in truth]),
        expected=pipeline.predict_proba(texts),
    )


def pieces(text: str) -> list[str]:
    """Return a text and every few words of it that stand together: short texts are to be recognised too."""
    words = text.split()
    starts = range(len(words) - WORDS_PER_PIECE + 1)
    return [text, *(" ".join(words[at : at + WORDS_PER_PIECE]) for at in starts)]


def both_cases(letters: Iterable[str]) -> str:
    return "".join(case for letter in letters for case in (letter, letter.upper()) if len(case) == 1)


def ngrams(letters: str, text: str) -> list[str]:
    """Return every run of one to three characters but a lone space.

    Whatever stands between letters is one space, and so are both ends of the text.
    """
    plain = re.sub(f"[^{letters}]+", " ", f" {text} ").lower()
    runs = (plain[at : at + n] for n in range(1, LONGEST_NGRAM + 1) for at in range(len(plain) - n + 1))
    return [run for run in runs if run != " "]


def language_graph(
    letters: list[str], labels: list[str], vocabulary: dict[str, int], classifier: LogisticRegression
) -> onnx.ModelProto:
    """Build the whole way from strings to languages, the same as `ngrams` and the pipeline, inside the graph.

    Characters become numbers: 0 fills the shorter rows of a batch and is in no n-gram, 1 is the space between
    words, a letter and its capital are one number.
    """
    number = {" ": 1} | {letter: at for at, letter in enumerate(letters, start=2)}
    spelled = {case: number[letter] for letter in letters for case in both_cases(letter)}
    listed = sorted(vocabulary, key=lambda ngram: (len(ngram), ngram))
    shorter = [sum(len(ngram) < length for ngram in listed) for length in range(1, LONGEST_NGRAM + 1)]
    model = graph_of(
        """
        <ir_version: 9, opset_import: ["": 20, "ai.onnx.ml": 3, "com.microsoft": 1]>
        language (string[N, 1] text) => (string[N, 1] language, float[N, classes] probabilities) {
            flat = Reshape (text, all)
            opened = StringConcat (space, flat)
            enclosed = StringConcat (opened, space)
            characters = com.microsoft.Tokenizer <mark = 0, mincharnum = 1, pad_value = ""> (enclosed)
            numbers = ai.onnx.ml.LabelEncoder <default_int64 = 1> (characters)
            counts = TfIdfVectorizer <mode = "TF", min_gram_length = 1, max_skip_count = 0> (numbers)
            more = Add (counts, one)
            features = Log (more)
            normal = LpNormalization <axis = 1, p = 2> (features)
            logits = Gemm <transB = 1> (normal, weights, bias)
            probabilities = Softmax <axis = -1> (logits)
            best = ArgMax <axis = -1, keepdims = 1> (probabilities)
            language = Gather (labels, best)
        }
        """.replace("classes", str(len(labels))),
        all=np.array([-1]),
        space=np.array([" "], dtype=object),
        one=np.array(1, dtype=np.float32),
        labels=np.array(labels, dtype=object),
        **linear_layer(classifier),
    )
    cases = both_cases(letters)
    complete(model, "Tokenizer", tokenexp=f"[{cases}]|[^{cases}]+")
    complete(model, "LabelEncoder", keys_strings=["", *spelled], values_int64s=[0, *spelled.values()])
    complete(
        model,
        "TfIdfVectorizer",
        max_gram_length=LONGEST_NGRAM,
        ngram_counts=[sum(map(len, listed[:at])) for at in shorter],
        ngram_indexes=[vocabulary[ngram] for ngram in listed],
        pool_int64s=[number[character] for character in chain.from_iterable(listed)],
    )
    return model


def complete(model: onnx.ModelProto, operator: str, **attributes: str | int | list[str] | list[int]) -> None:
    """Give the one node of that operator the attributes that are known only after training."""
    (node,) = (node for node in model.graph.node if node.op_type == operator)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


if __name__ == "__main__":
    main()

"""How many of scikit-learn's held-out handwritten digits the sample model `digits` gets right.

    python clients/python/examples/digits.py [HOST:PORT]

The images go to the server in pieces, all of them at once: it runs them together as it sees fit. Besides the client
this needs scikit-learn, for the images.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

from naiad_client import Client

TRAINED = 1200
"""The model was trained on the images before this one."""
PIECE = 64
"""Images in one request; the model takes no more (`max_batch_size` in its config)."""


def main(address: str = "localhost:8001") -> None:
    """Infer the held-out images and print the accuracy."""
    digits = load_digits()
    images, truth = digits.images[TRAINED:], digits.target[TRAINED:]
    with Client(address) as client:
        pieces = range(0, len(images), PIECE)
        futures = [client.submit("digits", images[start : start + PIECE]) for start in pieces]
        results = [future.result() for future in futures]
    labels = np.concatenate([result.label.ravel() for result in results])
    right = int((labels == truth).sum())
    print(f"digits, version {results[0].version}: {right} of {len(truth)} right ({right / len(truth):.1%})")


if __name__ == "__main__":
    main(*sys.argv[1:2])

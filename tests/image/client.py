"""Inference with the sample models' held-out examples, to count how many a server gets right.

    python -m tests.image.client HOST:PORT

Prints JSON: model -> version -> number. For a server in a container it is run in the container's network.
"""

import json
import sys
from typing import Any

import tritonclient.grpc as triton

from tests.e2e import held_out
from tests.e2e.held_out import Examples

BATCH = 64


def correct(client: Any, model: str, version: str, datatype: str, examples: Examples) -> int:
    """Ask for all examples in batches; `probabilities` decides what is right."""
    (described,) = client.get_model_metadata(model, version).inputs
    total = 0
    for start in range(0, len(examples.input), BATCH):
        rows = Examples(examples.input[start : start + BATCH], examples.truth[start : start + BATCH])
        tensor = triton.InferInput(described.name, list(rows.input.shape), datatype)
        tensor.set_data_from_numpy(rows.input)
        total += rows.correct(client.infer(model, [tensor], version).as_numpy("probabilities"))
    return total


def main(address: str) -> None:
    digits, language = held_out.digits(), held_out.language()
    client = triton.InferenceServerClient(address)
    found = {
        "digits": {version: correct(client, "digits", version, "FP32", digits) for version in ("1", "2")},
        "language": {"1": correct(client, "language", "1", "BYTES", language)},
    }
    client.close()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

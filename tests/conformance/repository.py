"""The models that the scenarios call: `python -m tests.conformance.repository DIRECTORY [--python-backend]`.

Made for Naiad (ONNX and the identity backend), or for any server that has Triton's Python backend: the same names,
signatures and behaviour, so that both can be asked the same questions.

    simple          INT32 [16] twice -> OUTPUT0 the sum, OUTPUT1 the difference
    identity_<...>  any length of each datatype; `echo_pair` returns two inputs of different datatypes
    nobatch         FP32 [2, 3] without a batch dimension
    versions        versions 1, 2 and 5, of which the latest two are served
    optional        FP32 [1] twice, of which the second may be left out
    counted         called by the statistics scenario alone
    busy, impatient one slow instance with a queue of 2, or with a queue timeout of 50 ms
    broken          one version that does not load
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.models.build import add_sub

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16",
    "BYTES",
)  # fmt: skip

SLOW_MILLISECONDS = 200

MODEL_PY = """\
import json, time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.name = config["name"]
        self.outputs = [(output["name"], output["data_type"]) for output in config["output"]]
        delay = config["parameters"].get("execute_delay_ms", {"string_value": "0"})
        self.delay = int(delay["string_value"]) / 1000
        if self.name == "broken":
            raise pb_utils.TritonModelException("broken on purpose")

    def execute(self, requests):
        time.sleep(self.delay)
        return [pb_utils.InferenceResponse(self.answer(request.inputs())) for request in requests]

    def answer(self, inputs):
        if self.name == "simple":
            values = {each.name(): each.as_numpy() for each in inputs}
            first, second = values["INPUT0"], values["INPUT1"]
            return [pb_utils.Tensor("OUTPUT0", first + second), pb_utils.Tensor("OUTPUT1", first - second)]
        return [self.same(name, kind, each) for (name, kind), each in zip(self.outputs, self.sorted(inputs))]

    def sorted(self, inputs):
        return sorted(inputs, key=lambda each: each.name())

    def same(self, name, kind, tensor):
        if kind == "TYPE_BF16":
            return pb_utils.Tensor.from_dlpack(name, tensor.to_dlpack())
        return pb_utils.Tensor(name, tensor.as_numpy())
"""


class Tensor(NamedTuple):
    name: str
    datatype: str
    dims: Sequence[int]
    optional: bool = False

    def __str__(self) -> str:
        kind, more = self.datatype.replace("BYTES", "STRING"), " optional: true" * self.optional
        return f'{{ name: "{self.name}" data_type: TYPE_{kind} dims: {list(self.dims)}{more} }}'


class Model(NamedTuple):
    """One directory of the repository; `more` is further text of its config."""

    name: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    backend: str = "identity"
    max_batch_size: int = 8
    versions: Sequence[int] = (1,)
    more: str = "dynamic_batching { }"


def same(name: str, *tensors: tuple[str, Sequence[int]], more: str = "dynamic_batching { }", rows: int = 8) -> Model:
    """Return a model whose outputs are its inputs."""
    inputs = [Tensor(f"INPUT{at}", *tensor) for at, tensor in enumerate(tensors)]
    outputs = [Tensor(f"OUTPUT{at}", *tensor) for at, tensor in enumerate(tensors)]
    return Model(name, inputs, outputs, max_batch_size=rows, more=more)


def may_lack_second(model: Model) -> Model:
    first, second = model.inputs
    return model._replace(inputs=(first, second._replace(optional=True)))


def slow(name: str, policy: str) -> Model:
    delay = f'parameters {{ key: "execute_delay_ms" value: {{ string_value: "{SLOW_MILLISECONDS}" }} }}'
    batching = f"dynamic_batching {{ default_queue_policy {{ {policy} }} }}"
    return same(name, ("FP32", [1]), rows=1, more=f"{batching}\n{delay}")


def models() -> list[Model]:
    two = [Tensor("INPUT0", "INT32", [16]), Tensor("INPUT1", "INT32", [16])]
    sums = [Tensor("OUTPUT0", "INT32", [16]), Tensor("OUTPUT1", "INT32", [16])]
    return [
        Model("simple", two, sums, backend="onnxruntime"),
        *(same(f"identity_{datatype.lower()}", (datatype, [-1])) for datatype in DATATYPES),
        same("echo_pair", ("BYTES", [-1]), ("FP32", [2, -1])),
        same("nobatch", ("FP32", [2, 3]), rows=0, more=""),
        same("versions", ("FP32", [1]), more="version_policy { latest { num_versions: 2 } }")._replace(
            versions=(1, 2, 5)
        ),
        may_lack_second(same("optional", ("FP32", [1]), ("FP32", [1]))),
        same("counted", ("FP32", [2])),
        slow("busy", "max_queue_size: 2"),
        slow("impatient", "default_timeout_microseconds: 50000"),
        same("broken", ("FP32", [1]))._replace(backend="onnxruntime"),
    ]


def config(model: Model, backend: str) -> str:
    return "\n".join(
        [
            f'name: "{model.name}"',
            f'backend: "{backend}"',
            f"max_batch_size: {model.max_batch_size}",
            *(f"input {tensor}" for tensor in model.inputs),
            *(f"output {tensor}" for tensor in model.outputs),
            "instance_group { kind: KIND_CPU count: 1 }",
            model.more,
            "",
        ]
    )


def write(directory: Path, python_backend: bool = False) -> Path:
    """Write the repository into `directory`, which is created, and return it."""
    for model in models():
        home = directory / model.name
        for version in model.versions:
            (home / str(version)).mkdir(parents=True)
        if python_backend:
            for version in model.versions:
                (home / str(version) / "model.py").write_text(MODEL_PY)
        elif model.name == "simple":
            add_sub(home / "1/model.onnx")
        elif model.name == "broken":
            (home / "1/model.onnx").write_bytes(b"no model at all")
        (home / "config.pbtxt").write_text(config(model, "python" if python_backend else model.backend))
    return directory


def main() -> None:
    arguments = argparse.ArgumentParser(description="Write the models that the scenarios call.")
    arguments.add_argument("directory", type=Path, help="where to; created")
    arguments.add_argument("--python-backend", action="store_true", help="as models of Triton's Python backend")
    parsed = arguments.parse_args()
    write(parsed.directory, parsed.python_backend)


if __name__ == "__main__":
    main()

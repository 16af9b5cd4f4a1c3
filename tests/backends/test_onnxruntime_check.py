"""Where a config and the ONNX graph that it speaks of disagree; on real sessions."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.types import DataType
from tests.backends.models import loaded, onnx_model, refusal
from tests.models import build

FP32 = DataType.FP32


def refused(path: Path, config: ModelConfig) -> list[tuple[str, str]]:
    """Field and text of every problem."""
    return [(problem.field, problem.text) for problem in refusal(path, config).problems]


def declared(
    inputs: Sequence[TensorConfig] = (TensorConfig("INPUT0", FP32, (16,)),),
    outputs: Sequence[TensorConfig] = (TensorConfig("OUTPUT0", FP32, (4,)),),
    max_batch_size: int = 8,
) -> ModelConfig:
    """A config that fits the model of `build.linear`."""
    return ModelConfig("m", max_batch_size=max_batch_size, inputs=tuple(inputs), outputs=tuple(outputs))


BATCHED = (
    "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, "
    "making complete shape "
)
LINEAR = "the model expects 2 dimensions (shape [-1,16]) but the model configuration specifies"


@pytest.mark.parametrize(
    ("config", "field", "text"),
    [
        (
            declared([TensorConfig("INPUT0", FP32, (16,)), TensorConfig("extra", FP32, (1,))]),
            "input[1].name",
            "unexpected inference input 'extra', allowed inputs are: INPUT0 (FP32 [-1,16]), for model 'm'",
        ),
        (
            declared(outputs=[TensorConfig("y", FP32, (4,))]),
            "output[0].name",
            "unexpected inference output 'y', allowed outputs are: OUTPUT0 (FP32 [-1,4]), for model 'm'",
        ),
        (
            declared([TensorConfig("INPUT0", DataType.BYTES, (16,))]),
            "input[0].data_type",
            (
                "unable to load model 'm', configuration expects datatype TYPE_STRING for input 'INPUT0', model "
                "provides TYPE_FP32"
            ),
        ),
        (
            declared(outputs=[TensorConfig("OUTPUT0", DataType.FP64, (4,))]),
            "output[0].data_type",
            (
                "unable to load model 'm', configuration expects datatype TYPE_FP64 for output 'OUTPUT0', model "
                "provides TYPE_FP32"
            ),
        ),
        (
            declared([TensorConfig("INPUT0", FP32, (15,))]),
            "input[0].dims",
            f"model 'm', tensor 'INPUT0': {LINEAR} 2 dimensions ({BATCHED}[-1,15])",
        ),
        (
            declared([TensorConfig("INPUT0", FP32, (-1,))]),
            "input[0].dims",
            f"model 'm', tensor 'INPUT0': {LINEAR} 2 dimensions ({BATCHED}[-1,-1])",
        ),
        (
            declared([TensorConfig("INPUT0", FP32, (16,), reshape=(4, 4))]),
            "input[0].reshape",
            f"model 'm', tensor 'INPUT0': {LINEAR} 3 dimensions ({BATCHED}[-1,4,4])",
        ),
        (
            declared([TensorConfig("INPUT0", FP32, (16,))], [TensorConfig("OUTPUT0", FP32, (-1, 4))], 0),
            "input[0].dims",
            f"model 'm', tensor 'INPUT0': {LINEAR} 1 dimensions (shape [16])",
        ),
        (
            declared([TensorConfig("INPUT0", FP32, (16,), optional=True)]),
            "input[0].optional",
            "unable to load model 'm', optional input 'INPUT0' is not supported for models that support batching",
        ),
        (
            declared(
                [TensorConfig("INPUT0", FP32, (-1, 16), optional=True)], [TensorConfig("OUTPUT0", FP32, (-1, 4))], 0
            ),
            "input[0].optional",
            "input 'INPUT0' of model 'm' cannot be optional: the graph has no default (an initializer) for it",
        ),
    ],
)
def test_a_config_that_speaks_of_another_model_is_refused(
    file: Path, config: ModelConfig, field: str, text: str
) -> None:
    assert refused(build.linear(file), config) == [(field, text)]


def test_every_disagreement_is_told_at_once(file: Path) -> None:
    config = declared([TensorConfig("INPUT0", DataType.INT32, (15,))], [TensorConfig("OUTPUT9", DataType.INT32, (1,))])
    fields = [field for field, _ in refused(build.add_sub(file), config)]
    assert fields == ["input", "input[0].dims", "output[0].name"]


def test_inputs_that_a_config_lacks_are_named(file: Path) -> None:
    config = declared([TensorConfig("INPUT0", DataType.INT32, (16,))], [TensorConfig("OUTPUT0", DataType.INT32, (16,))])
    assert refused(build.add_sub(file), config) == [
        (
            "input",
            (
                "unable to load model 'm', configuration expects 1 inputs, model provides 2: the configuration lacks "
                "INPUT1 (INT32 [-1,16])"
            ),
        )
    ]


def test_batching_cannot_be_asked_of_a_model_that_has_none(file: Path) -> None:
    [(field, text)] = refused(build.fixed_batch(file), ModelConfig("m", max_batch_size=8))
    assert field == "max_batch_size"
    assert text.startswith(
        "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is specified"
    )
    assert text.endswith("the model has INPUT0 (FP32 [4,16]), OUTPUT0 (FP32 [4,16])")
    tensors = [TensorConfig(name, FP32, (16,)) for name in ("INPUT0", "OUTPUT0")]
    problems = refused(file, declared(tensors[:1], tensors[1:]))
    assert [field for field, _ in problems] == ["input[0].dims", "output[0].dims"]
    assert problems[0][1] == (
        "model 'm', tensor 'INPUT0': for the model to support batching the shape should have at least 1 dimension and "
        "the first dimension must be -1; but shape expected by the model is [4,16]"
    )


def test_a_scalar_has_one_element(file: Path) -> None:
    config = declared([TensorConfig("INPUT0", FP32, (2,))], [TensorConfig("OUTPUT0", FP32, (1,))], 0)
    assert refused(build.scalar(file), config) == [
        (
            "input[0].dims",
            (
                "unable to load model 'm', scalar tensor 'INPUT0', should only provide 1 in the model configuration "
                "when the model doesn't support batching. Model configuration provided: [2]."
            ),
        )
    ]


def test_what_is_no_tensor_is_told_with_its_type_and_may_be_left_out(file: Path) -> None:
    onnx_model(file, "(float[n,4] x) => (float[n,4] y, seq(float[n,4]) s)", "y = Neg (x)\ns = SequenceConstruct (x)")
    text = (
        "output 's' of model 'm' is a seq(tensor(float)), expected a tensor of a datatype of the protocol; a config "
        "may list only the others"
    )
    config = ModelConfig("m", max_batch_size=2, outputs=(TensorConfig("y", FP32, (4,)),))
    assert refused(file, ModelConfig("m", max_batch_size=0)) == [("output", text)]
    with loaded(file, config) as (_, completed):
        assert completed.outputs == config.outputs
    with_it = declared([TensorConfig("x", FP32, (4,))], [TensorConfig("s", FP32, (4,))])
    assert refused(file, with_it) == [("output[0].data_type", text)]


def test_strings_beside_bf16_are_refused(file: Path) -> None:
    onnx_model(
        file,
        "(string[n,1] s, bfloat16[n,1] x) => (string[n,1] t, bfloat16[n,1] y)",
        "t = Identity (s)\ny = Identity (x)",
    )
    assert [field for field, _ in refused(file, ModelConfig("m"))] == ["input"]

"""Completing a config from an ONNX graph; on real sessions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core.backend import ModelFiles
from naiad.core.config import DynamicBatching, InstanceGroup, Kind, ModelConfig, TensorConfig
from naiad.core.types import DataType
from tests.backends.models import OPTIONS, files, onnx_model
from tests.models import build

FP32 = DataType.FP32


def completed(path: Path, config: ModelConfig | None = None, options: BackendOptions = OPTIONS) -> ModelConfig:
    backend = backends.create("onnxruntime", options)
    try:
        return backend.complete(config or ModelConfig("m"), files(path))
    finally:
        backend.close()


def declared(
    inputs: Sequence[TensorConfig] = (TensorConfig("INPUT0", FP32, (16,)),),
    outputs: Sequence[TensorConfig] = (TensorConfig("OUTPUT0", FP32, (4,)),),
    max_batch_size: int = 8,
) -> ModelConfig:
    """A config that fits the model of `build.linear`."""
    return ModelConfig("m", max_batch_size=max_batch_size, inputs=tuple(inputs), outputs=tuple(outputs))


def test_nothing_is_needed_but_the_file(file: Path) -> None:
    config = completed(build.add_sub(file))
    assert config == ModelConfig(
        "m",
        backend="onnxruntime",
        platform="onnxruntime_onnx",
        max_batch_size=4,
        inputs=(TensorConfig("INPUT0", DataType.INT32, (16,)), TensorConfig("INPUT1", DataType.INT32, (16,))),
        outputs=(TensorConfig("OUTPUT0", DataType.INT32, (16,)), TensorConfig("OUTPUT1", DataType.INT32, (16,))),
        dynamic_batching=DynamicBatching(),
        default_model_filename="model.onnx",
    )


@pytest.mark.parametrize("datatype", DataType)
def test_each_datatype_is_told_apart(file: Path, datatype: DataType) -> None:
    config = completed(build.identity(file, datatype.value, (3, -1)))
    assert config.inputs == (TensorConfig("INPUT0", datatype, (3, -1)),)
    assert config.outputs == (TensorConfig("OUTPUT0", datatype, (3, -1)),)


def test_tensors_stand_in_the_graphs_order(file: Path) -> None:
    onnx_model(file, "(float[n,1] z, float[n,1] a) => (float[n,1] y, float[n,1] b)", "y = Neg (z)\nb = Neg (a)")
    config = completed(file)
    assert [tensor.name for tensor in (*config.inputs, *config.outputs)] == ["z", "a", "y", "b"]


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (BackendOptions(2, default_max_batch_size=16), 16),
        (BackendOptions(2, settings={"default-max-batch-size": "32"}), 32),
    ],
)
def test_the_default_batch_size_can_be_set(file: Path, options: BackendOptions, size: int) -> None:
    assert completed(build.linear(file), options=options).max_batch_size == size


def test_a_default_of_zero_leaves_the_batch_in_the_dims(file: Path) -> None:
    config = completed(build.linear(file), options=BackendOptions(2, default_max_batch_size=0))
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)
    assert config.inputs == (TensorConfig("INPUT0", FP32, (-1, 16)),)


def test_batches_are_as_large_as_the_largest_that_a_config_prefers(file: Path) -> None:
    wanted = DynamicBatching(preferred_batch_size=(8, 16))
    config = completed(build.linear(file), ModelConfig("m", dynamic_batching=wanted))
    assert (config.max_batch_size, config.dynamic_batching) == (16, wanted)


def test_a_batch_size_that_is_declared_is_kept(file: Path) -> None:
    config = completed(build.linear(file), ModelConfig("m", max_batch_size=64))
    assert (config.max_batch_size, config.dynamic_batching) == (64, DynamicBatching())
    assert completed(file, ModelConfig("m", max_batch_size=1)).dynamic_batching is None


def test_only_the_side_that_is_missing_is_filled_in(file: Path) -> None:
    ours = TensorConfig("OUTPUT0", FP32, (2, 2), reshape=(4,), label_filename="labels.txt")
    config = completed(build.linear(file), ModelConfig("m", max_batch_size=2, outputs=(ours,)))
    assert config.outputs == (ours,)
    assert config.inputs == (TensorConfig("INPUT0", FP32, (16,)),)


def test_a_side_declared_with_its_whole_shapes_is_not_batched(file: Path) -> None:
    whole = TensorConfig("INPUT0", FP32, (-1, 16))
    config = completed(build.linear(file), ModelConfig("m", inputs=(whole,)))
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)
    assert config.outputs == (TensorConfig("OUTPUT0", FP32, (-1, 4)),)


def test_a_side_declared_without_the_batch_is_batched(file: Path) -> None:
    config = completed(build.linear(file), ModelConfig("m", inputs=(TensorConfig("INPUT0", FP32, (16,)),)))
    assert config.max_batch_size == 4


def test_a_config_with_both_sides_is_taken_as_it_is(file: Path) -> None:
    build.linear(file)
    whole = declared([TensorConfig("INPUT0", FP32, (-1, 16))], [TensorConfig("OUTPUT0", FP32, (-1, 4))], 0)
    for config in (declared(), whole):
        after = completed(file, config)
        assert (after.max_batch_size, after.dynamic_batching) == (config.max_batch_size, None)


@pytest.mark.parametrize(
    ("make", "dims"), [(build.fixed_batch, (4, 16)), (build.nonbatching, (2, 3)), (build.scalar, (1,))]
)
def test_a_model_without_a_free_first_dimension_is_not_batched(file: Path, make: object, dims: tuple[int, ...]) -> None:
    make(file)  # type: ignore[operator]
    config = completed(file)
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)
    assert config.inputs == (TensorConfig("INPUT0", FP32, dims),)


def test_what_has_only_a_batch_dimension_is_one_number_for_clients(file: Path) -> None:
    config = completed(onnx_model(file, "(float[n] x) => (float[n] y)", "y = Neg (x)"))
    assert config.inputs == (TensorConfig("x", FP32, (1,), reshape=()),)
    assert config.outputs == (TensorConfig("y", FP32, (1,), reshape=()),)


def test_inputs_with_a_default_are_not_filled_in_but_may_be_declared(file: Path) -> None:
    onnx_model(file, "(float[4] x, float[1] s) => (float[4] y)", "y = Mul (x, s)", {"s": np.array([2], np.float32)})
    assert [tensor.name for tensor in completed(file).inputs] == ["x"]
    optional = TensorConfig("s", FP32, (1,), optional=True)
    config = declared([TensorConfig("x", FP32, (4,)), optional], [TensorConfig("y", FP32, (4,))], 0)
    assert completed(file, config).inputs[1] == optional


def test_outputs_may_be_left_out_of_a_config(file: Path) -> None:
    inputs = [TensorConfig(name, DataType.INT32, (16,)) for name in ("INPUT0", "INPUT1")]
    config = declared(inputs, [TensorConfig("OUTPUT1", DataType.INT32, (16,))])
    assert completed(build.add_sub(file), config).outputs == config.outputs


def test_outputs_may_be_told_more_exactly_or_less_than_the_graph_does(file: Path) -> None:
    onnx_model(file, "(float[n,4] x) => (float[n,m] y, float[n,4] z)", "y = Neg (x)\nz = Neg (x)")
    outputs = [TensorConfig("y", FP32, (4,)), TensorConfig("z", FP32, (-1,))]
    assert completed(file, declared([TensorConfig("x", FP32, (4,))], outputs)).outputs == tuple(outputs)


def test_an_input_of_any_size_may_be_declared_with_one(file: Path) -> None:
    build.identity(file, dims=(-1,))
    config = declared([TensorConfig("INPUT0", FP32, (7,))], [TensorConfig("OUTPUT0", FP32, (7,))])
    assert completed(file, config).inputs == config.inputs


def test_a_graph_without_shapes_is_served_as_the_config_says(file: Path) -> None:
    onnx_model(file, "(float[n,4] x) => (float[n,4] y)", "y = Neg (x)", strip_shapes=True)
    outputs = (TensorConfig("y", FP32, (5, 6)),)
    assert completed(file, declared([TensorConfig("x", FP32, (1,))], outputs)).outputs == outputs


def test_a_model_directory_is_opened_where_its_weights_are(tmp_path: Path) -> None:
    directory = tmp_path / "1" / "model.onnx"
    build.external_data(directory / "model.onnx")
    backend = backends.create("onnxruntime", OPTIONS)
    config = backend.complete(ModelConfig("m"), ModelFiles(tmp_path, tmp_path / "1", directory))
    backend.close()
    assert config.default_model_filename == "model.onnx"
    assert config.inputs == (TensorConfig("INPUT0", FP32, (16,)),)


def test_a_gpu_that_is_not_there_does_not_keep_a_config_from_being_checked(file: Path) -> None:
    config = ModelConfig("m", instance_groups=(InstanceGroup(kind=Kind.GPU, gpus=(3,)),))
    assert completed(build.linear(file), config).max_batch_size == 4

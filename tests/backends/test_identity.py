"""The identity backend."""

import time
from pathlib import Path

import numpy as np
import pytest

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core import strings
from naiad.core.backend import Backend, Batch, Executable, ModelFiles
from naiad.core.config import Device, Kind, ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig
from naiad.core.types import DataType, Tensor
from tests.backends.models import batch, tensor, values

FILES = ModelFiles(Path("m"), Path("m/1"), None)


def backend() -> Backend:
    return backends.create("identity", BackendOptions(cpu_count=1))


def executable(config: ModelConfig) -> Executable:
    made = backend()
    made.complete(config, FILES)
    return made.load(Device(Kind.CPU))


def one(datatype: DataType = DataType.FP32, dims: tuple[int, ...] = (-1,), **fields: object) -> ModelConfig:
    """A batching config with one input."""
    inputs = (TensorConfig("INPUT0", datatype, dims),)
    return ModelConfig("m", max_batch_size=8, inputs=inputs, **fields)  # type: ignore[arg-type]


def two(first: TensorConfig, second: TensorConfig, *outputs: TensorConfig) -> ModelConfig:
    return ModelConfig("m", max_batch_size=8, inputs=(first, second), outputs=outputs)


@pytest.mark.parametrize("datatype", [d for d in DataType if d is not DataType.BYTES])
def test_a_tensor_comes_back_bit_for_bit(datatype: DataType) -> None:
    sent = values(datatype, (3, 5))
    result = executable(one(datatype)).run(batch({"INPUT0": tensor(sent, datatype)}, (1, 2)))
    assert result.arrays[0].dtype == datatype.dtype
    assert result.arrays[0].tobytes() == sent.tobytes()
    assert result.arrays[0].shape == (3, 5)
    assert result.failures == {}


def test_strings_come_back_as_objects_in_their_shape() -> None:
    elements = [b"", b"a\x00", b"\xff", b"long" * 9]
    raw = np.frombuffer(strings.encode(elements), np.uint8)
    result = executable(one(DataType.BYTES)).run(batch({"INPUT0": Tensor(DataType.BYTES, (2, 2), raw)}, (1, 1)))
    assert result.arrays[0].shape == (2, 2)
    assert result.arrays[0].ravel().tolist() == elements


def test_tensors_without_elements_come_back() -> None:
    for datatype in (DataType.FP32, DataType.BYTES):
        empty = Tensor(datatype, (2, 0), np.empty((2, 0) if datatype.itemsize else 0, np.uint8))
        assert executable(one(datatype)).run(batch({"INPUT0": empty}, (2,))).arrays[0].shape == (2, 0)


def test_missing_outputs_are_completed_one_like_each_input() -> None:
    config = two(TensorConfig("a", DataType.INT8, (2,)), TensorConfig("b", DataType.BYTES, (1,), reshape=()))
    completed = backend().complete(config, FILES)
    assert completed.backend == "identity"
    assert completed.outputs == (
        TensorConfig("OUTPUT0", DataType.INT8, (2,)),
        TensorConfig("OUTPUT1", DataType.BYTES, (1,), reshape=()),
    )


def test_outputs_are_the_inputs_in_the_configs_order() -> None:
    a, b = TensorConfig("a", DataType.FP32, (1,)), TensorConfig("b", DataType.INT64, (1,))
    first, second = values(DataType.FP32, (1, 1)), values(DataType.INT64, (1, 1))
    result = executable(two(a, b)).run(batch({"b": tensor(second), "a": tensor(first)}))
    assert [array.dtype for array in result.arrays] == [np.float32, np.int64]


def test_the_output_of_an_optional_input_that_is_left_out_is_zeros() -> None:
    optional = TensorConfig("b", DataType.BYTES, (2, -1), optional=True)
    config = two(TensorConfig("a", DataType.FP32, (1,)), optional)
    sent = values(DataType.FP32, (3, 1))
    arrays = executable(config).run(batch({"a": tensor(sent)}, (3,))).arrays
    assert arrays[1].shape == (3, 2, 0)
    single = ModelConfig("m", inputs=(TensorConfig("b", DataType.BYTES, (2,), optional=True),))
    assert executable(single).run(Batch({}, (0, 1), ({},))).arrays[0].tolist() == [b"", b""]


def test_a_delay_makes_each_run_last_at_least_that_long() -> None:
    slow = executable(one(parameters={"execute_delay_ms": "30"}))
    start = time.monotonic()
    slow.run(batch({"INPUT0": tensor(values(DataType.FP32, (1, 1)))}))
    assert time.monotonic() - start >= 0.03


@pytest.mark.parametrize(
    ("config", "field", "text"),
    [
        (ModelConfig("m"), "input", "model m must specify 'input': the identity backend has no file that could tell"),
        (
            one(outputs=(TensorConfig("y", DataType.FP32, (-1,)), TensorConfig("z", DataType.FP32, (-1,)))),
            "output",
            "the identity backend answers each input with one output, got 1 inputs and 2 outputs for m",
        ),
        (
            one(outputs=(TensorConfig("y", DataType.INT32, (-1,)),)),
            "output[0].data_type",
            "data_type of model m: output 'y' of the identity backend is input 'INPUT0', got INT32, expected FP32",
        ),
        (
            one(dims=(4,), outputs=(TensorConfig("y", DataType.FP32, (2, 2)),)),
            "output[0].dims",
            "shape of model m: output 'y' of the identity backend is input 'INPUT0', got [2, 2], expected [4]",
        ),
        (
            one(parameters={"execute_delay_ms": "-1"}),
            'parameters["execute_delay_ms"].string_value',
            "parameter execute_delay_ms of model m, got '-1', expected a number of milliseconds",
        ),
    ],
)
def test_a_config_that_no_identity_can_be_is_refused(config: ModelConfig, field: str, text: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        backend().complete(config, FILES)
    assert [(problem.field, problem.text) for problem in raised.value.problems] == [(field, text)]


def test_shapes_agree_between_the_reshapes() -> None:
    output = TensorConfig("y", DataType.FP32, (4,), reshape=(2, 2))
    backend().complete(one(dims=(2, 2), outputs=(output,)), FILES)
    backend().complete(one(dims=(-1, 2), outputs=(output,)), FILES)

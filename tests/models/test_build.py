"""The models that tests are built on do what they say, in ONNX Runtime."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from tests.models import build

Array = NDArray[Any]

QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 4  # runs that are meant to fail
DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model" / "1" / "model.onnx"


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, QUIET, providers=["CPUExecutionProvider"])


def run(path: Path, *inputs: Array) -> list[Array]:
    feed = {f"INPUT{at}": value for at, value in enumerate(inputs)}
    answers: list[Array] = session(path).run(None, feed)
    return answers


def shapes(path: Path) -> list[tuple[str, list[int | str]]]:
    """The name and shape of each input, then of each output; a name in a shape is a dimension of any size."""
    opened = session(path)
    return [(tensor.name, tensor.shape) for tensor in (*opened.get_inputs(), *opened.get_outputs())]


def constants(path: Path) -> dict[str, Array]:
    return {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}


def flop(path: Path) -> int:
    """What the products of a model cost for one row, counted from the file and the shapes ONNX infers."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    weights = {each.name: list(each.dims) for each in model.graph.initializer}
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    elements = {
        value.name: math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]) for value in values
    }
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += 2 * elements[node.output[0]] * math.prod(weights[node.input[1]][1:])
        elif node.op_type in {"Gemm", "MatMul"}:
            total += 2 * elements[node.output[0]] * weights[node.input[1]][0]
    return total


def rows(count: int, *dims: int) -> Array:
    return np.random.default_rng(7).standard_normal((count, *dims)).astype(np.float32)


def test_an_mlp_is_its_layers_with_relu_between_them(path: Path) -> None:
    build.mlp(path)
    assert shapes(path) == [("INPUT0", ["n", 128]), ("OUTPUT0", ["n", 10])]
    held, expected = constants(path), rows(3, 128)
    for layer in range(3):
        expected = expected @ held[f"weights{layer}"] + held[f"bias{layer}"]
        expected = np.maximum(expected, 0) if layer < 2 else expected
    np.testing.assert_allclose(run(path, rows(3, 128))[0], expected, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_file_and_another_seed_other_weights(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name / "model.onnx" for name in ("first", "again", "other"))
    assert build.mlp(first, seed=1).read_bytes() == build.mlp(again, seed=1).read_bytes()
    assert build.mlp(other, seed=2).read_bytes() != first.read_bytes()


def test_a_linear_model_is_one_product_and_a_bias(path: Path) -> None:
    held = constants(build.linear(path, inputs=5, outputs=2))
    expected = rows(4, 5) @ held["weights0"] + held["bias0"]
    np.testing.assert_allclose(run(path, rows(4, 5))[0], expected, rtol=1e-5, atol=1e-5)


def test_add_sub_answers_sum_and_difference(path: Path) -> None:
    build.add_sub(path)
    assert shapes(path) == [(name, ["n", 16]) for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")]
    left, right = np.arange(32, dtype=np.int32).reshape(2, 16), np.full((2, 16), 3, dtype=np.int32)
    added, subtracted = run(path, left, right)
    np.testing.assert_array_equal(added, left + right)
    np.testing.assert_array_equal(subtracted, left - right)


@pytest.mark.parametrize("datatype", DTYPES)
def test_identity_returns_numbers_of_every_datatype(path: Path, datatype: str) -> None:
    build.identity(path, datatype, dims=(2, -1))
    assert [shape for _, shape in shapes(path)] == [["n", 2, "any1"]] * 2
    sent: Array = np.arange(12).reshape(2, 2, 3).astype(DTYPES[datatype])
    (returned,) = run(path, sent)
    assert returned.dtype == sent.dtype
    np.testing.assert_array_equal(returned, sent)


def test_identity_returns_strings(path: Path) -> None:
    sent = np.array([["", "a", "naïve\0ß"]], dtype=object)
    np.testing.assert_array_equal(run(build.identity(path, "BYTES", dims=(3,)), sent)[0], sent)


def test_identity_returns_the_bits_of_bf16(path: Path) -> None:
    """ONNX Runtime gives no numpy array for BF16: its bits come back through a bound output."""
    sent, returned = np.array([[0x3F80, 0xC000, 0x7FC1]], dtype=np.uint16), np.zeros((1, 3), dtype=np.uint16)
    wrap = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type
    opened = session(build.identity(path, "BF16", dims=(3,)))
    binding = opened.io_binding()
    binding.bind_ortvalue_input("INPUT0", wrap(sent, TensorProto.BFLOAT16))
    binding.bind_ortvalue_output("OUTPUT0", wrap(returned, TensorProto.BFLOAT16))
    opened.run_with_iobinding(binding)
    np.testing.assert_array_equal(returned, sent)


def test_every_datatype_is_built(path: Path) -> None:
    assert {*DTYPES, "BYTES", "BF16"} == set(build.ELEMENTS)
    with pytest.raises(KeyError):
        build.identity(path, "FP8")


def test_a_fixed_batch_takes_that_batch_only(path: Path) -> None:
    build.fixed_batch(path, batch=3)
    assert shapes(path) == [("INPUT0", [3, 16]), ("OUTPUT0", [3, 16])]
    np.testing.assert_array_equal(run(path, rows(3, 16))[0], -rows(3, 16))
    with pytest.raises(Exception, match="Got: 2 Expected: 3"):
        run(path, rows(2, 16))


def test_a_scalar_has_no_dimensions(path: Path) -> None:
    build.scalar(path)
    assert shapes(path) == [("INPUT0", []), ("OUTPUT0", [])]
    (twice,) = run(path, np.array(21, dtype=np.float32))
    assert twice.shape == ()
    assert twice == 42


def test_the_nonbatching_model_transposes(path: Path) -> None:
    build.nonbatching(path)
    assert shapes(path) == [("INPUT0", [2, 3]), ("OUTPUT0", [3, 2])]
    np.testing.assert_array_equal(run(path, rows(2, 3))[0], rows(2, 3).T)


@pytest.mark.parametrize(
    ("make", "gflop"), [(build.slow, 0.05), (build.slow, 0.3), (build.conv, 0.2), (build.conv, 1.0)]
)
def test_a_cost_is_at_least_what_was_asked_for(path: Path, make: Callable[[Path, float], Path], gflop: float) -> None:
    one_layer_more = 0.08e9
    assert gflop * 1e9 <= flop(make(path, gflop)) < gflop * 1e9 + one_layer_more


def test_the_slow_model_turns_each_row_once_for_each_product(path: Path) -> None:
    build.slow(path, gflop=0.05)
    assert shapes(path) == [("INPUT0", ["n", 128]), ("OUTPUT0", ["n", 128])]
    products = sum(node.op_type == "MatMul" for node in onnx.load(path).graph.node)
    expected = rows(2, 128) @ np.linalg.matrix_power(constants(path)["rotation"].astype(np.float64), products)
    np.testing.assert_allclose(run(path, rows(2, 128))[0], expected, atol=1e-4)


def test_a_row_of_the_conv_model_does_not_depend_on_its_batch(path: Path) -> None:
    build.conv(path, gflop=0.1)
    assert shapes(path) == [("INPUT0", ["n", 3, 32, 32]), ("OUTPUT0", ["n", 64])]
    images = rows(3, 3, 32, 32)
    together, alone = run(path, images)[0], run(path, images[1:2])[0]
    assert together.std() > 0.01
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_the_failing_model_answers_squares_and_fails_for_a_number_outside_its_table(path: Path) -> None:
    build.failing(path)
    assert shapes(path) == [("INPUT0", ["n", 1]), ("OUTPUT0", ["n", 1])]
    assert run(path, np.array([[3], [9]]))[0].tolist() == [[9], [81]]
    with pytest.raises(Exception, match="out of data bounds"):
        run(path, np.array([[3], [10]]))


def test_external_data_is_read_from_the_file_beside_the_model(path: Path, tmp_path: Path) -> None:
    build.external_data(path)
    build.external_data(path)  # over what is there
    assert {each.name for each in path.parent.iterdir()} == {"model.onnx", "weights.bin"}
    assert (path.parent / "weights.bin").stat().st_size < 1000
    inside = build.linear(tmp_path / "inside.onnx")
    np.testing.assert_array_equal(run(path, rows(2, 16))[0], run(inside, rows(2, 16))[0])
    (path.parent / "weights.bin").unlink()
    with pytest.raises(Exception, match=r"weights\.bin"):
        session(path)

"""Runs on real ONNX Runtime sessions: every datatype, strings, scalars, and requests that fail beside others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naiad.core import strings
from naiad.core.backend import Batch, Executable
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.errors import BackendError, Internal, InvalidArgument
from naiad.core.types import Array, DataType, Tensor
from tests.backends.models import batch, loaded, onnx_model, tensor, values
from tests.models import build

FIXED_SIZE = [datatype for datatype in DataType if datatype is not DataType.BYTES]


@pytest.fixture
def string_model(file: Path) -> Iterator[Executable]:
    """Strings [n, any] as they are."""
    with loaded(build.identity(file, "BYTES", (-1,))) as (executable, _):
        yield executable


def strings_of(elements: Sequence[bytes], shape: tuple[int, ...]) -> Tensor:
    return Tensor(DataType.BYTES, shape, np.frombuffer(strings.encode(elements), np.uint8))


def numbers(*rows: int) -> Tensor:
    return tensor(np.array(rows, np.int64).reshape(-1, 1))


@pytest.mark.parametrize("datatype", FIXED_SIZE)
def test_a_tensor_comes_back_bit_for_bit(file: Path, datatype: DataType) -> None:
    sent = values(datatype, (3, 5))
    with loaded(build.identity(file, datatype.value, (5,))) as (executable, _):
        [given] = executable.run(batch({"INPUT0": tensor(sent, datatype)}, (1, 2))).arrays
    assert given.dtype == datatype.dtype
    assert given.shape == (3, 5)
    assert given.tobytes() == sent.tobytes()


@pytest.mark.parametrize("datatype", DataType)
def test_tensors_without_elements_run(file: Path, datatype: DataType) -> None:
    empty = Tensor(datatype, (2, 0), np.empty((2, 0) if datatype.itemsize else 0, datatype.dtype))
    with loaded(build.identity(file, datatype.value, (-1,))) as (executable, _):
        assert executable.run(batch({"INPUT0": empty}, (2,))).arrays[0].shape == (2, 0)


def test_bf16_goes_in_unaligned_and_outlives_the_session(file: Path) -> None:
    message = b"x" + values(DataType.BF16, (2, 8)).tobytes()
    view = np.frombuffer(message, np.uint8)[1:].view(np.uint16).reshape(2, 8)
    with loaded(build.identity(file, "BF16", (8,))) as (executable, _):
        [given] = executable.run(batch({"INPUT0": tensor(view, DataType.BF16)}, (1, 1))).arrays
    assert given.tobytes() == message[1:]


def test_bf16_goes_beside_other_datatypes(file: Path) -> None:
    onnx_model(
        file, "(bfloat16[n,2] x, float[n,1] f) => (bfloat16[n,2] y, float[n,1] g)", "y = Identity (x)\ng = Neg (f)"
    )
    bits, ones = values(DataType.BF16, (3, 2)), np.ones((3, 1), np.float32)
    with loaded(file) as (executable, _):
        arrays = executable.run(batch({"x": tensor(bits, DataType.BF16), "f": tensor(ones)}, (3,))).arrays
    np.testing.assert_array_equal(arrays[0], bits)
    np.testing.assert_array_equal(arrays[1], -ones)


def test_outputs_stand_in_the_configs_order_and_only_those(file: Path) -> None:
    build.add_sub(file)
    sent = {name: tensor(np.full((1, 16), value, np.int32)) for name, value in (("INPUT0", 5), ("INPUT1", 3))}
    both = tuple(TensorConfig(name, DataType.INT32, (16,)) for name in ("OUTPUT1", "OUTPUT0"))
    for outputs in (both, both[:1]):
        config = ModelConfig("m", max_batch_size=4, outputs=outputs)
        with loaded(file, config) as (executable, _):
            arrays = executable.run(batch(sent)).arrays
        assert [int(array[0, 0]) for array in arrays] == [2, 8][: len(outputs)]


def test_a_batch_gives_what_its_rows_give_alone(file: Path) -> None:
    rows = values(DataType.INT32, (6, 16)).astype(np.float32) / 2**31
    with loaded(build.linear(file)) as (executable, _):
        [together] = executable.run(batch({"INPUT0": tensor(rows)}, (2, 1, 3))).arrays
        alone = [executable.run(batch({"INPUT0": tensor(rows[i : i + 1])})).arrays[0] for i in range(6)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_scalars_have_one_element_for_clients(file: Path) -> None:
    with loaded(build.scalar(file)) as (executable, config):
        assert config.inputs[0].dims == config.outputs[0].dims == (1,)
        [given] = executable.run(batch({"INPUT0": tensor(np.array([3], np.float32))})).arrays
    assert (given.shape, given.tolist()) == ((1,), [6])


def test_scalars_have_as_many_dimensions_as_the_config_says(file: Path) -> None:
    tensors = [TensorConfig(name, DataType.FP32, (1, 1)) for name in ("INPUT0", "OUTPUT0")]
    config = ModelConfig("m", inputs=(tensors[0],), outputs=(tensors[1],))
    with loaded(build.scalar(file), config) as (executable, _):
        [given] = executable.run(batch({"INPUT0": tensor(np.array([[3]], np.float32))})).arrays
    assert given.tolist() == [[6]]


def test_a_scalar_string_is_one_element(file: Path) -> None:
    with loaded(onnx_model(file, "(string x) => (string y)", "y = Identity (x)")) as (executable, _):
        [given] = executable.run(batch({"x": strings_of([b"abc"], (1,))})).arrays
    assert (given.shape, given.tolist()) == ((1,), ["abc"])


def test_an_output_of_unknown_shape_keeps_the_one_it_has(file: Path) -> None:
    onnx_model(file, "(float[2] x) => (float[2] y)", "y = Neg (x)")
    model = onnx.load(file)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save_model(model, file)
    config = ModelConfig("m", inputs=(TensorConfig("x", DataType.FP32, (2,)),))
    with loaded(file, config) as (executable, _):
        assert executable.run(batch({"x": tensor(np.ones(2, np.float32))})).arrays[0].shape == (2,)


def test_an_input_with_a_default_may_be_left_out(file: Path) -> None:
    onnx_model(file, "(float[2] x, float s) => (float[2] y)", "y = Mul (x, s)", {"s": np.array(2, np.float32)})
    ones = tensor(np.ones(2, np.float32))
    inputs = (TensorConfig("x", DataType.FP32, (2,)), TensorConfig("s", DataType.FP32, (1,), optional=True))
    config = ModelConfig("m", inputs=inputs, outputs=(TensorConfig("y", DataType.FP32, (2,)),))
    with loaded(file, config) as (executable, _):
        assert executable.run(batch({"x": ones})).arrays[0].tolist() == [2, 2]
        five = tensor(np.array([5], np.float32))
        assert executable.run(batch({"x": ones, "s": five})).arrays[0].tolist() == [5, 5]


def test_strings_with_a_default_may_be_left_out(file: Path) -> None:
    onnx_model(file, "(float[2] x) => (float[2] y, string[1] t)", "y = Neg (x)\nt = Identity (s)")
    model = onnx.load(file)
    model.graph.input.append(onnx.helper.make_tensor_value_info("s", onnx.TensorProto.STRING, [1]))
    model.graph.initializer.append(
        onnx.TensorProto(name="s", data_type=onnx.TensorProto.STRING, dims=[1], string_data=[b"own"])
    )
    onnx.save_model(model, file)
    inputs = (TensorConfig("x", DataType.FP32, (2,)), TensorConfig("s", DataType.BYTES, (1,), optional=True))
    ones = tensor(np.ones(2, np.float32))
    with loaded(file, ModelConfig("m", inputs=inputs)) as (executable, _):
        assert executable.run(batch({"x": ones})).arrays[1].tolist() == ["own"]
        assert executable.run(batch({"x": ones, "s": strings_of([b"sent"], (1,))})).arrays[1].tolist() == ["sent"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=12))
def test_text_comes_back_as_it_was_sent(string_model: Executable, texts: list[str]) -> None:
    sent = strings_of([text.encode() for text in texts], (1, len(texts)))
    [given] = string_model.run(batch({"INPUT0": sent})).arrays
    assert given.shape == (1, len(texts))
    assert given.ravel().tolist() == texts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests=st.lists(st.lists(st.binary(max_size=3), min_size=2, max_size=2), min_size=1, max_size=5))
def test_requests_with_bytes_that_are_no_text_fail_alone(string_model: Executable, requests: list[list[bytes]]) -> None:
    elements = [element for request in requests for element in request]
    sent = strings_of(elements, (len(requests), 2))
    result = string_model.run(batch({"INPUT0": sent}, [1] * len(requests)))
    assert len(result.arrays[0]) == len(requests)
    for i, request in enumerate(requests):
        if all(_is_text(element) for element in request):
            assert i not in result.failures
            assert strings.encode(result.arrays[0][i]) == strings.encode(request)
        else:
            assert isinstance(result.failures[i], InvalidArgument)


def _is_text(element: bytes) -> bool:
    try:
        element.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_bytes_that_are_no_text_are_told_with_their_place(string_model: Executable) -> None:
    elements = [b"a", b"b", b"c", b"d\xff", b"e", b"f", b"\xc3", b"\xfe"]
    result = string_model.run(batch({"INPUT0": strings_of(elements, (4, 2))}, (1, 2, 1)))
    assert {i: str(error) for i, error in result.failures.items()} == {
        1: "inference input 'INPUT0' must be UTF-8 for the ONNX Runtime backend, got invalid start byte at byte 1 of "
        "element 1",
        2: "inference input 'INPUT0' must be UTF-8 for the ONNX Runtime backend, got unexpected end of data at byte 0 "
        "of element 0",
    }
    assert result.arrays[0][0].tolist() == ["a", "b"]


def test_a_model_that_makes_bytes_that_are_no_text_fails_with_a_reason(file: Path) -> None:
    onnx_model(file, "(float[1] x) => (string[1] y)", "y = Identity (c)")
    model = onnx.load(file)
    model.graph.initializer.append(
        onnx.TensorProto(name="c", data_type=onnx.TensorProto.STRING, dims=[1], string_data=[b"\xff"])
    )
    onnx.save_model(model, file)
    with (
        loaded(file) as (executable, _),
        pytest.raises(BackendError, match="onnx runtime error: an output of strings is not UTF-8"),
    ):
        executable.run(batch({"x": tensor(np.ones(1, np.float32))}))


def test_a_single_request_that_fails_is_told_onnx_runtimes_words(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        loaded(build.failing(file)) as (executable, _),
        pytest.raises(BackendError, match=r"^onnx runtime error 2: Non-zero status code .* out of data bounds, idx=99"),
    ):
        executable.run(batch({"INPUT0": numbers(99)}))
    assert capfd.readouterr() == ("", "")


def test_a_request_that_fails_costs_its_mates_nothing(file: Path) -> None:
    with loaded(build.failing(file)) as (executable, _):
        result = executable.run(batch({"INPUT0": numbers(3, 4, 99, 5, 77, 6)}, (2, 2, 1, 1)))
    assert {i: "idx=99" in str(error) or "idx=77" in str(error) for i, error in result.failures.items()} == {
        1: True,
        2: True,
    }
    assert all(isinstance(error, BackendError) for error in result.failures.values())
    [squares] = result.arrays
    assert squares.shape == (6, 1)
    assert squares[[0, 1, 5], 0].tolist() == [9, 16, 36]


def test_requests_that_all_fail_are_each_told_their_own_reason(file: Path) -> None:
    with loaded(build.failing(file)) as (executable, _):
        result = executable.run(batch({"INPUT0": numbers(99, 88)}, (1, 1)))
    assert "idx=99" in str(result.failures[0])
    assert "idx=88" in str(result.failures[1])
    assert result.arrays[0].shape == (2, 1)


def test_no_text_and_a_failing_run_in_one_batch_fail_each_for_itself(file: Path) -> None:
    squares = {"c": np.arange(3, dtype=np.float32)}
    onnx_model(
        file,
        "(int64[n,1] i, string[n,1] s) => (float[n,1] y, string[n,1] t)",
        "y = Gather (c, i)\nt = Identity (s)",
        squares,
    )
    inputs = {"i": numbers(2, 9, 1, 0), "s": strings_of([b"a", b"b", b"\xff", b"d"], (4, 1))}
    with loaded(file) as (executable, _):
        result = executable.run(batch(inputs, (1, 1, 1, 1)))
    assert {i: type(error) for i, error in result.failures.items()} == {1: BackendError, 2: InvalidArgument}
    assert result.arrays[0][[0, 3], 0].tolist() == [2, 0]
    assert result.arrays[1][[0, 3], 0].tolist() == ["a", "d"]


def test_each_request_of_a_failed_batch_is_run_once_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded(build.failing(file)) as (executable, _):
        runs: list[int] = []
        inner = vars(executable)["_run"]

        def counted(names: list[str], feed: dict[str, Array], options: object) -> list[Array]:
            runs.append(len(feed["INPUT0"]))
            return inner(names, feed, options)  # type: ignore[no-any-return]

        monkeypatch.setattr(executable, "_run", counted)
        executable.run(batch({"INPUT0": numbers(1, 2, 99, 3)}, (1, 2, 1)))
        assert runs == [4, 1, 2, 1]


def test_requests_that_cannot_be_put_together_again_share_the_first_reason(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph whose output is as wide as its values say has no batch of different widths."""
    with loaded(build.failing(file)) as (executable, _):

        def widths(_: list[str], feed: dict[str, Array], __: object) -> list[Array]:
            if len(feed["INPUT0"]) > 1:
                raise RuntimeError("together")
            return [np.zeros((1, int(feed["INPUT0"][0, 0])), np.float32)]

        monkeypatch.setattr(executable, "_run", widths)
        with pytest.raises(BackendError, match="onnx runtime error: together"):
            executable.run(batch({"INPUT0": numbers(1, 2)}, (1, 1)))


def test_the_options_of_a_run_reach_it(file: Path) -> None:
    config = ModelConfig("m", parameters={"memory.enable_memory_arena_shrinkage": "nonsense:0"})
    with (
        loaded(build.linear(file), config) as (executable, _),
        pytest.raises(BackendError, match="arena"),
    ):
        executable.run(batch({"INPUT0": tensor(np.ones((1, 16), np.float32))}))


def test_a_closed_executable_runs_no_more(file: Path) -> None:
    with loaded(build.linear(file)) as (executable, _):
        pass
    with pytest.raises(Internal, match="after it was closed"):
        executable.run(Batch({}, (0, 1), ({},)))

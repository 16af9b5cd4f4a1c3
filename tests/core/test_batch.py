"""From requests to a batch and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core import strings
from naiad.core.backend import Batch, Result
from naiad.core.batch import Shaper, fill
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.errors import BackendError, NaiadError
from naiad.core.execution import Computed, compute
from naiad.core.pending import Pending
from naiad.core.strategy import Run
from naiad.core.types import Array, DataType, InferRequest, InferResponse, RequestedOutput, Signature, TensorSpec
from naiad.core.validation import Keys, make_plan
from tests.core.house import ByHand, instances
from tests.core.scripted import Caller, Scripted

X, Y = TensorConfig("x", DataType.FP32, (-1,)), TensorConfig("y", DataType.FP32, (-1,))
ONE = ModelConfig("m", max_batch_size=8, inputs=(X,), outputs=(Y,))
TWO = replace(
    ONE,
    inputs=(X, TensorConfig("n", DataType.INT64, (1,), optional=True)),
    outputs=(Y, TensorConfig("z", DataType.INT64, (1,))),
)
TEXT = replace(ONE, inputs=(TensorConfig("s", DataType.BYTES, (-1, 2)),))
SCALAR = replace(ONE, max_batch_size=0)


def entries(config: ModelConfig, *requests: dict[str, Array], outputs: str = "") -> list[Pending]:
    """Requests as a version would have queued them, each with its tensors by name; BYTES as arrays of objects."""
    keys, by_hand = Keys(), ByHand(config, [Scripted()])
    datatypes = {tensor.name: tensor.datatype for tensor in config.inputs}
    made = []
    for i, tensors in enumerate(requests):
        specs = tuple(TensorSpec(name, datatypes[name], array.shape) for name, array in tensors.items())
        data = tuple(wire(array) if array.dtype == object else array for array in tensors.values())
        signature = Signature("m", None, specs, tuple(RequestedOutput(o) for o in outputs), {"nth": i})
        request = InferRequest(signature, str(i), data, 0, 0)
        plan = make_plan(config, 1, signature, "", keys)
        made.append(Pending(request, Caller(), by_hand.version, plan, 0))
    return made


def wire(texts: Array) -> Array:
    return np.frombuffer(strings.encode(texts.flat), np.uint8)


def texts(shape: tuple[int, ...], *elements: bytes) -> Array:
    return np.array(elements, object).reshape(shape)


def floats(*shape: int, start: float = 0) -> Array:
    return (np.arange(np.prod(shape), dtype=np.float32) + start).reshape(shape)


class Gives:
    """An executable that gives what it was told to, or raises it."""

    shared = True
    own_threads = False

    def __init__(self, result: Result | Exception) -> None:
        self._result = result

    def run(self, batch: Batch) -> Result:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def close(self) -> None: ...


def computed(
    config: ModelConfig, result: Result | Exception, *requests: dict[str, Array], outputs: str = ""
) -> Computed:
    (instance,) = instances("m", [Scripted()])
    instance.executable = Gives(result)
    return compute(Shaper(config), Run(instance, entries(config, *requests, outputs=outputs), 0))


def arrays(outcome: InferResponse | NaiadError) -> list[list[object]]:
    assert isinstance(outcome, InferResponse), outcome
    return [array.tolist() for array in outcome.arrays]


def test_a_single_request_is_handed_on_without_a_copy() -> None:
    array = floats(2, 3)
    batch = Shaper(ONE).gather(entries(ONE, {"x": array}))
    assert batch.inputs["x"].array is array
    assert (list(batch.starts), batch.rows) == ([0, 2], 2)


def test_several_requests_are_joined_in_order_with_their_rows_and_parameters() -> None:
    batch = Shaper(ONE).gather(entries(ONE, {"x": floats(2, 3)}, {"x": floats(1, 3, start=6)}))
    assert batch.inputs["x"].shape == (3, 3)
    np.testing.assert_array_equal(batch.inputs["x"].array, floats(3, 3))
    assert list(batch.starts) == [0, 2, 3]
    assert [parameters["nth"] for parameters in batch.parameters] == [0, 1]


def test_an_optional_input_is_there_only_where_the_requests_have_it() -> None:
    with_n = {"n": np.array([[7]]), "x": floats(1, 1)}
    assert list(Shaper(TWO).gather(entries(TWO, with_n, with_n)).inputs) == ["x", "n"]
    assert list(Shaper(TWO).gather(entries(TWO, {"x": floats(1, 1)})).inputs) == ["x"]


def test_strings_stay_in_wire_form_and_their_shape_counts_elements() -> None:
    batch = Shaper(TEXT).gather(entries(TEXT, {"s": texts((1, 1, 2), b"a", b"")}, {"s": texts((1, 1, 2), b"bc", b"d")}))
    tensor = batch.inputs["s"]
    assert tensor.shape == (2, 1, 2)
    assert list(strings.decode(tensor.array)) == [b"a", b"", b"bc", b"d"]


def test_a_model_without_batch_dimension_gets_its_request_as_it_is() -> None:
    batch = Shaper(SCALAR).gather(entries(SCALAR, {"x": floats(5)}))
    assert batch.inputs["x"].shape == (5,)
    assert (list(batch.starts), batch.rows) == ([0, 1], 1)


def test_the_model_sees_reshape_and_the_client_dims() -> None:
    config = replace(
        ONE,
        inputs=(replace(X, dims=(2, 3), reshape=(6,)), TensorConfig("s", DataType.BYTES, (1,), reshape=())),
        outputs=(replace(Y, dims=(3, 2), reshape=(6,)), Y),
    )
    asked = {"x": floats(2, 2, 3), "s": texts((2, 1), b"a", b"b")}
    batch = Shaper(config).gather(entries(config, asked))
    assert batch.inputs["x"].array.shape == batch.inputs["x"].shape == (2, 6)
    assert batch.inputs["s"].shape == (2,)
    shown = Shaper(config).outputs(Result([floats(2, 6), floats(2, 1)]), 2)
    assert [array.shape for array in shown] == [(2, 3, 2), (2, 1)]


def test_reshaping_without_a_batch_dimension_takes_the_whole_shape() -> None:
    config = replace(SCALAR, inputs=(replace(X, dims=(4,), reshape=(2, 2)),), outputs=(replace(Y, reshape=(1, -1)),))
    assert Shaper(config).gather(entries(config, {"x": floats(4)})).inputs["x"].array.shape == (2, 2)
    (shown,) = Shaper(config).outputs(Result([floats(1, 4)]), 1)
    assert shown.shape == (4,)


@pytest.mark.parametrize(
    ("target", "source", "filled"),
    [
        ((6,), (2, 3), (6,)),
        ((), (1,), ()),
        ((-1,), (2, 3), (6,)),
        ((2, -1), (3, 4), (2, 6)),
        ((-1, -1), (3, 4), (3, 4)),
        ((-1, 1), (0,), (0, 1)),
    ],
)
def test_open_dimensions_take_what_is_left_over(
    target: tuple[int, ...], source: tuple[int, ...], filled: tuple[int, ...]
) -> None:
    assert fill(target, source) == filled


@pytest.mark.parametrize(
    ("target", "source"), [((5,), (2, 3)), ((4, -1), (2, 3)), ((0, -1), (2,)), ((-1, -1, 2), (3, 4))]
)
def test_shapes_of_different_sizes_do_not_fill_each_other(target: tuple[int, ...], source: tuple[int, ...]) -> None:
    with pytest.raises(BackendError, match=r"^cannot reshape \["):
        fill(target, source)


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_one_open_dimension_is_filled_whatever_the_others_are(source: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(source) - 1))
    target = tuple(-1 if i == at else dim for i, dim in enumerate(source))
    assert fill(target, tuple(source)) == tuple(source)


def test_each_request_gets_its_own_rows_back() -> None:
    done = computed(ONE, Result([floats(3, 1)]), {"x": floats(2, 1)}, {"x": floats(1, 1)})
    assert [arrays(outcome) for outcome in done.outcomes] == [[[[0.0], [1.0]]], [[[2.0]]]]
    assert [o.id for o in done.outcomes if isinstance(o, InferResponse)] == ["0", "1"]
    assert (done.rows, done.lost) == (3, False)


@pytest.mark.parametrize("requests", [1, 2])
def test_only_requested_outputs_are_answered(requests: int) -> None:
    result = Result([floats(requests, 1), np.arange(requests).reshape(-1, 1)])
    done = computed(TWO, result, *[{"x": floats(1, 1)}] * requests, outputs="z")
    assert [arrays(outcome) for outcome in done.outcomes] == [[[[i]]] for i in range(requests)]


def test_one_that_fails_alone_leaves_its_mates_their_rows() -> None:
    failure = BackendError("bad row")
    done = computed(ONE, Result([floats(2, 1)], {0: failure}), {"x": floats(1, 1)}, {"x": floats(1, 1)})
    assert done.outcomes[0] is failure
    assert arrays(done.outcomes[1]) == [[[1.0]]]
    assert done.rows == 2


def test_a_run_in_which_all_failed_counts_no_rows() -> None:
    assert computed(ONE, Result([floats(1, 1)], {0: BackendError("bad row")}), {"x": floats(1, 1)}).rows == 0


@pytest.mark.parametrize(
    ("config", "result", "text"),
    [
        (ONE, Result([]), "model 'm' gave 0 outputs, its config has 1"),
        (
            ONE,
            Result([floats(3, 1)]),
            "output 'y' of model 'm' has shape [3, 1] for a batch of 2: its first dimension must be the batch size",
        ),
        (
            ONE,
            Result([np.zeros(())]),
            "output 'y' of model 'm' has shape [] for a batch of 2: its first dimension must be the batch size",
        ),
        (
            replace(ONE, outputs=(replace(Y, dims=(3,), reshape=(2,)),)),
            Result([floats(2, 2)]),
            "cannot reshape [2] to [3]",
        ),
        (ONE, Result([floats(2, 1)], {5: BackendError("who?")}), "IndexError: list assignment index out of range"),
        (ONE, RuntimeError("out of luck"), "RuntimeError: out of luck"),
    ],
)
def test_what_is_wrong_with_a_result_fails_every_request(
    config: ModelConfig, result: Result | Exception, text: str
) -> None:
    done = computed(config, result, {"x": floats(1, 1)}, {"x": floats(1, 1)})
    assert [str(outcome) for outcome in done.outcomes] == [text, text]
    assert all(isinstance(outcome, BackendError) for outcome in done.outcomes)
    assert (done.rows, done.lost) == (0, False)

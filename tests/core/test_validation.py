"""Texts, their order, and the plan of a request that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from naiad.core.config import DynamicBatching, ModelConfig, QueuePolicy, TensorConfig
from naiad.core.errors import InvalidArgument
from naiad.core.types import Array, DataType, InferRequest, Parameter, RequestedOutput, Signature, TensorSpec
from naiad.core.validation import Keys, Plan, check_data, make_plan

BATCHED = ModelConfig(
    name="m",
    max_batch_size=8,
    inputs=(
        TensorConfig("A", DataType.FP32, (16,)),
        TensorConfig("B", DataType.INT32, (-1, 2)),
        TensorConfig("C", DataType.BYTES, (1,), optional=True),
    ),
    outputs=(TensorConfig("Y", DataType.FP32, (1,)), TensorConfig("Z", DataType.BYTES, (1,))),
    dynamic_batching=DynamicBatching(),
)
PLAIN = replace(BATCHED, max_batch_size=0, dynamic_batching=None)
STRICT = replace(BATCHED, inputs=BATCHED.inputs[:2])
BYTES = replace(BATCHED, max_batch_size=0, inputs=(TensorConfig("S", DataType.BYTES, (-1,)),))

HINT = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
ID = "[request id: 7] "
A = TensorSpec("A", DataType.FP32, (1, 16))
B = TensorSpec("B", DataType.INT32, (1, 5, 2))
C = TensorSpec("C", DataType.BYTES, (1, 1))
FLAT_A = TensorSpec("A", DataType.FP32, (16,))
FLAT_B = TensorSpec("B", DataType.INT32, (5, 2))


def planned(
    config: ModelConfig,
    *inputs: TensorSpec,
    outputs: tuple[str, ...] = (),
    request_id: str = "7",
    parameters: Mapping[str, Parameter] | None = None,
) -> Plan:
    wanted = tuple(RequestedOutput(name) for name in outputs)
    return make_plan(config, 3, Signature("m", None, inputs, wanted, parameters or {}), request_id, Keys())


class Wrong(NamedTuple):
    """A request that does not fit, and what its client is told."""

    config: ModelConfig
    inputs: tuple[TensorSpec, ...]
    text: str
    outputs: tuple[str, ...] = ()


WRONG = {
    "too few inputs": Wrong(
        STRICT,
        (A,),
        ID + "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['A'], but missing required input(s) "
        "['B']. Please provide all required input(s).",
    ),
    "too many inputs": Wrong(
        STRICT,
        (A, B, C),
        ID + "expected 2 inputs but got 3 inputs for model 'm'. Got input(s) ['A','B','C'], but missing required "
        "input(s) []. Please provide all required input(s). Leave out ['C'].",
    ),
    "too few inputs of which some are optional": Wrong(
        BATCHED,
        (),
        ID + "expected number of inputs between 2 and 3 but got 0 inputs for model 'm'. Got input(s) [], but missing "
        "required input(s) ['A','B']. Please provide all required input(s).",
    ),
    "an optional input in the place of a required one": Wrong(
        BATCHED,
        (A, C),
        ID + "expected number of inputs between 2 and 3 but got 2 inputs for model 'm'. Got input(s) ['A','C'], but "
        "missing required input(s) ['B']. Please provide all required input(s).",
    ),
    "an input of an unknown name": Wrong(
        STRICT,
        (A, B._replace(name="N")),
        "unexpected inference input 'N' for model 'm', expected one of 'A', 'B'",
    ),
    "an input of nearly a known name": Wrong(
        STRICT,
        (A, B._replace(name="b")),
        "unexpected inference input 'b' for model 'm', expected one of 'A', 'B'. Did you mean 'B'?",
    ),
    "an input of a name too long to be compared": Wrong(
        STRICT,
        (A, B._replace(name="B" * 65)),
        f"unexpected inference input '{'B' * 65}' for model 'm', expected one of 'A', 'B'",
    ),
    "an output of an unknown name": Wrong(
        STRICT,
        (A, B),
        "unexpected inference output 'N' for model 'm', expected one of "
        + ", ".join(f"'{t.name}'" for t in STRICT.outputs),
        ("Y", "N"),
    ),
    "a wrong datatype": Wrong(
        STRICT,
        (A, B._replace(datatype=DataType.FP32)),
        ID + "inference input 'B' data-type is 'FP32', but model 'm' expects 'INT32'",
    ),
    "a wrong dimension where batches are": Wrong(
        STRICT,
        (A._replace(shape=(1, 17)), B),
        ID + "unexpected shape for input 'A' for model 'm'. Expected [-1,16], got [1,17]. " + HINT,
    ),
    "too many dimensions where batches are": Wrong(
        STRICT,
        (A, B._replace(shape=(1, 5, 2, 1))),
        ID + "unexpected shape for input 'B' for model 'm'. Expected [-1,-1,2], got [1,5,2,1]. " + HINT,
    ),
    "a wrong shape where no batches are": Wrong(
        PLAIN,
        (FLAT_A._replace(shape=(17,)), FLAT_B),
        ID + "unexpected shape for input 'A' for model 'm'. Expected [16], got [17]. ",
    ),
    "a dimension that is left open": Wrong(
        STRICT,
        (A._replace(shape=(1, -1)), B),
        ID + "All input dimensions should be specified for input 'A' for model 'm', got [1,-1]",
    ),
    "an open dimension where no batches are": Wrong(
        PLAIN,
        (FLAT_A._replace(shape=(-1,)), FLAT_B),
        ID + "All input dimensions should be specified for input 'A' for model 'm', got [-1]",
    ),
    "a scalar where batches are": Wrong(
        STRICT,
        (A, B._replace(shape=())),
        ID + "input 'B' has no shape but model requires batch dimension for 'm'",
    ),
    "inputs that disagree on the batch": Wrong(
        STRICT, (A, B._replace(shape=(2, 5, 2))), ID + "input 'B' batch size does not match other inputs for 'm'"
    ),
    "a batch that is too large": Wrong(
        STRICT,
        (A._replace(shape=(9, 16)), B._replace(shape=(9, 5, 2))),
        ID + "inference request batch-size must be <= 8 for 'm', got 9. Split the batch into several requests",
    ),
    "a batch of nothing": Wrong(
        STRICT,
        (A._replace(shape=(0, 16)), B._replace(shape=(0, 5, 2))),
        ID + "inference request batch-size must be >= 1 for 'm', got 0. Send no request for no rows",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_request_that_does_not_fit_is_refused_with_the_protocols_text(name: str) -> None:
    wrong = WRONG[name]
    with pytest.raises(InvalidArgument) as refused:
        planned(wrong.config, *wrong.inputs, outputs=wrong.outputs)
    assert str(refused.value) == wrong.text


EVERYTHING_WRONG = [
    ("expected 2 inputs but got 1", (A,)),
    ("unexpected inference output", (TensorSpec("N", DataType.FP64, (-1,)), B)),
    ("unexpected inference input", (TensorSpec("N", DataType.FP64, (-1,)), B)),
    ("All input dimensions should be specified", (TensorSpec("A", DataType.FP64, (-1,)), B._replace(shape=()))),
    ("has no shape", (A._replace(shape=(9, 2)), B._replace(shape=()))),
    ("batch size does not match", (A._replace(shape=(9, 2)), B._replace(datatype=DataType.FP64))),
    ("batch-size must be <= 8", (A._replace(shape=(9, 2)), B._replace(shape=(9,), datatype=DataType.FP64))),
    ("'A' data-type is 'FP64'", (TensorSpec("A", DataType.FP64, (8, 2)), TensorSpec("B", DataType.FP64, (8,)))),
    ("unexpected shape for input 'A'", (A._replace(shape=(8, 2)), TensorSpec("B", DataType.FP64, (8,)))),
    ("'B' data-type is 'FP64'", (A._replace(shape=(8, 16)), TensorSpec("B", DataType.FP64, (8,)))),
]


@pytest.mark.parametrize(("first", "inputs"), EVERYTHING_WRONG, ids=[text for text, _ in EVERYTHING_WRONG])
def test_of_several_mistakes_a_client_is_told_the_first(first: str, inputs: tuple[TensorSpec, ...]) -> None:
    outputs = ("N",) if "output" in first or len(inputs) < 2 else ()
    with pytest.raises(InvalidArgument, match=first):
        planned(STRICT, *inputs, outputs=outputs)


def test_mistakes_are_found_in_the_configs_order_of_inputs_not_in_the_requests() -> None:
    with pytest.raises(InvalidArgument, match="'A' data-type"):
        planned(STRICT, B._replace(datatype=DataType.FP64), A._replace(datatype=DataType.FP64))


def test_a_request_without_an_id_is_called_unknown() -> None:
    with pytest.raises(InvalidArgument, match=r"^\[request id: <id_unknown>\] expected 2"):
        planned(STRICT, A, request_id="")


def test_a_plan_maps_the_configs_inputs_to_the_requests_data() -> None:
    plan = planned(BATCHED, C, B, A)
    assert plan.order == (2, 1, 0)
    assert plan.key.shapes == ((16,), (5, 2), (1,))
    assert [(e.name, e.nbytes, e.elements) for e in plan.expected] == [("C", -1, 1), ("B", 40, 10), ("A", 64, 16)]


def test_an_optional_input_that_is_not_there_is_left_out_of_the_plan() -> None:
    plan = planned(BATCHED, A, B)
    assert plan.order == (0, 1, -1)
    assert plan.key.shapes == ((16,), (5, 2), None)


def test_rows_are_the_batch_dimension_and_shapes_are_without_it() -> None:
    plan = planned(STRICT, A._replace(shape=(3, 16)), B._replace(shape=(3, 0, 2)))
    assert plan.rows == 3
    assert plan.key.shapes == ((16,), (0, 2))
    assert [e.nbytes for e in plan.expected] == [192, 0]


def test_a_model_without_batch_dimension_takes_shapes_as_they_are_as_one_row() -> None:
    plan = planned(PLAIN, FLAT_A, FLAT_B)
    assert plan.rows == 1
    assert plan.key.shapes == ((16,), (5, 2), None)


def test_a_model_without_inputs_runs_one_row() -> None:
    assert planned(replace(BATCHED, inputs=())).rows == 1


@pytest.mark.parametrize(
    ("outputs", "picks", "names"),
    [
        ((), None, ["Y", "Z"]),
        (("Z",), (1,), ["Z"]),
        (("Z", "Y"), None, ["Y", "Z"]),
        (("Z", "Z"), (1,), ["Z"]),
    ],
)
def test_requested_outputs_come_once_and_in_the_configs_order(
    outputs: tuple[str, ...], picks: tuple[int, ...] | None, names: list[str]
) -> None:
    plan = planned(STRICT, A, B, outputs=outputs)
    assert plan.picks == picks
    assert [name for name, _ in plan.head.outputs] == names
    assert (plan.head.model, plan.head.version) == ("m", "3")


def test_requests_share_a_batch_key_when_their_shapes_without_rows_are_the_same() -> None:
    keys = Keys()

    def key(*inputs: TensorSpec) -> object:
        return make_plan(BATCHED, 1, Signature("m", None, inputs), "", keys).key

    one, more, longer = key(A, B), key(B, A), key(A, B._replace(shape=(1, 6, 2)))
    assert one is more
    assert longer is not one
    assert key(A, B, C) is not one


@pytest.mark.parametrize(
    ("default", "override", "own", "microseconds"),
    [
        (0, False, 50, 0),
        (100, False, 50, 100),
        (100, True, 50, 50),
        (100, True, 200, 100),
        (100, True, 0, 100),
        (100, True, -5, 100),
        (100, True, "50", 100),
        (100, True, True, 100),
        (0, True, 50, 50),
        (100, True, None, 100),
    ],
)
def test_a_request_may_shorten_the_queue_timeout_where_the_config_lets_it(
    default: int, override: bool, own: Parameter | None, microseconds: int
) -> None:
    policy = QueuePolicy(default, override)
    config = replace(STRICT, dynamic_batching=DynamicBatching(queue_policy=policy))
    plan = planned(config, A, B, parameters={} if own is None else {"timeout": own})
    assert plan.timeout_ns == microseconds * 1000


def test_without_dynamic_batching_there_is_no_queue_timeout() -> None:
    assert planned(PLAIN, FLAT_A, FLAT_B, parameters={"timeout": 50}).timeout_ns == 0


def checked(config: ModelConfig, specs: tuple[TensorSpec, ...], data: tuple[Array, ...]) -> None:
    signature = Signature("m", None, specs)
    check_data(make_plan(config, 1, signature, "7", Keys()), "m", InferRequest(signature, "7", data, 0, 0))


def test_data_of_the_size_that_its_shape_promises_passes() -> None:
    checked(STRICT, (A, B), (np.zeros((1, 16), np.float32), np.zeros((1, 5, 2), np.int32)))
    checked(BYTES, (TensorSpec("S", DataType.BYTES, (2,)),), (wire(b"ab", b""),))


@pytest.mark.parametrize("count", [15, 17])
def test_data_of_another_size_than_its_shape_promises_is_refused(count: int) -> None:
    one = replace(STRICT, inputs=STRICT.inputs[:1])
    two = (np.zeros((1, count), np.float32), np.zeros((1, 5, 2), np.int32))
    text = rf"^\[request id: 7\] input byte size mismatch for input 'A' for model 'm'. Expected 64, got {4 * count}$"
    with pytest.raises(InvalidArgument, match=text):
        checked(one, (A,), two[:1])
    with pytest.raises(InvalidArgument, match=text):
        checked(STRICT, (A, B), two)


def test_data_where_the_shape_promises_none_is_refused() -> None:
    some = (np.zeros((1, 16), np.float32), np.zeros((1, 1, 2), np.int32))
    with pytest.raises(InvalidArgument, match=r"for input 'B' for model 'm'. Expected 0, got 8$"):
        checked(STRICT, (A, B._replace(shape=(1, 0, 2))), some)


def wire(*elements: bytes) -> Array:
    return np.frombuffer(b"".join(len(e).to_bytes(4, "little") + e for e in elements), np.uint8)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (wire(b"ab"), "expected 2 string elements for inference input 'S' for model 'm', got 1"),
        (
            wire(b"ab", b"", b"c"),
            "unexpected number of string elements 3 for inference input 'S' for model 'm', expecting 2",
        ),
        (
            wire(b"ab", b"abc")[:-1],
            "incomplete string data for inference input 'S', expecting string of length 3 but only 2 bytes available",
        ),
        (
            wire(b"ab", b"")[:-1],
            (
                "incomplete string length indicator for inference input 'S' for model 'm', expecting 4 bytes but only "
                "3 bytes available. Please make sure the string length indicator is in one buffer."
            ),
        ),
    ],
)
def test_strings_that_are_not_what_the_shape_promises_are_refused(raw: Array, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked(BYTES, (TensorSpec("S", DataType.BYTES, (2,)),), (raw,))
    assert str(refused.value) == ID + text


def test_strings_are_checked_where_the_request_has_them() -> None:
    with pytest.raises(InvalidArgument, match="expected 1 string elements for inference input 'C'"):
        checked(
            BATCHED,
            (B, C, A),
            (np.zeros((1, 5, 2), np.int32), wire(), np.zeros((1, 16), np.float32)),
        )


def test_of_many_names_only_some_are_listed() -> None:
    inputs = tuple(TensorConfig(f"i{i}", DataType.FP32, (1,)) for i in range(10))
    specs = tuple(TensorSpec(f"i{i}", DataType.FP32, (1, 1)) for i in range(9))
    config = ModelConfig("m", max_batch_size=1, inputs=inputs, outputs=STRICT.outputs)
    signature = Signature("m", None, (*specs, TensorSpec("N", DataType.FP32, (1, 1))))
    with pytest.raises(InvalidArgument, match=r"expected one of 'i0', .*'i7' or 2 others$"):
        make_plan(config, 1, signature, "7", Keys())

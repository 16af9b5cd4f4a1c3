"""The values of the core: datatypes, configs, devices, problems, errors."""

from __future__ import annotations

import numpy as np
import pytest

from naiad.core import errors, problems
from naiad.core.config import Device, Kind, ModelConfig, TensorConfig, VersionPolicy
from naiad.core.errors import Code, FailureReason, NaiadError
from naiad.core.problems import InvalidConfig, Problem, Severity
from naiad.core.types import DataType, Signature


def test_a_datatype_is_found_by_its_name_on_the_wire_and_has_its_bytes_there() -> None:
    sizes = {datatype.value: datatype.itemsize for datatype in DataType}
    ints = {f"{kind}{8 * size}": size for kind in ("INT", "UINT") for size in (1, 2, 4, 8)}
    assert sizes == ints | {"BOOL": 1, "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8, "BYTES": 0}
    assert all(DataType[datatype.value] is datatype for datatype in DataType)


@pytest.mark.parametrize("datatype", DataType)
def test_a_numpy_dtype_travels_as_the_datatype_that_it_came_from(datatype: DataType) -> None:
    expected = DataType.UINT16 if datatype is DataType.BF16 else datatype
    assert DataType.of(datatype.dtype) is expected


def test_a_dtype_that_the_protocol_does_not_have_is_none() -> None:
    assert DataType.of(np.dtype("complex64")) is None


def test_signatures_are_told_apart_by_identity() -> None:
    one, other = Signature("m", None, ()), Signature("m", None, ())
    assert one != other
    assert len({one, other}) == 2


@pytest.mark.parametrize(
    ("policy", "selected"),
    [
        (VersionPolicy(), (9,)),
        (VersionPolicy(latest=2), (3, 9)),
        (VersionPolicy(latest=None), (1, 3, 9)),
        (VersionPolicy(specific=(9, 1, 4)), (1, 9)),
    ],
)
def test_a_version_policy_selects_of_what_is_there(policy: VersionPolicy, selected: tuple[int, ...]) -> None:
    assert policy.select({9, 1, 3}) == selected
    assert policy.select(frozenset()) == ()


def test_a_device_is_named_by_its_kind_and_number() -> None:
    assert [str(Device(Kind.CPU)), str(Device(Kind.GPU, 1))] == ["cpu", "gpu1"]


def test_the_shape_that_clients_see_has_the_batch_dimension_in_front() -> None:
    tensor = TensorConfig("x", DataType.FP32, (3, -1))
    assert ModelConfig("m", max_batch_size=1).shape(tensor) == (-1, 3, -1)
    assert ModelConfig("m").shape(tensor) == (3, -1)


def test_a_problem_gets_its_place_once() -> None:
    problem = Problem("must be positive", "input[0].dims")
    located = problem.located(lambda field: f"config.pbtxt:{len(field)}")
    assert str(problem) == "must be positive"
    assert str(located) == "config.pbtxt:13: must be positive"
    assert located.located(lambda _: "elsewhere") is located


def test_only_errors_among_the_problems_keep_a_model_from_being_served() -> None:
    warning, first, second = Problem("w", severity=Severity.WARNING), Problem("a", "x"), Problem("b", "y")
    assert problems.errors([warning, first]) == (first,)
    problems.raise_errors([warning])
    with pytest.raises(InvalidConfig) as invalid:
        problems.raise_errors([first, warning, second])
    assert str(invalid.value) == "a; b"
    assert str(invalid.value.located(lambda field: f"{field}.pbtxt")) == "x.pbtxt: a; y.pbtxt: b"


def tree(error: type[NaiadError]) -> list[type[NaiadError]]:
    return [error, *(found for below in error.__subclasses__() for found in tree(below))]


def test_every_error_of_the_tree_has_its_code_reason_and_advice() -> None:
    told = {error.__name__: (error.code, error.reason, error.retry) for error in tree(NaiadError)}
    reason = FailureReason
    assert {name: told[name] for name in told if hasattr(errors, name)} == {
        "NaiadError": (Code.INTERNAL, reason.INTERNAL, True),
        "InvalidArgument": (Code.INVALID_ARGUMENT, reason.INVALID_ARGUMENT, True),
        "NotFound": (Code.NOT_FOUND, reason.NOT_FOUND, True),
        "AlreadyExists": (Code.ALREADY_EXISTS, reason.INVALID_ARGUMENT, True),
        "Unimplemented": (Code.UNIMPLEMENTED, reason.UNIMPLEMENTED, True),
        "Unavailable": (Code.UNAVAILABLE, reason.UNAVAILABLE, True),
        "Rejected": (Code.UNAVAILABLE, reason.OVERLOADED, False),
        "TimedOut": (Code.UNAVAILABLE, reason.TIMEOUT, False),
        "Draining": (Code.UNAVAILABLE, reason.UNAVAILABLE, True),
        "DeadlineExceeded": (Code.DEADLINE_EXCEEDED, reason.TIMEOUT, True),
        "Cancelled": (Code.CANCELLED, reason.CANCELLED, True),
        "ResourceExhausted": (Code.RESOURCE_EXHAUSTED, reason.TOO_LARGE, True),
        "Internal": (Code.INTERNAL, reason.INTERNAL, True),
        "BackendError": (Code.INTERNAL, reason.BACKEND, True),
        "ExecutableLost": (Code.INTERNAL, reason.BACKEND, True),
    }

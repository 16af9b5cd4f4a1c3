"""The compiled contract is that of the clients: every name, number, type, label, oneof, map and method.

The other sides are tritonclient and gRPC's own packages. What only one side has is listed here, exactly.
"""

from collections import Counter
from typing import NamedTuple

import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as grpc_reflection_pb2
from tritonclient.grpc import model_config_pb2 as triton_config_pb2
from tritonclient.grpc import service_pb2 as triton_service_pb2

from naiad.protocol import (
    grpc_service_pb2,
    health_pb2,
    model_config_pb2,
    reflection_pb2,
    reflection_v1alpha_pb2,
)
from tests.protocol.facts import facts


class Pair(NamedTuple):
    """Our file, the file it must agree with, how much ours declares of each kind, and what only one side has."""

    ours: FileDescriptor
    theirs: FileDescriptor
    kinds: dict[str, int]
    only_ours: frozenset[str] = frozenset()
    only_theirs: frozenset[str] = frozenset()


PAIRS = [
    Pair(
        grpc_service_pb2.DESCRIPTOR,
        triton_service_pb2.DESCRIPTOR,
        {"package": 1, "service": 1, "rpc": 20, "message": 59, "map": 14, "oneof": 4, "field": 175},
    ),
    Pair(
        model_config_pb2.DESCRIPTOR,
        triton_config_pb2.DESCRIPTOR,
        {"package": 1, "message": 46, "map": 11, "oneof": 6, "field": 186, "enum": 9, "value": 39},
    ),
    Pair(
        health_pb2.DESCRIPTOR,
        grpc_health_pb2.DESCRIPTOR,
        {"package": 1, "service": 1, "rpc": 3, "message": 4, "map": 1, "field": 5, "enum": 1, "value": 4},
        # gRPC's health.proto has List; this version of its Python package does not yet.
        only_ours=frozenset(
            {
                "grpc.health.v1.Health.List",
                "grpc.health.v1.HealthListRequest",
                "grpc.health.v1.HealthListResponse",
                "grpc.health.v1.HealthListResponse.StatusesEntry",
                "grpc.health.v1.HealthListResponse.StatusesEntry.key",
                "grpc.health.v1.HealthListResponse.StatusesEntry.value",
                "grpc.health.v1.HealthListResponse.statuses",
            }
        ),
    ),
    Pair(
        reflection_v1alpha_pb2.DESCRIPTOR,
        grpc_reflection_pb2.DESCRIPTOR,
        {"package": 1, "service": 1, "rpc": 1, "message": 8, "oneof": 2, "field": 21},
    ),
]


@pytest.fixture(params=PAIRS, ids=lambda pair: pair.ours.name)
def pair(request: pytest.FixtureRequest) -> Pair:
    chosen = request.param
    assert isinstance(chosen, Pair)
    return chosen


def test_what_both_sides_declare_is_the_same(pair: Pair) -> None:
    ours, theirs = facts(pair.ours), facts(pair.theirs)
    both = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in both} == {name: theirs[name] for name in both}


def test_what_only_one_side_declares_is_listed(pair: Pair) -> None:
    ours, theirs = facts(pair.ours), facts(pair.theirs)
    assert ours.keys() - theirs.keys() == pair.only_ours
    assert theirs.keys() - ours.keys() == pair.only_theirs


def test_the_comparison_covers_the_whole_contract(pair: Pair) -> None:
    kinds = Counter(fact.replace(",", " ").split()[0] for fact in facts(pair.ours).values())
    assert kinds == pair.kinds


def test_the_two_sides_are_two_compilations(pair: Pair) -> None:
    assert pair.ours.pool is not pair.theirs.pool


def test_both_versions_of_reflection_declare_the_same_messages() -> None:
    v1 = facts(reflection_pb2.DESCRIPTOR)
    v1alpha = facts(reflection_v1alpha_pb2.DESCRIPTOR)
    renamed = {name.replace("v1alpha", "v1"): fact.replace("v1alpha", "v1") for name, fact in v1alpha.items()}
    assert v1 == renamed


def test_the_facts_tell_numbers_labels_types_oneofs_maps_and_streams() -> None:
    ours = facts(grpc_service_pb2.DESCRIPTOR) | facts(model_config_pb2.DESCRIPTOR)
    request = "inference.ModelInferRequest"
    assert ours[f"{request}.id"] == "field 3 optional string"
    assert ours[f"{request}.inputs"] == f"field 5 repeated message .{request}.InferInputTensor"
    assert ours[f"{request}.parameters"] == f"field 4 repeated message .{request}.ParametersEntry"
    assert ours[f"{request}.ParametersEntry"] == "map entry"
    assert ours["inference.InferParameter.uint64_param"] == "field 5 optional uint64 oneof parameter_choice"
    assert ours["inference.DataType.TYPE_BF16"] == "value 14"
    assert (
        ours["inference.GRPCInferenceService.ModelStreamInfer"]
        == "rpc stream .inference.ModelInferRequest -> stream .inference.ModelStreamInferResponse"
    )

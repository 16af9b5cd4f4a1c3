"""Every message of the contract is loaded as the class it was pickled as, at any depth of nesting."""

import pickle
from collections.abc import Iterable, Iterator

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass

from naiad.protocol import (
    grpc_service_pb2,
    health_pb2,
    model_config_pb2,
    reflection_pb2,
    reflection_v1alpha_pb2,
)

MODULES = [grpc_service_pb2, health_pb2, model_config_pb2, reflection_pb2, reflection_v1alpha_pb2]


def every(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        if not message.GetOptions().map_entry:
            yield message
        yield from every(message.nested_types)


MESSAGES = [message for module in MODULES for message in every(module.DESCRIPTOR.message_types_by_name.values())]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.full_name)
def test_a_pickled_message_keeps_its_class(message: Descriptor) -> None:
    made = GetMessageClass(message)()
    for version in range(pickle.HIGHEST_PROTOCOL + 1):
        assert type(pickle.loads(pickle.dumps(made, version))) is type(made)


def test_the_deepest_nesting_is_among_them() -> None:
    assert "inference.ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound" in {m.full_name for m in MESSAGES}

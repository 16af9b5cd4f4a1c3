"""What is in our descriptor pool, and that nothing of it is in protobuf's default one."""

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message_factory import GetMessageClass

from naiad.protocol import (
    POOL,
    grpc_service_pb2,
    health_pb2,
    model_config_pb2,
    reflection_pb2,
    reflection_v1alpha_pb2,
)

FILES = {
    "grpc_service.proto": grpc_service_pb2.DESCRIPTOR,
    "health.proto": health_pb2.DESCRIPTOR,
    "model_config.proto": model_config_pb2.DESCRIPTOR,
    "reflection.proto": reflection_pb2.DESCRIPTOR,
    "reflection_v1alpha.proto": reflection_v1alpha_pb2.DESCRIPTOR,
}
SERVICES = {
    "inference.GRPCInferenceService": "grpc_service.proto",
    "grpc.health.v1.Health": "health.proto",
    "grpc.reflection.v1.ServerReflection": "reflection.proto",
    "grpc.reflection.v1alpha.ServerReflection": "reflection_v1alpha.proto",
}


@pytest.mark.parametrize("name", FILES)
def test_our_pool_finds_a_file_by_its_name(name: str) -> None:
    assert POOL.FindFileByName(name) is FILES[name]


@pytest.mark.parametrize(("service", "file"), SERVICES.items())
def test_our_pool_finds_the_file_that_declares_a_service(service: str, file: str) -> None:
    assert POOL.FindFileContainingSymbol(service) is FILES[file]
    assert POOL.FindServiceByName(service).full_name == service


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_the_default_pool_has_no_file_of_ours(file: FileDescriptor) -> None:
    default = descriptor_pool.Default()
    try:
        found = default.FindFileByName(file.name)
    except KeyError:
        return
    assert found is not file
    assert found.pool is default


@pytest.mark.parametrize("name", ["inference.ModelInferRequest", "inference.ModelInferRequest.InferInputTensor"])
def test_a_message_found_in_our_pool_has_the_class_of_the_compiled_module(name: str) -> None:
    path = name.split(".")[1:]
    expected: object = grpc_service_pb2
    for part in path:
        expected = getattr(expected, part)
    assert GetMessageClass(POOL.FindMessageTypeByName(name)) is expected

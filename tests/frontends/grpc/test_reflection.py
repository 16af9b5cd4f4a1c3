"""Server reflection, both versions: what is served, described by our own files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from naiad.frontends.grpc.reflection import SERVICES, Reflection, ReflectionStream
from naiad.frontends.grpc.transport import OK, Reply
from naiad.protocol import POOL, grpc_service_pb2, health_pb2, reflection_pb2, reflection_v1alpha_pb2
from tests.frontends.grpc.fakes import FakeCall
from tests.frontends.grpc.served import WIRED, Served, stub

VERSIONS = {
    reflection_pb2.DESCRIPTOR.package: reflection_pb2,
    reflection_v1alpha_pb2.DESCRIPTOR.package: reflection_v1alpha_pb2,
}
NAMES = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
    "naiad.v1.Admin",
}


@pytest.fixture(scope="module", params=sorted(WIRED))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param) as served:
        yield served


@pytest.fixture(params=sorted(VERSIONS))
def ask(served: Served, request: pytest.FixtureRequest) -> Any:
    """Asks one version one question."""
    module = VERSIONS[request.param]
    service: ServiceDescriptor = module.DESCRIPTOR.services_by_name["ServerReflection"]

    def ask(**question: Any) -> Any:
        wanted = module.ServerReflectionRequest(host="here", **question)
        [response] = stub(served.channel, service, "ServerReflectionInfo")(iter([wanted]))
        assert (response.valid_host, response.original_request) == ("here", wanted)
        return response

    return ask


def files(response: Any) -> dict[str, FileDescriptorProto]:
    parsed = map(FileDescriptorProto.FromString, response.file_descriptor_response.file_descriptor_proto)
    return {file.name: file for file in parsed}


def test_all_services_are_listed(ask: Any) -> None:
    listed = ask(list_services="").list_services_response.service
    assert {service.name for service in listed} == NAMES


@pytest.mark.parametrize(
    "symbol",
    [
        "inference.GRPCInferenceService",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest",
        "inference.ModelInferRequest.InferInputTensor",
    ],
)
def test_a_symbol_is_answered_with_its_file_and_all_that_this_imports(ask: Any, symbol: str) -> None:
    found = files(ask(file_containing_symbol=symbol))
    assert set(found) == {"grpc_service.proto", "model_config.proto"}
    expected = FileDescriptorProto()
    grpc_service_pb2.DESCRIPTOR.CopyToProto(expected)
    assert found["grpc_service.proto"] == expected


@pytest.mark.parametrize("name", [health_pb2.DESCRIPTOR.name, reflection_pb2.DESCRIPTOR.name])
def test_a_file_is_found_by_its_name(ask: Any, name: str) -> None:
    assert set(files(ask(file_by_filename=name))) == {name}


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "nothing.proto"},
        {"file_containing_symbol": "inference.Nothing"},
        {"all_extension_numbers_of_type": "inference.Nothing"},
        {"file_containing_extension": {"containing_type": "inference.Nothing", "extension_number": 7}},
        {"file_containing_extension": {"containing_type": "inference.ModelConfig", "extension_number": 7}},
    ],
)
def test_what_cannot_be_found_is_told_in_the_response(ask: Any, question: dict[str, Any]) -> None:
    told = ask(**question).error_response
    assert told.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "not found" in told.error_message


def test_a_question_that_asks_for_nothing_is_told_so(ask: Any) -> None:
    assert ask().error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_messages_without_extensions_have_none(ask: Any) -> None:
    told = ask(all_extension_numbers_of_type="inference.ModelConfig").all_extension_numbers_response
    assert (told.base_type_name, list(told.extension_number)) == ("inference.ModelConfig", [])


def test_one_stream_answers_many_questions_in_order(served: Served) -> None:
    questions = [reflection_pb2.ServerReflectionRequest(host=str(i), list_services="") for i in range(50)]
    answers = stub(served.channel, SERVICES[0], "ServerReflectionInfo")(iter(questions))
    assert [answer.valid_host for answer in answers] == [str(i) for i in range(50)]


def test_bytes_that_are_no_message_end_the_stream(served: Served) -> None:
    call: Any = served.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        next(call(iter([b"\xff"])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_grpcs_own_client_can_rebuild_every_service(served: Served) -> None:
    database = ProtoReflectionDescriptorDatabase(served.channel)
    assert set(database.get_services()) == NAMES
    pool = DescriptorPool(database)
    for name in NAMES:
        rebuilt = pool.FindServiceByName(name)
        ours = POOL.FindServiceByName(name)
        assert [method.name for method in rebuilt.methods] == [method.name for method in ours.methods]
    rebuilt_fields = pool.FindMessageTypeByName("inference.ModelInferRequest").fields_by_name
    assert rebuilt_fields["raw_input_contents"].number == 7


def test_both_versions_are_the_same_on_the_wire() -> None:
    def shape(module: Any) -> FileDescriptorProto:
        described = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(described)
        text = described.SerializeToString().replace(b"v1alpha", b"v1")
        fields = {
            message.name: [(f.name, f.number, f.type, f.label, f.type_name.rpartition(".")[2]) for f in message.field]
            for message in described.message_type
        }
        assert text
        return fields  # type: ignore[return-value]

    assert shape(reflection_pb2) == shape(reflection_v1alpha_pb2)


def test_to_a_client_that_does_not_read_questions_are_not_taken() -> None:
    sent: list[Reply] = []
    call = FakeCall("ServerReflectionInfo")
    stream = ReflectionStream(Reflection(NAMES), call, sent.extend)
    question = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    stream.message(question)
    call.writable = False
    stream.message(question)
    stream.message(question)
    assert [reply.credit for reply in sent] == [1, 0, 0]
    call.writable = True
    stream.writable()
    assert [reply.credit for reply in sent] == [1, 0, 0, 2]
    stream.half_close()
    assert sent[-1] == Reply(call, None, OK)
    stream.cancel()

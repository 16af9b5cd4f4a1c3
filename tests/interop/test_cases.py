"""The cases of gRPC's interoperability tests, by their names: every client of grpcio over every transport.

They are written after the project's description of them. Left out are those about authentication and caches, and
those that ask a server which of the messages it received were compressed, since the seam does not tell: what a
server compresses and understands is seen frame by frame in test_compression.py.
"""

from __future__ import annotations

import grpc
import pytest

from naiad.frontends.status import GrpcStatus
from tests.core.scripted import eventually
from tests.interop.answers import ECHO_INITIAL, ECHO_TRAILING
from tests.interop.clients import Client, Outcome
from tests.interop.protocol.generated import testing_pb2 as pb
from tests.interop.service import InteropServer

StatusCode = grpc.StatusCode
UNIMPLEMENTED_SERVICE = pb.DESCRIPTOR.services_by_name["UnimplementedService"]
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
REQUESTS, RESPONSES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP \U0001f608\t\n"
METADATA = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))


def large() -> pb.SimpleRequest:
    return pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=pb.Payload(body=bytes(LARGE_REQUEST)))


def asking(*sizes: int, payload: int = 0) -> pb.StreamingOutputCallRequest:
    """A request for responses of these sizes, with a payload."""
    wanted = [pb.ResponseParameters(size=size) for size in sizes]
    return pb.StreamingOutputCallRequest(response_parameters=wanted, payload=pb.Payload(body=bytes(payload)))


def good(outcome: Outcome) -> bool:
    return outcome.code is StatusCode.OK


def test_empty_unary(client: Client) -> None:
    answer, outcome = client.unary("EmptyCall", pb.Empty())
    assert good(outcome)
    assert answer == pb.Empty()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_large_unary(client: Client, compression: grpc.Compression) -> None:
    answer, outcome = client.unary("UnaryCall", large(), compression=compression)
    assert good(outcome)
    assert answer.payload.body == bytes(LARGE_RESPONSE)


def test_client_streaming(client: Client) -> None:
    call = client.converse("StreamingInputCall")
    call.send(*(pb.StreamingInputCallRequest(payload=pb.Payload(body=bytes(size))) for size in REQUESTS))
    call.half_close()
    assert call.receive() == pb.StreamingInputCallResponse(aggregated_payload_size=74922)
    assert call.receive() is None
    assert good(call.outcome())


def test_server_streaming(client: Client) -> None:
    call = client.converse("StreamingOutputCall")
    call.send(asking(*RESPONSES))
    call.half_close()
    assert [call.receive().payload.body for _ in RESPONSES] == [bytes(size) for size in RESPONSES]
    assert call.receive() is None
    assert good(call.outcome())


def test_ping_pong(client: Client) -> None:
    call = client.converse("FullDuplexCall")
    for request, response in zip(REQUESTS, RESPONSES, strict=True):
        call.send(asking(response, payload=request))
        assert call.receive().payload.body == bytes(response)
    call.half_close()
    assert call.receive() is None
    assert good(call.outcome())


def test_empty_stream(client: Client) -> None:
    call = client.converse("FullDuplexCall")
    call.half_close()
    assert call.receive() is None
    assert good(call.outcome())


def test_cancel_after_begin(client: Client) -> None:
    call = client.converse("StreamingInputCall")
    call.cancel()
    assert call.outcome().code is StatusCode.CANCELLED


def test_cancel_after_first_response(client: Client, server: InteropServer) -> None:
    call = client.converse("FullDuplexCall")
    call.send(asking(RESPONSES[0], payload=REQUESTS[0]))
    assert len(call.receive().payload.body) == RESPONSES[0]
    call.cancel()
    assert call.outcome().code is StatusCode.CANCELLED
    eventually(lambda: server.open == 0)


def test_timeout_on_sleeping_server(client: Client) -> None:
    call = client.converse("FullDuplexCall", timeout=0.001)
    call.send(asking(payload=REQUESTS[0]))
    assert call.receive() is None
    assert call.outcome().code is StatusCode.DEADLINE_EXCEEDED


def test_a_deadline_that_passes_on_the_server_ends_the_call_on_both_sides(
    client: Client, server: InteropServer
) -> None:
    call = client.converse("FullDuplexCall", timeout=0.3)
    call.send(asking(1))
    while call.receive() is not None:
        pass
    assert call.outcome().code is StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: server.open == 0)


@pytest.mark.parametrize("text", ["test status message", SPECIAL], ids=["status_code_and_message", "special"])
def test_status_code_and_message_and_special_status_message(client: Client, text: str) -> None:
    status = pb.EchoStatus(code=GrpcStatus.UNKNOWN, message=text)
    answer, outcome = client.unary("UnaryCall", pb.SimpleRequest(response_status=status))
    assert (answer, outcome.code, outcome.text) == (None, StatusCode.UNKNOWN, text)
    call = client.converse("FullDuplexCall")
    call.send(pb.StreamingOutputCallRequest(response_status=status))
    call.half_close()
    assert call.receive() is None
    assert call.outcome()[:2] == (StatusCode.UNKNOWN, text)


def test_unimplemented_method(client: Client) -> None:
    _, outcome = client.unary("UnimplementedCall", pb.Empty())
    assert outcome.code is StatusCode.UNIMPLEMENTED


def test_unimplemented_service(client: Client) -> None:
    _, outcome = client.unary("UnimplementedCall", pb.Empty(), of=UNIMPLEMENTED_SERVICE)
    assert outcome.code is StatusCode.UNIMPLEMENTED


def test_custom_metadata(client: Client) -> None:
    answer, outcome = client.unary("UnaryCall", large(), metadata=METADATA)
    assert len(answer.payload.body) == LARGE_RESPONSE
    assert_echoed(outcome)
    call = client.converse("FullDuplexCall", metadata=METADATA)
    call.send(asking(LARGE_RESPONSE, payload=LARGE_REQUEST))
    call.half_close()
    assert len(call.receive().payload.body) == LARGE_RESPONSE
    assert call.receive() is None
    assert_echoed(call.outcome())


def assert_echoed(outcome: Outcome) -> None:
    (before, initial), (behind, trailing) = METADATA
    assert good(outcome)
    assert (outcome.initial[before], outcome.trailing[behind]) == (initial, trailing)
    assert behind not in outcome.initial
    assert before not in outcome.trailing

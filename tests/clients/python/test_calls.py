"""What both clients send, and what becomes of what comes back, over a real wire."""

import math
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from naiad_client import (
    Client,
    InferOptions,
    InputError,
    InvalidArgument,
    MalformedResponse,
    NaiadError,
    NotFound,
    StatusError,
)
from naiad_client import errors as module
from naiad_client.parameters import Parameter
from naiad_client.protocol import grpc_service_pb2 as pb
from tests.clients.python.conftest import Open
from tests.clients.python.scripted import Scripted, answers, fails

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def test_an_array_goes_to_the_only_input_and_comes_back(server: Scripted, opened: Open) -> None:
    result = opened(server.address).infer("m", [1.5, 2.5], id="first")
    (sent,) = server.attempts
    assert [(t.name, t.datatype, list(t.shape)) for t in sent.request.inputs] == [("x", "FP32", [2])]
    assert (result.model, result.version, result.id) == ("m", "1", "first")
    assert result.y.tolist() == [1.5, 2.5]


def test_metadata_is_fetched_once_for_each_model_and_version(server: Scripted, opened: Open) -> None:
    client = opened(server.address)
    for model, version in (("m", ""), ("m", ""), ("m", 2), ("n", ""), ("m", "2"), ("m", "")):
        client.infer(model, [1.0], version=version)
    assert [(r.name, r.version) for r in server.metadata_requests] == [("m", ""), ("m", "2"), ("n", "")]
    assert [a.request.model_version for a in server.attempts] == ["", "", "2", "", "2", ""]


def test_what_is_asked_for_besides_the_inputs_stands_in_the_request(server: Scripted, opened: Open) -> None:
    parameters: dict[str, Parameter] = {"priority": 1, "fast": True, "temperature": 0.5, "tenant": "a", "large": 2**63}
    opened(server.address).infer("m", [1.0], outputs=["y"], parameters=parameters)
    request = server.attempts[0].request
    assert [output.name for output in request.outputs] == ["y"]
    assert {name: value.WhichOneof("parameter_choice") for name, value in request.parameters.items()} == {
        "priority": "int64_param",
        "fast": "bool_param",
        "temperature": "double_param",
        "tenant": "string_param",
        "large": "uint64_param",
    }


def test_headers_of_the_client_and_of_the_call_reach_the_server(server: Scripted, opened: Open) -> None:
    client = opened(server.address, headers={"tenant": "a", "traceparent": "none"})
    client.infer("m", [1.0], headers={"traceparent": "00-1-2-01"})
    sent = server.attempts[0].metadata
    assert (sent["tenant"], sent["traceparent"]) == ("a", "00-1-2-01")


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_status_is_an_error_of_its_own_class(server: Scripted, opened: Open, code: grpc.StatusCode) -> None:
    server.script.append(fails(code, "the reason", ("detail", "7")))
    with pytest.raises(StatusError) as raised:
        opened(server.address, retries=None).infer("m", [1.0])
    error = raised.value
    assert type(error).__name__.lower() == code.name.replace("_", "").lower()
    assert getattr(module, type(error).__name__) is type(error)
    assert (error.code, error.message) == (code, "the reason")
    assert ("detail", "7") in error.trailers
    assert str(error) == f"infer 'm' at {server.address}: {code.name}: the reason"


def test_a_server_that_is_not_there_is_unavailable(opened: Open) -> None:
    with pytest.raises(module.Unavailable, match=r"live at 127\.0\.0\.1:1: UNAVAILABLE"):
        opened("127.0.0.1:1", retries=None).live()


@pytest.mark.parametrize("error", [InvalidArgument, NotFound], ids=lambda error: error.__name__)
def test_a_request_refused_as_wrong_makes_the_next_one_learn_the_model_anew(
    server: Scripted, opened: Open, error: type[StatusError]
) -> None:
    client = opened(server.address)
    client.infer("m", [1.0])
    server.inputs = [("x", "INT32")]
    server.script.append(fails(error.code))
    with pytest.raises(error):
        client.infer("m", [1.0])
    client.infer("m", [1])
    assert [a.request.inputs[0].datatype for a in server.attempts] == ["FP32", "FP32", "INT32"]


def test_inputs_that_do_not_fit_are_not_sent_and_the_next_one_learns_the_model_anew(
    server: Scripted, opened: Open
) -> None:
    client = opened(server.address)
    client.infer("m", [1.0])
    server.inputs = [("renamed", "FP32")]
    with pytest.raises(InputError, match=r"input 'renamed' of model 'm': there is none of this name.*\['x'\]"):
        client.infer("m", {"renamed": [1.0]})
    assert len(server.attempts) == 1
    assert client.infer("m", {"renamed": [1.0]}).y.tolist() == [1.0]


def test_another_failure_leaves_the_model_known(server: Scripted, opened: Open) -> None:
    client = opened(server.address)
    server.script.append(fails(grpc.StatusCode.INTERNAL))
    with pytest.raises(module.Internal):
        client.infer("m", [1.0])
    client.infer("m", [1.0])
    assert len(server.metadata_requests) == 1


def test_a_response_that_contradicts_itself_is_an_error(server: Scripted, opened: Open) -> None:
    broken = pb.ModelInferResponse(model_name="m", raw_output_contents=[b"\0" * 7])
    broken.outputs.add(name="y", datatype="FP32", shape=[2])
    server.script.append(answers(broken))
    with pytest.raises(MalformedResponse, match=r"output 'y' of model 'm': expected 8 bytes for FP32 \[2\], got 7"):
        opened(server.address).infer("m", [1.0])


@pytest.mark.parametrize(
    ("options", "most"), [({"timeout": 5}, 5), ({"timeout": math.inf}, None), ({}, 60)], ids=["own", "none", "default"]
)
def test_the_server_is_told_how_long_a_call_may_take(
    server: Scripted, opened: Open, options: InferOptions, most: float | None
) -> None:
    opened(server.address).infer("m", [1.0], **options)
    (sent,) = server.attempts
    assert sent.seconds == most if most is None else most - 4 < (sent.seconds or 0) <= most + 0.1


def test_what_a_client_is_told_holds_for_calls_that_say_nothing(server: Scripted, opened: Open) -> None:
    opened(server.address, timeout=20).infer("m", [1.0])
    assert 16 < (server.attempts[0].seconds or 0) <= 20.1


@pytest.mark.parametrize("address", ["", "localhost", "http://localhost:8000", "grpc://localhost:8001", "localhost:"])
def test_an_address_that_grpc_would_take_for_something_else_is_refused(opened: Open, address: str) -> None:
    with pytest.raises(ValueError, match=f"expected HOST:PORT of the server's gRPC, got '{address}'"):
        opened(address)


@pytest.mark.parametrize("address", ["[::1]:8001", "dns:///naiad:8001", "unix:/run/naiad.sock", "naiad.example:8001"])
def test_an_address_that_grpc_understands_is_taken(opened: Open, address: str) -> None:
    assert opened(address) is not None


def test_credentials_are_those_of_the_connection(opened: Open) -> None:
    server = Scripted()
    with server.serve(grpc.local_server_credentials()):
        trusted = opened(server.address, credentials=grpc.local_channel_credentials())
        assert trusted.infer("m", [1.0]).y.tolist() == [1.0]
        with pytest.raises(module.Unavailable):
            opened(server.address, credentials=grpc.ssl_channel_credentials(), retries=None).infer("m", [1.0])


def test_a_message_above_the_client_s_own_limit_is_not_received(server: Scripted, opened: Open) -> None:
    client = opened(server.address, max_message_size=1000)
    assert client.infer("m", np.zeros(100)).y.shape == (100,)
    with pytest.raises(module.ResourceExhausted):
        client.infer("m", np.zeros(1000))


def test_many_threads_share_a_client(server: Scripted) -> None:
    with Client(server.address) as client, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda value: client.infer("m", [value]).y[0], map(float, range(100))))
    assert found == list(range(100))
    assert len(server.metadata_requests) == 1


def test_all_errors_are_of_one_tree() -> None:
    assert {cls.code for cls in StatusError.__subclasses__()} == set(CODES)
    assert issubclass(StatusError, NaiadError)
    assert issubclass(InputError, ValueError)

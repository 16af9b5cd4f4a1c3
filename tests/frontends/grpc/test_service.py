"""Every RPC of the inference service over a real connection and a real engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as foreign

import naiad
from naiad.core.engine import IndexEntry
from naiad.frontends.grpc.inference import SERVICE
from naiad.frontends.grpc.service import GrpcService
from naiad.frontends.grpc.transport import TransportSettings
from naiad.protocol import grpc_service_pb2 as pb
from tests.core.scripted import Scripted, config, eventually
from tests.frontends.grpc.served import PLENTY, WIRED, Served, described, error, held, infer_request, stub, values
from tests.frontends.grpc.wires import PATIENCE, begin

StatusCode = grpc.StatusCode
NOT_YET = {
    "ModelStreamInfer",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
    "TraceSetting",
    "LogSettings",
}
CANNOT_BE_EMPTY = {"ModelInfer", "ModelConfig", "ModelMetadata", "RepositoryModelLoad", "RepositoryModelUnload"}


@pytest.fixture(params=sorted(WIRED))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param) as served:
        yield served


# The server.


def test_all_methods_that_clients_know_are_served_or_say_that_they_are_not_yet(served: Served) -> None:
    methods = foreign.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert set(methods) == set(SERVICE.methods_by_name)
    for name in sorted(NOT_YET):
        call = served.rpc(name)
        if methods[name].client_streaming:
            with pytest.raises(grpc.RpcError) as caught:
                next(call(iter([pb.ModelInferRequest()])))
            refusal = caught.value.code(), caught.value.details()
        else:
            refusal = error(call, _empty(name))
        assert refusal == (StatusCode.UNIMPLEMENTED, f"{name} is not implemented yet by this server")
    for name in sorted(set(methods) - NOT_YET - CANNOT_BE_EMPTY):
        served.rpc(name)(_empty(name), timeout=PATIENCE)


def _empty(name: str) -> object:
    return getattr(pb, f"{SERVICE.methods_by_name[name].input_type.name}")()


def test_the_server_lives_and_is_ready_after_the_first_pass_of_loading(served: Served) -> None:
    assert served.rpc("ServerLive")(pb.ServerLiveRequest()).live
    assert served.rpc("ServerReady")(pb.ServerReadyRequest()).ready
    served.house.engine.publish({}, ready=False)
    assert served.rpc("ServerLive")(pb.ServerLiveRequest()).live
    assert not served.rpc("ServerReady")(pb.ServerReadyRequest()).ready


def test_server_metadata_name_the_server_and_what_works(served: Served) -> None:
    metadata = served.rpc("ServerMetadata")(pb.ServerMetadataRequest())
    assert (metadata.name, metadata.version) == ("naiad", naiad.__version__)
    assert list(metadata.extensions) == [
        "model_repository",
        "model_repository(unload_dependents)",
        "model_configuration",
        "parameters",
        "statistics",
    ]


# Models.


@pytest.mark.parametrize(
    ("name", "version", "ready"), [("m", "", True), ("m", "1", True), ("m", "2", False), ("nobody", "", False)]
)
def test_a_model_is_ready_or_not_and_never_an_error(served: Served, name: str, version: str, ready: bool) -> None:
    assert served.rpc("ModelReady")(pb.ModelReadyRequest(name=name, version=version)).ready is ready


def test_model_metadata_have_shapes_with_the_batch_dimension(served: Served) -> None:
    metadata = served.rpc("ModelMetadata")(pb.ModelMetadataRequest(name="m"))
    tensor = pb.ModelMetadataResponse.TensorMetadata(name="x", datatype="FP32", shape=[-1, -1])
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("m", ["1"], "scripted")
    assert list(metadata.inputs) == [tensor]
    assert [(o.name, o.datatype, list(o.shape)) for o in metadata.outputs] == [("y", "FP32", [-1, -1])]


def test_a_models_config_is_the_whole_completed_message(served: Served) -> None:
    found = served.rpc("ModelConfig")(pb.ModelConfigRequest(name="m", version="1")).config
    assert (found.name, found.backend, found.max_batch_size) == ("m", "scripted", 8)


@pytest.mark.parametrize("rpc", ["ModelMetadata", "ModelConfig"])
def test_models_that_are_not_there_are_not_found_in_the_protocols_words(served: Served, rpc: str) -> None:
    kind = getattr(pb, f"{rpc}Request")
    subject = "Request for unknown model: "
    assert error(served.rpc(rpc), kind(name="q")) == (StatusCode.NOT_FOUND, f"{subject}'q' is not found")
    assert error(served.rpc(rpc), kind(name="m", version="9")) == (
        StatusCode.NOT_FOUND,
        f"{subject}'m' version 9 is not found",
    )


@pytest.mark.parametrize("rpc", ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"])
def test_versions_that_are_no_numbers_are_refused_by_every_rpc(served: Served, rpc: str) -> None:
    code, text = error(served.rpc(rpc), getattr(pb, f"{rpc}Request")(name="m", version="abc"))
    assert code is StatusCode.INVALID_ARGUMENT
    assert text.startswith("failed to get model version from specified version string 'abc'")


def test_statistics_are_exact_and_counted_before_the_answer_arrives(served: Served) -> None:
    for count, rows in enumerate((1, 2, 2)):
        served.rpc("ModelInfer")(infer_request(rows=rows), timeout=PATIENCE)
        assert served.house.engine.statistics("m", None)[0].success.count == count + 1
    [statistics] = served.rpc("ModelStatistics")(pb.ModelStatisticsRequest(name="m")).model_stats
    found = statistics.inference_stats
    assert (statistics.name, statistics.version) == ("m", "1")
    assert (statistics.inference_count, statistics.execution_count) == (5, 3)
    assert statistics.last_inference > 1_600_000_000_000
    assert [found.success.count, found.fail.count, found.queue.count] == [3, 0, 3]
    assert [found.compute_input.count, found.compute_infer.count, found.compute_output.count] == [3, 3, 3]
    assert all(part.ns > 0 for part in (found.success, found.queue, found.compute_infer))
    assert [(b.batch_size, b.compute_infer.count) for b in statistics.batch_stats] == [(1, 1), (2, 2)]


def test_statistics_without_a_name_are_those_of_all_models(served: Served) -> None:
    served.house.serve(described(config("other")), [Scripted()])
    found = served.rpc("ModelStatistics")(pb.ModelStatisticsRequest()).model_stats
    assert [statistics.name for statistics in found] == ["m", "other"]


def test_statistics_of_what_is_not_there_are_refused_in_the_protocols_words(served: Served) -> None:
    ask = served.rpc("ModelStatistics")
    assert error(ask, pb.ModelStatisticsRequest(name="q")) == (
        StatusCode.INVALID_ARGUMENT,
        "requested model 'q' is not available",
    )
    assert error(ask, pb.ModelStatisticsRequest(name="m", version="4")) == (
        StatusCode.INVALID_ARGUMENT,
        "requested model version is not available for model 'm'",
    )


def test_the_index_is_the_repositorys(served: Served) -> None:
    served.repository.entries = (IndexEntry("m", "1", "READY", ""), IndexEntry("broken", "", "UNAVAILABLE", "no file"))
    index = served.rpc("RepositoryIndex")
    found = index(pb.RepositoryIndexRequest()).models
    assert [(m.name, m.version, m.state, m.reason) for m in found] == [tuple(e) for e in served.repository.entries]
    index(pb.RepositoryIndexRequest(ready=True))
    assert served.repository.asked == [False, True]
    assert error(index, pb.RepositoryIndexRequest(repository_name="r")) == (
        StatusCode.UNIMPLEMENTED,
        "'repository_name' specification is not supported",
    )


# Inference.


@pytest.mark.parametrize("request_id", ["", "42", "größe"])
def test_an_inference_is_answered_with_its_id_model_and_version(served: Served, request_id: str) -> None:
    for _ in range(3):
        response = served.rpc("ModelInfer")(infer_request(4, rows=2, request_id=request_id))
        assert (response.id, response.model_name, response.model_version) == (request_id, "m", "1")
        [output] = response.outputs
        assert (output.name, output.datatype, list(output.shape)) == ("y", "FP32", [2, 2])
        assert values(response) == [8, 8, 8, 8]


def test_typed_contents_are_answered_like_raw_ones(served: Served) -> None:
    request = infer_request(3)
    del request.raw_input_contents[:]
    request.inputs[0].contents.fp32_contents.extend([3, 4])
    assert values(served.rpc("ModelInfer")(request)) == [6, 8]


def test_large_tensors_pass_through(served: Served) -> None:
    data = np.arange(2 * 2**20, dtype=np.float32)
    request = infer_request()
    request.inputs[0].shape[:] = [1, len(data)]
    request.raw_input_contents[0] = data.tobytes()
    assert values(served.rpc("ModelInfer")(request)) == (2 * data).tolist()


def test_many_callers_each_get_their_own_answer(served: Served) -> None:
    infer = served.rpc("ModelInfer")

    def call(i: int) -> bool:
        response = infer(infer_request(i, request_id=str(i)), timeout=PATIENCE)
        return bool(response.id == str(i) and values(response) == [2 * i, 2 * i])

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(400)))


def test_an_unmodified_client_is_served(served: Served) -> None:
    client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{served.port}")
    tensor = tritonclient.grpc.InferInput("x", [1, 2], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2]], np.float32))
    result = client.infer("m", [tensor], request_id="7", outputs=[tritonclient.grpc.InferRequestedOutput("y")])
    assert result.as_numpy("y").tolist() == [[2, 4]]
    assert result.get_response().id == "7"
    client.close()


def test_requests_for_what_is_not_there_are_refused_in_the_protocols_words(served: Served) -> None:
    infer = served.rpc("ModelInfer")
    subject = "Request for unknown model: "
    assert error(infer, infer_request(model="q")) == (StatusCode.NOT_FOUND, f"{subject}'q' is not found")
    wrong = infer_request(model="q")
    wrong.parameters["timeout"].string_param = "x"
    assert error(infer, wrong) == (StatusCode.NOT_FOUND, f"{subject}'q' is not found")
    assert error(infer, infer_request(version="9"))[1] == f"{subject}'m' version 9 is not found"


def test_data_that_has_not_its_shapes_size_is_refused_after_what_is_wrong_with_the_shape(served: Served) -> None:
    request = infer_request(request_id="5")
    request.raw_input_contents[0] += b"\0"
    text = "[request id: 5] input byte size mismatch for input 'x' for model 'm'. Expected 8, got 9"
    assert error(served.rpc("ModelInfer"), request) == (StatusCode.INVALID_ARGUMENT, text)
    request.inputs[0].datatype = "INT32"
    assert "data-type is 'INT32'" in error(served.rpc("ModelInfer"), request)[1]


def test_bytes_that_are_no_message_are_the_callers_mistake(served: Served) -> None:
    for name in ("ModelInfer", "ModelReady"):
        answer = begin(served.channel, b"\xff\xff\xff", f"/{SERVICE.full_name}/{name}")
        assert answer.exception(PATIENCE) is not None
        assert answer.code() is StatusCode.INVALID_ARGUMENT
        assert answer.details().startswith(f"failed to parse the message as a {name}Request")


def test_what_a_backend_raises_is_an_internal_error_with_its_text(served: Served) -> None:
    served.executable.raises = ValueError("no such row")
    assert error(served.rpc("ModelInfer"), infer_request()) == (StatusCode.INTERNAL, "ValueError: no such row")


def test_the_text_of_an_error_is_cut_before_clients_refuse_it(served: Served) -> None:
    code, text = error(served.rpc("ModelInfer"), infer_request(model="q" * 100_000))
    assert code is StatusCode.NOT_FOUND
    assert text.startswith("Request for unknown model: 'qqq")
    assert len(text) < 5000


def test_a_refused_request_asks_clients_not_to_try_again(served: Served) -> None:
    busy = Scripted()
    served.house.serve(config("full", max_batch_size=1), [busy], limit=1)
    infer = served.rpc("ModelInfer")
    with held(busy):
        running = infer.future(infer_request(1, model="full"))
        busy.await_run()
        queued = infer.future(infer_request(2, model="full"))
        eventually(lambda: served.house.engine.statistics("full", None)[0].pending == 1)
        refused = infer.future(infer_request(3, model="full", request_id="r"))
        assert refused.exception(PATIENCE) is not None
        assert refused.code() is StatusCode.UNAVAILABLE
        assert "Exceeds maximum queue size" in refused.details()
        assert ("grpc-retry-pushback-ms", "-1") in tuple(refused.trailing_metadata())
    assert values(running.result(PATIENCE)) == [2, 2]
    assert values(queued.result(PATIENCE)) == [4, 4]


def test_other_errors_leave_retries_to_the_client(served: Served) -> None:
    call = served.rpc("ModelInfer").future(infer_request(model="q"))
    assert call.exception(PATIENCE) is not None
    assert "grpc-retry-pushback-ms" not in dict(call.trailing_metadata())


def test_a_request_that_its_client_takes_back_is_never_executed(served: Served) -> None:
    with held(served.executable):
        running = served.infer(1)
        served.executable.await_run()
        taken_back = [served.infer(2) for _ in range(3)]
        eventually(lambda: served.house.engine.statistics("m", None)[0].pending == 3)
        for call in taken_back:
            call.cancel()
        eventually(lambda: served.house.engine.statistics("m", None)[0].pending == 0)
    assert values(running.result(PATIENCE)) == [2, 2]
    assert values(served.infer(3).result(PATIENCE)) == [6, 6]
    assert served.executable.executed == [1, 3]


def test_a_request_whose_deadline_passes_in_the_queue_is_never_executed(served: Served) -> None:
    with held(served.executable):
        running = served.infer(1)
        served.executable.await_run()
        late = served.infer(2, timeout=0.2)
        assert late.exception(PATIENCE) is not None
        assert late.code() is StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: served.house.engine.statistics("m", None)[0].pending == 0)
    running.result(PATIENCE)
    assert values(served.infer(3).result(PATIENCE)) == [6, 6]
    assert served.executable.executed == [1, 3]


# The end.


def test_stop_answers_what_was_accepted_and_refuses_the_rest(served: Served) -> None:
    with held(served.executable), ThreadPoolExecutor(1) as pool:
        running = served.infer(1)
        served.executable.await_run()
        served.service.refuse()
        refused = served.infer(2)
        assert refused.exception(PATIENCE) is not None
        assert (refused.code(), refused.details()) == (
            StatusCode.UNAVAILABLE,
            "GRPC server is shutting down and has stopped accepting new requests.",
        )
        stopped = pool.submit(served.service.stop, PATIENCE)
        assert not stopped.done()
        served.executable.let_go()
        assert values(running.result(PATIENCE)) == [2, 2]
        stopped.result(PATIENCE)


def test_an_engine_that_stops_refuses_with_its_own_words(served: Served) -> None:
    served.house.engine.stop()
    assert error(served.rpc("ModelInfer"), infer_request()) == (StatusCode.UNAVAILABLE, "Server exiting")


@pytest.mark.parametrize("wired", sorted(WIRED))
def test_a_service_whose_port_is_taken_says_so_and_leaves_nothing_behind(served: Served, wired: str) -> None:
    threads = {thread.name for thread in threading.enumerate()}
    other = GrpcService(served.house.engine, WIRED[wired](TransportSettings(port=served.port), PLENTY).transport)
    with pytest.raises(OSError, match=f"gRPC cannot listen on 127.0.0.1 port {served.port}: Address already in use"):
        other.start()
    assert {thread.name for thread in threading.enumerate()} == threads
    assert stub(served.channel, SERVICE, "ServerLive")(pb.ServerLiveRequest()).live

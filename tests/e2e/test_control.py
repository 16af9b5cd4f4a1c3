"""Loading and unloading models with the Triton client, over every gRPC transport of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as wire

from tests.e2e.conftest import TRANSPORTS
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server
from tests.models.build import add_sub, mlp

EXPLICIT = "--model-control-mode=explicit"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = identity(tmp_path / "models", "echo")
    mlp(root / "net/1/model.onnx", (4, 3))
    (root / "garbage/1").mkdir(parents=True)
    (root / "garbage/1/model.onnx").write_bytes(b"no model")
    return root


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the server keeps given files; none is left when it has ended."""
    directory = tmp_path / "private"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    yield directory
    assert list(directory.iterdir()) == []


@pytest.fixture(params=TRANSPORTS)
def server(request: pytest.FixtureRequest, repository: Path) -> Iterator[Server]:
    if request.param == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    with Server(repository, flags=[EXPLICIT, f"--grpc-transport={request.param}"]) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(server.grpc) as client:
        yield client


def index(client: Any) -> dict[str, tuple[str, str, str]]:
    found = client.get_model_repository_index().models
    return {each.name: (each.version, each.state, each.reason) for each in found}


def refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> tuple[str, str]:
    """The code and the text with which a call of the client fails."""
    with pytest.raises(triton.InferenceServerException) as caught:
        call(*arguments, **options)
    return str(caught.value.status()).removeprefix("StatusCode."), str(caught.value.message())


def raw_refusal(call: Any, message: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=PATIENCE)
    return caught.value.code().name, caught.value.details() or ""


def sums(client: Any, model: str, version: str = "") -> Any:
    """The sum that an add_sub model gives for [0..15] and ones."""
    inputs = [triton.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(np.arange(16, dtype=np.int32)[None])
    inputs[1].set_data_from_numpy(np.ones((1, 16), np.int32))
    return client.infer(model, inputs, model_version=version).as_numpy("OUTPUT0")


def test_a_server_starts_empty_and_serves_what_it_is_told_to(client: Any, server: Server) -> None:
    assert index(client) == {"echo": ("", "", ""), "garbage": ("", "", ""), "net": ("", "", "")}
    assert client.is_server_ready()
    assert not client.is_model_ready("echo")
    client.load_model("echo")
    assert index(client)["echo"] == ("1", "READY", "")
    assert client.is_model_ready("echo")
    assert server.stub.ModelInfer(ask("echo", 1.5), timeout=PATIENCE).model_version == "1"
    assert [each.name for each in server.stub.RepositoryIndex(wire.RepositoryIndexRequest(ready=True)).models] == [
        "echo"
    ]
    client.unload_model("echo")
    assert not client.is_model_ready("echo")
    code, text = refusal(client.get_model_config, "echo")
    assert (code, text) == ("NOT_FOUND", "Request for unknown model: 'echo' has no available versions")
    client.unload_model("echo", unload_dependents=True)
    client.unload_model("never heard of")


def test_models_that_cannot_be_loaded_are_refused_in_the_words_of_the_protocol(client: Any) -> None:
    assert refusal(client.load_model, "nowhere") == (
        "INTERNAL",
        "failed to load 'nowhere', failed to poll from model repository: there is no such model",
    )
    code, text = refusal(client.load_model, "garbage")
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("load failed for model 'garbage': version 1 is at UNAVAILABLE state: Internal: ")
    assert text.endswith(";\n")
    assert index(client)["garbage"][:2] == ("1", "UNAVAILABLE")
    assert refusal(client.load_model, "") == (
        "INVALID_ARGUMENT",
        "Model name cannot be empty. Please enter a valid name to deploy.",
    )
    assert refusal(client.load_model, "../echo") == (
        "INVALID_ARGUMENT",
        "invalid model name '../echo', model name must not contain path traversal characters",
    )
    assert "nowhere" not in index(client)


def test_parameters_of_the_wrong_kind_are_refused_in_the_words_of_the_protocol(server: Server) -> None:
    def load(key: str, **parameter: Any) -> tuple[str, str]:
        message = wire.RepositoryModelLoadRequest(model_name="echo")
        message.parameters[key].MergeFrom(wire.ModelRepositoryParameter(**parameter))
        return raw_refusal(server.stub.RepositoryModelLoad, message)

    invalid = "INVALID_ARGUMENT"
    expected = "invalid value type for load parameter 'config', expected string_param."
    assert load("config", int64_param=1) == (invalid, expected)
    expected = "invalid value type for load parameter 'file:1/model.onnx', expected bytes_param."
    assert load("file:1/model.onnx", string_param="x") == (invalid, expected)
    assert load("files", string_param="x") == (invalid, "unrecognized load parameter 'files'.")
    expected = "Load parameter 'config' must be specified for model file override"
    assert load("file:1/model.onnx", bytes_param=b"x") == (invalid, expected)
    message = wire.RepositoryModelUnloadRequest(model_name="echo")
    message.parameters["unload_dependents"].string_param = "true"
    expected = "invalid value type for 'unload_dependents' parameter, expected bool_param."
    assert raw_refusal(server.stub.RepositoryModelUnload, message) == (invalid, expected)
    elsewhere = "UNIMPLEMENTED", "'repository_name' specification is not supported"
    load_there = wire.RepositoryModelLoadRequest(repository_name="r", model_name="echo")
    assert raw_refusal(server.stub.RepositoryModelLoad, load_there) == elsewhere
    unload_there = wire.RepositoryModelUnloadRequest(repository_name="r", model_name="echo")
    assert raw_refusal(server.stub.RepositoryModelUnload, unload_there) == elsewhere


def test_a_given_config_replaces_the_one_on_the_disk_for_one_load(client: Any) -> None:
    client.load_model("net")
    assert client.get_model_config("net").config.instance_group[0].count == 2
    client.load_model("net", config=json.dumps({"max_batch_size": 2, "instance_group": [{"kind": "KIND_CPU"}]}))
    config = client.get_model_config("net").config
    assert (config.max_batch_size, config.instance_group[0].count) == (2, 2)
    wrong = json.dumps({"max_batch_size": 2, "instance_groups": []})
    assert refusal(client.load_model, "net", config=wrong) == (
        "INVALID_ARGUMENT",
        "Invalid config override: there is no field 'instance_groups', did you mean 'instance_group'?",
    )
    assert client.get_model_config("net").config.max_batch_size == 2
    client.load_model("net")
    assert client.get_model_config("net").config.max_batch_size == 4


def test_given_files_are_served_and_kept_from_everyone_else(client: Any, private: Path, tmp_path: Path) -> None:
    model = add_sub(tmp_path / "given/model.onnx").read_bytes()
    client.load_model("sums", config="{}", files={"file:1/model.onnx": model, "file:7/model.onnx": model})
    assert index(client)["sums"] == ("7", "READY", "")
    assert sums(client, "sums", "7").tolist() == [list(range(1, 17))]
    (directory,) = private.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    code, text = refusal(client.load_model, "sums", config="{}", files={"file:8/model.onnx": model[:100]})
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("load failed for model 'sums': version 8 is at UNAVAILABLE state: Internal: 8/model.onnx: ")
    assert str(private) not in text
    assert sums(client, "sums").tolist() == [list(range(1, 17))]
    config = json.dumps({"backend": "onnxruntime"})
    code, text = refusal(client.load_model, "sums", config=config, files={"file:../8/model.onnx": model})
    assert (code, text[:39]) == ("INVALID_ARGUMENT", "invalid file override 'file:../8/model.")
    code, text = refusal(client.load_model, "sums", config=config, files={"file:8/model.py": b"print()"})
    assert code == "INVALID_ARGUMENT"
    assert "may hold code, which is taken with --allow-code-upload only" in text


def test_files_of_a_model_on_the_disk_count_until_it_is_loaded_from_there(client: Any, tmp_path: Path) -> None:
    model = mlp(tmp_path / "given/model.onnx", (4, 5)).read_bytes()
    client.load_model("net", config="{}", files={"file:1/model.onnx": model})
    assert list(client.get_model_metadata("net").outputs[0].shape) == [-1, 5]
    client.load_model("net")
    assert list(client.get_model_metadata("net").outputs[0].shape) == [-1, 3]


def test_the_index_shows_models_that_came_while_the_server_ran(client: Any, repository: Path) -> None:
    identity(repository, "new")
    assert index(client)["new"] == ("", "", "")
    client.load_model("new")
    assert index(client)["new"] == ("1", "READY", "")


def test_a_call_that_is_taken_back_takes_nothing_back(server: Server, client: Any) -> None:
    call = server.stub.RepositoryModelLoad.future(wire.RepositoryModelLoadRequest(model_name="echo"))
    call.cancel()
    server.load("net")
    server.wait_for_health("net", 1)
    client.load_model("echo")
    assert client.is_model_ready("echo")


@pytest.mark.parametrize("mode", ["poll", "none"])
def test_a_server_that_is_not_to_be_told_refuses(repository: Path, mode: str) -> None:
    expected = "UNAVAILABLE", "explicit model load / unload is not allowed if polling is enabled"
    with Server(repository, flags=[f"--model-control-mode={mode}"]) as server:
        load = wire.RepositoryModelLoadRequest(model_name="echo")
        assert raw_refusal(server.stub.RepositoryModelLoad, load) == expected
        unload = wire.RepositoryModelUnloadRequest(model_name="echo")
        assert raw_refusal(server.stub.RepositoryModelUnload, unload) == expected


def test_code_is_taken_where_that_is_allowed(repository: Path) -> None:
    with (
        Server(repository, flags=[EXPLICIT, "--allow-code-upload"]) as server,
        triton.InferenceServerClient(server.grpc) as client,
    ):
        given = {"backend": "identity", "max_batch_size": 1}
        tensor = {"data_type": "TYPE_FP32", "dims": [1]}
        given |= {"input": [{"name": "INPUT0", **tensor}], "output": [{"name": "OUTPUT0", **tensor}]}
        client.load_model("code", config=json.dumps(given), files={"file:1/model.py": b"print()"})
        assert client.is_model_ready("code")

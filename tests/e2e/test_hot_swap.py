"""A running server follows its repository, by whichever means files come and go."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from tritonclient.grpc import service_pb2

from tests.conformance.messages import Given, request
from tests.drills.versions import CONFIG, NAME, files, lay, model, wait, wait_until_served
from tests.e2e.models import ask
from tests.e2e.server import PATIENCE, Server
from tests.models import build

FLAGS = ["--repository-settle-secs=0.2", "--repository-poll-secs=1"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return lay(tmp_path / "models")


@pytest.fixture
def server(repository: Path) -> Iterator[Server]:
    with Server(repository, flags=FLAGS) as server:
        yield server


def answer(server: Server, name: str = NAME, version: str = "") -> int:
    """What a model answers, which is its version."""
    request = ask(name, 0.0)
    request.model_version = version
    (content,) = server.stub.ModelInfer(request, timeout=PATIENCE).raw_output_contents
    return int(np.frombuffer(content, np.float32)[0])


def entries(server: Server, name: str = NAME) -> dict[str, tuple[str, str]]:
    index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return {entry.version: (entry.state, entry.reason) for entry in index if entry.name == name}


def answers(server: Server, number: int) -> None:
    wait(lambda: answer(server) == number, f"{number} is never answered", server)


def code(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    found: grpc.StatusCode = caught.value.code()
    return found


def write(version: Path, number: int) -> None:
    version.mkdir(parents=True, exist_ok=True)
    for name, content in files(number).items():
        (version / name).write_bytes(content)


def test_a_copied_version_takes_over_and_the_one_before_goes(server: Server, repository: Path) -> None:
    write(repository / NAME / "2", 2)
    wait_until_served(server, 2)
    answers(server, 2)
    wait(lambda: entries(server)["1"] == ("UNAVAILABLE", "unloaded"), "1 is not unloaded", server)
    assert code(lambda: answer(server, version="1")) is grpc.StatusCode.UNAVAILABLE


def test_other_content_in_place_takes_over(server: Server, repository: Path) -> None:
    (repository / NAME / "1" / "model.onnx").write_bytes(model(7))
    answers(server, 7)
    assert entries(server)["1"] == ("READY", "")


def test_older_files_with_their_times_take_over(server: Server, repository: Path, tmp_path: Path) -> None:
    write(tmp_path / "archive" / "2", 2)
    for path in (tmp_path / "archive" / "2").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    shutil.copytree(tmp_path / "archive" / "2", repository / NAME / "2", copy_function=shutil.copy2)
    answers(server, 2)


def test_a_link_that_is_switched_takes_over(tmp_path: Path) -> None:
    write(tmp_path / "store" / "blue", 1)
    write(tmp_path / "store" / "green", 2)
    home = tmp_path / "models" / NAME
    home.mkdir(parents=True)
    (home / "config.pbtxt").write_text(CONFIG)
    (home / "1").symlink_to(tmp_path / "store" / "blue")
    with Server(tmp_path / "models", flags=FLAGS) as server:
        assert answer(server) == 1
        (home / "next").symlink_to(tmp_path / "store" / "green")
        (home / "next").rename(home / "1")
        answers(server, 2)


def test_a_mounted_volume_of_kubernetes_takes_over(tmp_path: Path) -> None:
    """Every name is a link through `..data`, which is renamed in one step."""
    home = tmp_path / "models" / NAME
    for day, number in (("..2026_01_01", 1), ("..2026_01_02", 2)):
        write(home / day / "1", number)
        (home / day / "config.pbtxt").write_text(CONFIG)
    (home / "..data").symlink_to("..2026_01_01")
    for name in ("1", "config.pbtxt"):
        (home / name).symlink_to(f"..data/{name}")
    with Server(tmp_path / "models", flags=FLAGS) as server:
        assert answer(server) == 1
        (home / "..data_tmp").symlink_to("..2026_01_02")
        (home / "..data_tmp").rename(home / "..data")
        shutil.rmtree(home / "..2026_01_01")
        answers(server, 2)


def test_what_is_touched_or_copied_over_itself_is_not_loaded_again(repository: Path) -> None:
    home = repository / NAME / "1"
    with Server(repository, flags=[*FLAGS, "--log-level=debug"]) as server:
        server.line(re.compile("the content of all files is known"))
        for path in home.iterdir():
            path.touch()
            path.write_bytes(path.read_bytes())
            path.chmod(0o600)
        lay_another(repository)
        wait(lambda: entries(server, "other").get("1", ("", ""))[0] == "READY", "the other is not served", server)
        wait(lambda: entries(server)["1"] == ("READY", ""), "it is still looked at", server)
        assert server.log.count(f"model {NAME} version 1 is ready") == 1


def lay_another(repository: Path) -> None:
    write(repository / "other" / "1", 1)
    (repository / "other" / "config.pbtxt").write_text(CONFIG.replace(NAME, "other"))


def test_models_come_and_go(server: Server, repository: Path) -> None:
    lay_another(repository)
    wait(lambda: entries(server, "other").get("1", ("", ""))[0] == "READY", "it is not served", server)
    assert answer(server, "other") == 1
    shutil.rmtree(repository / "other")
    wait(lambda: entries(server, "other") == {}, "it is still known", server)
    assert code(lambda: answer(server, "other")) is grpc.StatusCode.NOT_FOUND
    assert answer(server) == 1


def test_a_directory_that_is_deleted_and_copied_again_is_served_in_between(server: Server, repository: Path) -> None:
    shutil.rmtree(repository / NAME / "1")
    write(repository / NAME / "1", 5)
    answers(server, 5)
    assert "is unloaded" not in server.log.partition("version 1 is ready")[2].partition("version 1 is ready")[0]


def test_several_versions_under_the_policy_and_a_change_of_it_in_place(server: Server, repository: Path) -> None:
    config = repository / NAME / "config.pbtxt"
    write(repository / NAME / "2", 2)
    wait_until_served(server, 2)
    config.write_text(CONFIG + "version_policy { all { } }\n")
    wait_until_served(server, 1)
    assert (answer(server, version="1"), answer(server, version="2"), answer(server)) == (1, 2, 2)
    config.write_text(CONFIG + "version_policy { specific { versions: 1 } }\n")
    answers(server, 1)
    assert server.log.count(f"model {NAME} version 2 is ready") == 1
    assert server.log.count(f"model {NAME} version 1 is ready") == 2


def test_the_number_of_instances_changes_in_place(server: Server, repository: Path) -> None:
    more = CONFIG.replace("instance_group { kind: KIND_CPU count: 1 }", "instance_group { kind: KIND_CPU count: 3 }")
    assert more != CONFIG
    (repository / NAME / "config.pbtxt").write_text(more)

    def count() -> int:
        config = server.stub.ModelConfig(service_pb2.ModelConfigRequest(name=NAME), timeout=PATIENCE).config
        return int(config.instance_group[0].count)

    wait(lambda: count() == 3, "it never has three", server)
    assert answer(server) == 1
    assert server.log.count(f"model {NAME} version 1 is ready") == 1
    assert server.statistics(NAME).inference_count >= 1


def test_a_bad_version_costs_nothing_and_is_mended_in_place(server: Server, repository: Path) -> None:
    write(repository / NAME / "2", 2)
    (repository / NAME / "2" / "model.onnx").write_bytes(b"<html>404</html>" * 10)
    wait(lambda: "model.onnx" in entries(server).get("2", ("", ""))[1], "nothing is told of it", server)
    assert answer(server) == 1
    assert server.stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=PATIENCE).ready
    (repository / NAME / "2" / "model.onnx").write_bytes(model(2))
    answers(server, 2)


def test_a_version_that_fails_its_requests_is_rolled_back(tmp_path: Path) -> None:
    home = tmp_path / "models" / "picky"
    cast = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]> picky (int64[n, 1] INPUT0)
        => (float[n, 1] OUTPUT0) { OUTPUT0 = Cast <to = 1> (INPUT0) }""")
    (home / "1").mkdir(parents=True)
    onnx.save_model(cast, home / "1" / "model.onnx")
    (home / "config.pbtxt").write_text('backend: "onnxruntime"\nmax_batch_size: 4\n')
    large = request("picky", Given("INPUT0", "INT64", [1, 1], np.array([[50]], np.int64).tobytes()))
    flags = [*FLAGS, "--rollback-error-rate=0.5", "--rollback-window-secs=60"]
    with Server(tmp_path / "models", flags=flags) as server:
        assert server.stub.ModelInfer(large, timeout=PATIENCE).model_version == "1"
        build.failing(home / "2" / "model.onnx")
        wait(lambda: entries(server, "picky").get("2", ("", ""))[0] == "READY", "2 is not served", server)
        assert entries(server, "picky")["1"][0] == "UNAVAILABLE"
        codes = {server.stub.ModelInfer.future(large, timeout=PATIENCE).code() for _ in range(25)}
        assert grpc.StatusCode.INTERNAL in codes
        wait(lambda: "rolled back: " in entries(server, "picky")["2"][1], "2 goes on", server)
        assert entries(server, "picky")["1"] == ("READY", "")
        assert server.stub.ModelInfer(large, timeout=PATIENCE).model_version == "1"


def test_without_watching_nothing_changes(repository: Path) -> None:
    with Server(repository, flags=["--model-control-mode=none"]) as server:
        write(repository / NAME / "2", 2)
        lay_another(repository)
        assert answer(server) == 1
        assert list(entries(server)) == ["1"]
        assert entries(server, "other") == {}


def test_what_is_replaced_in_memory_answers_all_who_waited(tmp_path: Path) -> None:
    repository = lay(tmp_path / "models")
    with Server(repository, flags=[*FLAGS, "--swap=replace"]) as server:
        write(repository / NAME / "2", 2)
        seen = set()
        for _ in range(2000):
            seen.add(answer(server))
            if seen == {1, 2}:
                break
        assert seen == {1, 2}
        wait(lambda: entries(server)["2"][0] == "READY", "2 is not served", server)
        assert answer(server) == 2

"""Planted mistakes, each told with its place, what was found, what was expected and what to do about it.

Those in configs, directories and files are planted in tests/repository/mistakes.py; here a running server and `naiad
check` tell them in the same words. Mistakes of requests go through a real client, those of the command line through
`naiad serve`.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2

from tests.e2e.server import PATIENCE, Server, command
from tests.models import build
from tests.repository.mistakes import CONFIGS, DIRECTORIES, FILES, MISTAKES, Mistake, directory_name, plant

Told = dict[str, Any]
"""A finding of `naiad check --json`."""


class Site(NamedTuple):
    """A repository with every mistake: what `naiad check` says of each model, and a server's index and log."""

    root: Path
    exit_code: int
    checked: dict[str, list[Told]]
    others: list[Told]
    reasons: dict[str, str]
    ready: set[str]
    log: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("mistakes") / "models"
    for mistake in MISTAKES:
        plant(root, mistake)
    shared = root.parent / "shared"
    build.linear(shared / "sound" / "1" / "model.onnx")
    shared.chmod(0o777)
    done = subprocess.run(
        command("check", "--json", str(root), str(shared)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    report = json.loads(done.stdout)
    with Server(root, shared, flags=["--model-control-mode=none"]) as server:
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return Site(
        root=root,
        exit_code=done.returncode,
        checked={model["name"]: model["findings"] for model in report["models"]},
        others=report["findings"],
        reasons={entry.name: entry.reason for entry in index if entry.reason},
        ready={entry.name for entry in index if entry.state == "READY"},
        log=server.log,
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_running_server_tells_a_mistake_in_the_words_of_the_check(site: Site, mistake: str) -> None:
    row, name = MISTAKES[mistake], directory_name(mistake)
    findings = site.checked[name]
    assert (name in site.ready) is row.warning
    here = str(site.root / name)
    found, expected, remedy = (
        part.replace("{model}", here).replace("{name}", name) for part in (row.found, row.expected, row.remedy)
    )
    place = f"{here}/{row.place}" if row.place else here
    lines = [line for line in site.log.splitlines() if f"{place}: " in line]
    (wanted, *_) = [line for line in lines if found in line.split(place, 1)[1] and remedy in line] or [""]
    assert wanted
    assert expected in wanted
    if not row.warning:
        assert all(part in site.reasons[name] for part in (place, found, expected, remedy))
    for finding in findings:
        words = f"{finding['place']}: {finding['text']}"
        remedy = finding["remedy"]
        assert words in site.log
        assert remedy in site.log.partition(words)[2].partition("\n")[0]
        if finding["severity"] == "error":
            assert words in site.reasons[name]
            assert remedy in site.reasons[name].partition(words)[2]


def test_a_check_of_all_mistakes_fails(site: Site) -> None:
    assert site.exit_code == 1
    assert site.checked["sound"] == []


def test_a_running_server_says_that_everyone_can_write_to_a_repository(site: Site) -> None:
    (finding,) = site.others
    assert finding["place"] == str(site.root.parent / "shared")
    assert f"{finding['place']}: {finding['text']}. {finding['remedy']}" in site.log
    assert "sound" in site.ready


class Request(NamedTuple):
    """A request to `digits`, which takes `image` FP32 [n, 8, 8] with n up to 64, and what is said of it."""

    place: str
    found: str
    expected: str
    remedy: str
    model: str = "digits"
    version: str = ""
    inputs: tuple[tuple[str, str, tuple[int, ...]], ...] = (("image", "FP32", (1, 8, 8)),)
    outputs: tuple[str, ...] = ()
    status: str = "INVALID_ARGUMENT"


REQUESTS = {
    "an input of another name": Request(
        "for model 'digits'", "unexpected inference input 'images'", "expected one of 'image'", "Did you mean 'image'?",
        inputs=(("images", "FP32", (1, 8, 8)),)),
    "an output of another name": Request(
        "for model 'digits'", "unexpected inference output 'lable'", "expected one of 'probabilities', 'label'",
        "Did you mean 'label'?", outputs=("lable",)),
    "another datatype": Request(
        "input 'image'", "data-type is 'FP64'", "model 'digits' expects 'FP32'", "",
        inputs=(("image", "FP64", (1, 8, 8)),)),
    "another shape": Request(
        "input 'image' for model 'digits'", "got [1,28,28]", "Expected [-1,8,8]", "try setting max_batch_size to zero",
        inputs=(("image", "FP32", (1, 28, 28)),)),
    "no batch dimension": Request(
        "input 'image' for model 'digits'", "got [8,8]", "Expected [-1,8,8]",
        "requires a batch dimension to be prepended", inputs=(("image", "FP32", (8, 8)),)),
    "too many rows": Request(
        "for 'digits'", "got 65", "batch-size must be <= 64", "Split the batch",
        inputs=(("image", "FP32", (65, 8, 8)),)),
    "no row": Request(
        "for 'digits'", "got 0", "batch-size must be >= 1", "Send no request for no rows",
        inputs=(("image", "FP32", (0, 8, 8)),)),
    "no input": Request(
        "for model 'digits'", "got 0 inputs", "expected 1 inputs", "Please provide all required input(s)", inputs=()),
    "an input too many": Request(
        "for model 'digits'", "got 2 inputs", "expected 1 inputs", "Leave out ['mask']",
        inputs=(("image", "FP32", (1, 8, 8)), ("mask", "FP32", (1, 8, 8)))),
    "a version that is a word": Request(
        "version string", "'newest'", "version should be an integral value", "",
        version="newest"),
    "a version that is not there": Request(
        "model: 'digits'", "version 9", "", "", version="9", status="NOT_FOUND"),
    "a model that is not there": Request(
        "Request for unknown model", "'digit'", "", "", model="digit", status="NOT_FOUND"),
}  # fmt: skip
"""Where nothing is expected or to be done beyond that, the protocol's text is kept word for word."""


@pytest.fixture(scope="module")
def client(samples: Server) -> Iterator[Any]:
    client = triton.InferenceServerClient(samples.grpc)
    yield client
    client.close()


def given(name: str, datatype: str, shape: tuple[int, ...]) -> Any:
    tensor = triton.InferInput(name, list(shape), datatype)
    tensor.set_data_from_numpy(np.zeros(shape, {"FP32": np.float32, "FP64": np.float64}[datatype]))
    return tensor


@pytest.mark.parametrize("mistake", REQUESTS)
def test_a_mistake_in_a_request_is_told_to_the_client(client: Any, mistake: str) -> None:
    row = REQUESTS[mistake]
    outputs = [triton.InferRequestedOutput(name) for name in row.outputs]
    with pytest.raises(triton.InferenceServerException) as refused:
        client.infer(row.model, [given(*tensor) for tensor in row.inputs], row.version, outputs or None)
    text = refused.value.message()
    for part in (row.place, row.found, row.expected, row.remedy):
        assert part in text
    assert refused.value.status() == f"StatusCode.{row.status}"


def test_data_of_another_size_than_its_shape_promises_is_told_to_the_client(samples: Server) -> None:
    request = service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=[bytes(8 * 8 * 4 - 1)])
    request.inputs.add(name="image", datatype="FP32", shape=[1, 8, 8])
    call = samples.stub.ModelInfer.future(request, timeout=PATIENCE)
    assert "input byte size mismatch for input 'image' for model 'digits'. Expected 256, got 255" in call.details()


class Line(NamedTuple):
    """A command line after `naiad serve --model-repository ...`, and what is said of it.

    remedy: empty where what is expected is all that there is to write.
    """

    argument: str
    place: str
    found: str
    expected: str
    remedy: str


LINES = {
    "a misspelt flag": Line("--grpc-prot=8001", "--grpc-prot", "no such setting", "--grpc-port",
                            "did you mean --grpc-port?"),
    "a word for a port": Line("--grpc-port=many", "--grpc-port", "'many'", "integer", ""),
    "a port that is too large": Line("--http-port=70000", "--http-port", "'70000'", "65535", ""),
    "a mode that does not exist": Line(
        "--model-control-mode=polling", "--model-control-mode", "'polling'", "'none', 'poll' or 'explicit'", ""),
    "a negative time": Line(
        "--exit-timeout-secs=-1", "--exit-timeout-secs", "'-1'", "greater than or equal to 0", ""),
    "a word for a boolean": Line("--allow-metrics=maybe", "--allow-metrics", "'maybe'", "boolean", ""),
    "an option without its value": Line(
        "--backend-config=onnxruntime", "--backend-config", "'onnxruntime'", "BACKEND,KEY=VALUE",
        "default-max-batch-size=N for all backends"),
    "a protection that is not there": Line(
        "--grpc-restricted-protocol=health:key=value", "--grpc-restricted-protocol", "'health:key=value'",
        "cannot be honoured", "in front of the server"),
    "TLS without a certificate": Line(
        "--grpc-use-ssl=true", "--grpc-use-ssl", "", "expected --grpc-server-cert and --grpc-server-key", ""),
    "a Unix socket without a path": Line(
        "--grpc-address=unix:", "--grpc-address", "'unix:'", "expected unix:PATH", "such as unix:/run/naiad/grpc.sock"),
    "a repository that is not there": Line(
        "--model-repository=/nowhere/models", "--model-repository", "No such file or directory: '/nowhere/models'",
        "expected a directory of models", "Create it, or give another: '/' exists"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", LINES)
def test_a_mistake_on_the_command_line_is_told_in_one_line(tmp_path: Path, mistake: str) -> None:
    row = LINES[mistake]
    arguments = [f"--model-repository={tmp_path}", "--grpc-port=0", "--http-port=0", "--metrics-port=0", row.argument]
    done = subprocess.run(command("serve", *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("naiad serve: ")]
    for part in (row.place, row.found, row.expected, row.remedy):
        assert part in line


def test_more_than_thirty_mistakes_of_every_kind_are_told_with_all_four() -> None:
    tables: Mapping[str, Mapping[str, Mistake | Request | Line]] = {
        "config": CONFIGS, "directory": DIRECTORIES, "file": FILES, "request": REQUESTS, "command line": LINES,
    }  # fmt: skip
    complete = {
        kind: [row for row in rows.values() if row.found and row.expected and row.remedy]
        for kind, rows in tables.items()
    }
    least = {"config": 60, "directory": 20, "file": 12, "request": 8, "command line": 4}
    assert {kind: len(rows) >= least[kind] for kind, rows in complete.items()} == dict.fromkeys(least, True)
    for row in (*complete["request"], *complete["command line"]):
        assert row.remedy not in row.expected
        assert row.remedy not in row.found

"""`naiad check`: what would be served, and every mistake with its file and line. With the real backends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core.backend import Backend, Executable, ModelFiles
from naiad.core.config import Device, ModelConfig
from naiad.core.problems import Severity
from naiad.repository.check import Finding, Inspection, TensorReport, VersionReport, inspect
from naiad.repository.loading import Backends
from naiad.repository.render import render
from tests.models import build
from tests.repository.files import lay

REAL = Backends(lambda name: backends.create(name, BackendOptions(cpu_count=2)), lambda _: ())
ON_A_GPU_MACHINE = Backends(REAL.create, lambda _: (0, 1))

GOOD = """\
name: "m"
backend: "onnxruntime"
max_batch_size: 8
input {
  name: "INPUT0"
  data_type: TYPE_FP32
  dims: [ 16 ]
}
output {
  name: "OUTPUT0"
  data_type: TYPE_FP32
  dims: [ 4 ]
}
"""

NAMED = 'default_model_filename: "model.onnx"'
MISTAKES: dict[str, tuple[str | bytes, str, str]] = {
    "a misspelt field": (GOOD.replace("max_batch_size", "max_batchsize"), "config.pbtxt:3:1",
                         "unknown field 'max_batchsize' in ModelConfig, did you mean 'max_batch_size'?"),
    "a value that the field does not know": (GOOD.replace("TYPE_FP32", "FP32", 1), "config.pbtxt:6:14",
                                             "found 'FP32', expected one of TYPE_INVALID, TYPE_BOOL"),
    "a string for a number": (GOOD.replace("8", '"8"'), "config.pbtxt:3:17", 'found "8", expected an integer'),
    "a brace that is missing": (GOOD.removesuffix("}\n"), "config.pbtxt:13:1",
                                "found the end of the file, expected a field of ModelOutput or '}' to end 'output' of"),
    "bytes that are no text": (GOOD.encode() + b"# \xff", "config.pbtxt:14:3", "byte 0xff is not UTF-8"),
    "another model's name": (GOOD.replace('"m"', '"n"'), "config.pbtxt:1",
                             "unexpected directory name 'm' for model 'n', directory name must equal model name"),
    "a negative batch size": (GOOD.replace("8", "-8"), "config.pbtxt:3", "must be non-negative value for m, got -8"),
    "a dimension of no size": (GOOD.replace("16", "0"), "config.pbtxt:7", "dimension must be integer >= 1, or -1"),
    "a datatype that is missing": (GOOD.replace("  data_type: TYPE_FP32\n", "", 1), "config.pbtxt:4",
                                   "model input 'INPUT0' must specify 'data_type' for m"),
    "a scheduler that is not there yet": (GOOD + "sequence_batching { }", "config.pbtxt:14",
                                          "'sequence_batching' is not supported yet"),
    "a batch size larger than the largest": (GOOD + "dynamic_batching {\n  preferred_batch_size: [ 4, 9 ]\n}",
                                             "config.pbtxt:15", "preferred size must be <= max batch size for m"),
    "a version that is not there": (GOOD + "version_policy {\n specific { versions: 7 }\n}", "config.pbtxt:14",
                                    "at least one version must be available under the version policy of model 'm'"),
    "an unknown backend": (GOOD.replace("onnxruntime", "onxruntime"), "config.pbtxt:2",
                           "unknown backend 'onxruntime', expected one of"),
    "a backend that is not there yet": (GOOD.replace("onnxruntime", "pytorch") + NAMED, "config.pbtxt:2",
                                        "backend 'pytorch' is not served yet"),
    "a platform of another backend": (GOOD + 'platform: "tensorrt_plan"', "config.pbtxt:14",
                                      "unexpected 'platform' and 'backend' pair, got:tensorrt_plan, onnxruntime"),
    "a file that is not there": (GOOD + 'default_model_filename: "net.onnx"', "config.pbtxt:14",
                                 "net.onnx' for model 'm': the directory has model.onnx"),
    "a file outside": (GOOD + '\ndefault_model_filename: "../../x"', "config.pbtxt:15", "leads out of the directory"),
    "labels that are not there": (GOOD.replace("dims: [ 4 ]", 'dims: [ 4 ]\n  label_filename: "l.txt"'),
                                  "config.pbtxt:13", "unable to find the label file 'l.txt'"),
    "an input that the model does not have": (GOOD.replace("INPUT0", "INPUT1"), "config.pbtxt:5",
                                              "unexpected inference input 'INPUT1', allowed inputs are"),
    "a datatype that the model does not have": (GOOD.replace("TYPE_FP32", "TYPE_INT32", 1), "config.pbtxt:6",
                                                "configuration expects datatype TYPE_INT32 for input 'INPUT0', model"),
    "a shape that the model does not have": (GOOD.replace("dims: [ 4 ]", "dims: [ 5 ]"), "config.pbtxt:12",
                                             "the model expects 2 dimensions (shape [-1,4])"),
    "a GPU that is not there": (GOOD + "\ninstance_group { kind: KIND_GPU }", "config.pbtxt:15",
                                "has kind KIND_GPU but no GPUs are available"),
    "a parameter that is no number": (
        GOOD + 'parameters {\n  key: "intra_op_thread_count"\n  value { string_value: "many" }\n}', "config.pbtxt:16",
        "many",
    ),
}  # fmt: skip


def repository(root: Path, config: str | bytes | None = GOOD) -> Path:
    build.linear(root / "m" / "1" / "model.onnx")
    return lay(root, {} if config is None else {"m/config.pbtxt": config})


def look(*roots: Path, site: Backends = REAL) -> Inspection:
    return inspect(roots, site)


def errors(inspection: Inspection) -> list[Finding]:
    findings = [finding for model in inspection.models for finding in model.findings] + list(inspection.findings)
    return [finding for finding in findings if finding.severity == "error"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, mistake: str) -> None:
    config, place, says = MISTAKES[mistake]
    inspection = look(repository(tmp_path, config))
    found = [finding for finding in errors(inspection) if says in finding.text]
    assert [finding.place for finding in found] == [str(tmp_path / "m" / place)], render(inspection)
    assert not inspection.healthy
    assert inspection.models[0].versions == ()


def test_a_repository_of_mistakes_names_each_of_them(tmp_path: Path) -> None:
    for i, (config, _, _) in enumerate(MISTAKES.values()):
        text = config if isinstance(config, bytes) else config.replace('"m"', f'"m{i}"').encode()
        build.linear(tmp_path / f"m{i}" / "1" / "model.onnx")
        lay(tmp_path, {f"m{i}/config.pbtxt": text})
    build.linear(tmp_path / "good" / "1" / "model.onnx")
    inspection = look(tmp_path)
    shown = render(inspection)
    for i, (_, place, _) in enumerate(MISTAKES.values()):
        assert f"  error: {tmp_path / f'm{i}' / place}: " in shown
    assert [model.name for model in inspection.models if model.versions] == ["good"]
    assert inspection.count(Severity.ERROR) == len(errors(inspection)) >= len(MISTAKES)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"<html>not found</html>", ""), (b"version https://git-lfs.github.com/spec/v1\n", "")],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    repository(tmp_path, None)
    file = tmp_path / "m" / "1" / "model.onnx"
    file.write_bytes(content)
    (error,) = errors(look(tmp_path))
    assert str(file) in f"{error.place} {error.text}"
    assert says in error.text
    assert error.version == 1


def test_what_would_be_served_is_told_in_full(tmp_path: Path) -> None:
    inspection = look(repository(tmp_path, None))
    assert inspection.healthy
    (model,) = inspection.models
    assert model.name == "m"
    assert model.path == str(tmp_path / "m")
    assert model.findings == ()
    assert model.versions == (
        VersionReport(
            version=1,
            backend="onnxruntime",
            file="1/model.onnx",
            max_batch_size=4,
            dynamic_batching=True,
            inputs=(TensorReport("INPUT0", "FP32", (-1, 16)),),
            outputs=(TensorReport("OUTPUT0", "FP32", (-1, 4)),),
            instances=("2 on cpu",),
            completed=(
                *("backend", "platform", "max_batch_size", "input", "output"),
                *("dynamic_batching", "instance_group", "default_model_filename"),
            ),
        ),
    )


def test_only_what_was_not_written_counts_as_completed(tmp_path: Path) -> None:
    group = "instance_group { name: 'g' kind: KIND_CPU count: 3 }"
    (model,) = look(repository(tmp_path, f"{GOOD} {group} platform: 'onnxruntime_onnx'")).models
    assert model.versions[0].instances == ("3 on cpu",)
    assert model.versions[0].completed == ("default_model_filename",)


def test_on_gpus_an_instance_stands_on_each(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {"m/1": None, "m/config.pbtxt": "backend: 'identity' input { name: 'x' data_type: TYPE_BF16 dims: 1 }"},
    )
    (model,) = look(tmp_path, site=ON_A_GPU_MACHINE).models
    assert model.versions[0].instances == ("1 on gpu 0", "1 on gpu 1")


def test_one_version_is_refused_and_its_sibling_served(tmp_path: Path) -> None:
    repository(tmp_path, "version_policy { all { } }")
    lay(tmp_path, {"m/2/model.onnx": "garbage", "m/3/model.pt": ""})
    (model,) = look(tmp_path).models
    assert [version.version for version in model.versions] == [1]
    assert [finding.version for finding in model.findings] == [2, 3]


def test_warnings_do_not_make_a_repository_unhealthy(tmp_path: Path) -> None:
    repository(tmp_path, GOOD + "metric_tags { key: 'a' }")
    lay(tmp_path, {"m/old": None})
    inspection = look(tmp_path)
    assert inspection.healthy
    assert inspection.count(Severity.WARNING) == 2
    assert len(inspection.models[0].versions) == 1


def test_a_repository_that_is_not_there_is_an_error_and_an_empty_one_a_warning(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert look(missing).findings == (
        Finding("error", str(missing), "", f"the repository cannot be read: No such file or directory: '{missing}'"),
    )
    assert look(tmp_path).findings == (Finding("warning", str(tmp_path), "", "there are no models"),)
    assert not look(missing).healthy
    assert look(tmp_path).healthy


class Exploding:
    """A backend whose framework raises what nobody expects."""

    def __init__(self) -> None:
        self.closed = False

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        raise ZeroDivisionError("deep inside")

    def load(self, device: Device) -> Executable:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def test_whatever_a_backend_raises_concerns_its_version_alone_and_it_is_closed(tmp_path: Path) -> None:
    repository(tmp_path)
    exploding = Exploding()
    made: Iterator[Backend] = iter([exploding])
    (error,) = errors(look(tmp_path, site=Backends(lambda _: next(made), lambda _: ())))
    assert error.text == "ZeroDivisionError: deep inside"
    assert error.place == str(tmp_path / "m" / "1" / "model.onnx")
    assert exploding.closed


def test_an_inspection_is_json(tmp_path: Path) -> None:
    repository(tmp_path, GOOD + "metric_tags { key: 'a' }")
    told = json.loads(json.dumps(look(tmp_path).as_json()))
    assert told["healthy"] is True
    (model,) = told["models"]
    assert model["versions"][0]["inputs"] == [{"name": "INPUT0", "datatype": "FP32", "shape": [-1, 16]}]
    assert model["findings"] == [
        {
            "severity": "warning",
            "place": f"{tmp_path / 'm' / 'config.pbtxt'}:14",
            "field": "metric_tags",
            "text": "'metric_tags' is not supported yet and is ignored",
            "version": None,
        }
    ]


def test_the_text_is_for_reading(tmp_path: Path) -> None:
    root = lay(tmp_path, {
        "echo/1": None,
        "echo/config.pbtxt": "backend: 'identity' input { name: 'x' data_type: TYPE_STRING dims: [ -1 ] }",
        "bad/config.pbtxt": "nmae: 'bad'",
        "whole/1": None,
        "whole/config.pbtxt": "backend: 'identity' max_batch_size: 2 input { name: 'x' data_type: TYPE_FP32 dims: 4 }"
        "output { name: 'y' data_type: TYPE_FP32 dims: 4 } instance_group { name: 'g' kind: KIND_CPU count: 1 }",
    })  # fmt: skip
    assert (
        render(look(root, root / "none"))
        == f"""\
bad  {root}/bad
  error: {root}/bad/config.pbtxt:1:1: unknown field 'nmae' in ModelConfig, did you mean 'name'?

echo  {root}/echo
  version 1: identity
    in   x BYTES [-1]
    out  OUTPUT0 BYTES [-1]
    no batch dimension; instances: 1 on cpu
    completed: output, instance_group

whole  {root}/whole
  version 1: identity
    in   x FP32 [-1,4]
    out  y FP32 [-1,4]
    batches of up to 2, each request runs alone; instances: 1 on cpu

error: {root}/none: the repository cannot be read: No such file or directory: '{root}/none'
3 models, 2 versions to serve, 2 errors, 0 warnings"""
    )

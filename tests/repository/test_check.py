"""`naiad check`: what would be served, and what is told of it. With the real backends."""

import json
from collections.abc import Iterator
from pathlib import Path

from naiad import backends
from naiad.backends import BackendOptions
from naiad.core.backend import Backend, Executable, ModelFiles
from naiad.core.config import Device, ModelConfig
from naiad.core.problems import Severity
from naiad.repository.check import Finding, Inspection, TensorReport, VersionReport, inspect
from naiad.repository.loading import Backends
from naiad.repository.render import Detail, render
from tests.models import build
from tests.repository.files import lay
from tests.repository.mistakes import GOOD, MISTAKES, directory_name, plant

REAL = Backends(lambda name: backends.create(name, BackendOptions(cpu_count=2)), lambda _: ())
ON_A_GPU_MACHINE = Backends(REAL.create, lambda _: (0, 1))


def repository(root: Path, config: str | bytes | None = GOOD) -> Path:
    build.linear(root / "m" / "1" / "model.onnx")
    return lay(root, {} if config is None else {"m/config.pbtxt": config})


def look(*roots: Path, site: Backends = REAL) -> Inspection:
    return inspect(roots, site)


def errors(inspection: Inspection) -> list[Finding]:
    findings = [finding for model in inspection.models for finding in model.findings] + list(inspection.findings)
    return [finding for finding in findings if finding.problem.severity is Severity.ERROR]


def test_a_repository_of_mistakes_names_each_of_them(tmp_path: Path) -> None:
    for mistake in MISTAKES:
        plant(tmp_path, mistake)
    build.linear(tmp_path / "good" / "1" / "model.onnx")
    inspection = look(tmp_path)
    models = {model.name: model for model in inspection.models}
    assert set(models) == {"good", *map(directory_name, MISTAKES)}
    for mistake, row in MISTAKES.items():
        model = models[directory_name(mistake)]
        assert bool(model.versions) is row.warning, mistake
        severities = {finding.problem.severity for finding in model.findings}
        assert (Severity.ERROR in severities) is not row.warning, mistake
    assert models["good"].findings == ()
    assert inspection.count(Severity.ERROR) == len(errors(inspection))
    assert not inspection.healthy


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
    assert [(f.problem.severity, f.problem.text) for f in look(missing).findings] == [
        (Severity.ERROR, f"the repository cannot be read: No such file or directory: '{missing}'")
    ]
    assert [(f.problem.severity, f.problem.text) for f in look(tmp_path).findings] == [
        (Severity.WARNING, f"there are no models in '{tmp_path}'")
    ]
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
    inspection = look(tmp_path, site=Backends(lambda _: next(made), lambda _: ()))
    (error,) = errors(inspection)
    assert "to do:" not in render(inspection)
    assert error.problem.text == "ZeroDivisionError: deep inside"
    assert error.problem.place == str(tmp_path / "m" / "1" / "model.onnx")
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
            "place": f"{tmp_path / 'm' / 'config.pbtxt'}:13",
            "field": "metric_tags",
            "text": "'metric_tags' is not supported yet and is ignored",
            "found": "'metric_tags'",
            "expected": "",
            "remedy": "Leave it for a server that knows it, or remove 'metric_tags': it changes nothing here",
            "cause": "not yet",
            "topic": "metric_tags",
            "version": None,
        }
    ]
    assert (model["backend"], model["verdict"]) == ("onnxruntime", "runs with a warning")
    assert told["backends"] == {
        "onnxruntime": {
            "runs the same": 0, "runs better": 0, "runs only here": 0, "runs with a warning": 1, "needs a GPU": 0,
            "to fix": 0, "not yet": 0, "never": 0,
        }
    }  # fmt: skip
    assert told["reasons"] == [{"verdict": "runs with a warning", "reason": "metric_tags", "models": ["m"]}]


ECHO = "backend: 'identity' input { name: 'x' data_type: TYPE_FP32 dims: 4 }"
WHOLE = f"{ECHO} max_batch_size: 2 output {{ name: 'y' data_type: TYPE_FP32 dims: 4 }} instance_group {{ name: 'g' kind: KIND_CPU count: 1 }}"  # noqa: E501 - a config on one line


def test_the_text_is_for_reading(tmp_path: Path) -> None:
    root = lay(tmp_path, {
        "echo/1": None,
        "echo/config.pbtxt": "backend: 'identity' input { name: 'x' data_type: TYPE_STRING dims: [ -1 ] }",
        "bad/config.pbtxt": "nmae: 'bad'",
        "whole/1": None,
        "whole/config.pbtxt": WHOLE,
    })  # fmt: skip
    unreadable = f"the repository cannot be read: No such file or directory: '{root}/none'"
    assert (
        render(look(root, root / "none"))
        == f"""\
bad  {root}/bad
  error: {root}/bad/config.pbtxt:1:1: unknown field 'nmae' in ModelConfig, did you mean 'name'?
    to do: Write 'name'

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

error: {root}/none: {unreadable}, expected a directory of models
  to do: Create it, or give another: '{root}' exists

runs       the same  better  only here  with a warning  needs a GPU  to fix  not yet  never
identity          2       -          -               -            -       -        -      -
(unknown)         -       -          -               -            -       1        -      -
all               2       -          -               -            -       1        -      -
to fix:
     1  config.pbtxt: unknown field 'nmae': bad

3 models, 2 versions to serve, 2 errors, 0 warnings"""
    )


def fleet(root: Path, sound: int, warned: int) -> Inspection:
    """Models of the identity backend: so many as they should be, and so many with a warning."""
    for i in range(sound + warned):
        more = "metric_tags { key: 'a' }" if i >= sound else ""
        lay(root, {f"m{i:02}/1": None, f"m{i:02}/config.pbtxt": f"{ECHO} {more}"})
    return look(root)


def test_of_a_large_fleet_only_models_with_findings_are_shown(tmp_path: Path) -> None:
    shown = render(fleet(tmp_path, 20, 2))
    assert [line.split()[0] for line in shown.splitlines() if str(tmp_path) in line and not line.startswith(" ")] == [
        "m20",
        "m21",
    ]
    assert "  version 1" not in shown
    assert "identity        20       -          -               2            -       -        -      -" in shown
    assert "     2  metric_tags: m20, m21" in shown


def test_more_or_less_of_a_fleet_is_shown_as_asked(tmp_path: Path) -> None:
    inspection = fleet(tmp_path, 20, 2)
    assert render(inspection, Detail.ALL).count("  version 1: identity") == 22
    assert render(inspection, Detail.NONE).splitlines()[0].startswith("runs")
    assert render(inspection, Detail.NONE).splitlines()[-1] == "22 models, 22 versions to serve, 0 errors, 2 warnings"


def test_many_models_with_one_reason_are_not_listed_whole(tmp_path: Path) -> None:
    assert "     7  metric_tags: m00, m01, m02, m03, m04, and 2 more" in render(fleet(tmp_path, 0, 7))

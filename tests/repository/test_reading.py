"""A model's directory becomes a config and versions, or reasons with places."""

from pathlib import Path

from naiad.core.problems import InvalidConfig, Severity
from naiad.repository.reading import ModelReading, read
from naiad.repository.scan import scan
from naiad.repository.source import LocalDirectory
from tests.repository.files import lay


def reading(root: Path, files: dict[str, str | bytes | None]) -> ModelReading:
    lay(root / "m", files)
    return read(scan([LocalDirectory(root)]).models["m"])


def told(reading: ModelReading) -> list[tuple[Severity, str, str]]:
    return [(p.severity, p.place, p.text) for p in reading.problems]


def test_a_model_without_a_config_is_read_from_its_files(tmp_path: Path) -> None:
    got = reading(tmp_path, {"1/model.onnx": "", "3/model.onnx": "", "10/model.onnx": ""})
    assert got.problems == ()
    assert got.error is None
    assert list(got.versions) == [10]
    version = got.versions[10]
    assert not isinstance(version, InvalidConfig)
    assert version.config.backend == "onnxruntime"
    assert version.files.model_file == tmp_path / "m" / "10" / "model.onnx"
    assert got.locate("input[0].dims") == str(tmp_path / "m")


def test_each_version_may_have_its_own_format(tmp_path: Path) -> None:
    got = reading(
        tmp_path, {"config.pbtxt": "version_policy { all { } }", "1/model.pt": "", "2/model.onnx": "", "3/x": ""}
    )
    kinds = {n: None if isinstance(v, InvalidConfig) else v.config.backend for n, v in got.versions.items()}
    assert kinds == {1: "pytorch", 2: "onnxruntime", 3: None}
    assert got.error is None
    assert isinstance(got.versions[3], InvalidConfig)
    assert str(got.versions[3]).startswith(f"{tmp_path / 'm' / '3'}: Invalid model name: Could not determine backend")


def test_a_mistake_in_the_config_keeps_the_whole_model_from_being_served(tmp_path: Path) -> None:
    config = tmp_path / "m" / "config.pbtxt"
    got = reading(
        tmp_path, {"config.pbtxt": "name: 'm'\nmax_batch_size: -1\n\ninput { name: 'x' }", "1/model.onnx": ""}
    )
    assert got.versions == {}
    assert got.config is None
    assert told(got) == [
        (Severity.ERROR, f"{config}:2", "'max_batch_size' must be non-negative value for m, got -1"),
        (Severity.ERROR, f"{config}:4", "model input 'x' must specify 'data_type' for m"),
        (Severity.ERROR, f"{config}:4", "model input 'x' must specify 'dims' for m"),
    ]
    assert got.error is not None
    assert str(got.error).startswith(f"{config}:2: 'max_batch_size' must be")


def test_a_config_that_cannot_be_parsed_is_told_with_line_and_column(tmp_path: Path) -> None:
    got = reading(tmp_path, {"config.pbtxt": "name: 'm'\n  nmae: 'm'", "1/model.onnx": ""})
    config = tmp_path / "m" / "config.pbtxt"
    text = "unknown field 'nmae' in ModelConfig, did you mean 'name'?"
    assert told(got) == [(Severity.ERROR, f"{config}:2:3", text)]


def test_a_directory_that_cannot_be_served_is_not_read_any_further(tmp_path: Path) -> None:
    got = reading(tmp_path, {"config.pbtxt/x": "", "1/model.onnx": ""})
    assert told(got) == [(Severity.ERROR, str(tmp_path / "m" / "config.pbtxt"), "'config.pbtxt' is a directory")]
    assert got.config is None
    assert got.locate("name") == str(tmp_path / "m")


def test_what_the_directory_shows_is_told_beside_the_config(tmp_path: Path) -> None:
    got = reading(tmp_path, {"config.pbtxt": "metric_tags { key: 'a' }", "1/model.onnx": "", "01/model.onnx": ""})
    assert [severity for severity, _, _ in told(got)] == [Severity.WARNING, Severity.WARNING]
    assert list(got.versions) == [1]


def test_a_model_without_a_version_says_so(tmp_path: Path) -> None:
    got = reading(tmp_path, {"README": ""})
    assert told(got) == [
        (
            Severity.ERROR,
            str(tmp_path / "m"),
            "at least one version must be available under the version policy of model 'm', there are none",
        )
    ]


def test_a_model_file_beside_the_config_is_shown_its_place(tmp_path: Path) -> None:
    got = reading(tmp_path, {"model.onnx": ""})
    (problem,) = got.problems
    assert problem.remedy == f"'model.onnx' belongs into a version directory: '{tmp_path / 'm/1/model.onnx'}'"


def test_a_policy_that_selects_nothing_is_told_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "m" / "config.pbtxt"
    got = reading(
        tmp_path, {"config.pbtxt": "name: 'm'\nversion_policy { specific { versions: [ 4 ] } }", "1/model.onnx": ""}
    )
    assert told(got) == [
        (
            Severity.WARNING,
            f"{config}:2",
            "version 4 is specified for model 'm', but the version directory is not present",
        ),
        (
            Severity.ERROR,
            f"{config}:2",
            "at least one version must be available under the version policy of model 'm', there are 1",
        ),
    ]


def test_a_version_that_is_specified_and_absent_leaves_the_others(tmp_path: Path) -> None:
    got = reading(tmp_path, {"config.pbtxt": "version_policy { specific { versions: [ 1, 4 ] } }", "1/model.onnx": ""})
    assert list(got.versions) == [1]
    assert [severity for severity, _, _ in told(got)] == [Severity.WARNING]

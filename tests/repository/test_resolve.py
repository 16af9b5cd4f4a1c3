"""Which backend and which file: told by the config, by the files, or not at all."""

from pathlib import Path

import pytest

from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig
from naiad.core.types import DataType
from naiad.repository.resolve import Resolved, resolve
from naiad.repository.scan import scan
from naiad.repository.source import LocalDirectory
from tests.repository.files import lay

UNDETERMINED = (
    "Invalid model name: Could not determine backend for model 'm' with no backend in model configuration. "
    "Expected model name of the form 'model.<backend_name>', or a model file (*.onnx, *.plan, *.trt, *.engine, "
    "*.pt, *.pth, *.pt2) in"
)


def resolved(root: Path, files: list[str], config: ModelConfig) -> Resolved:
    lay(root, {f"{config.name}/1/{name}": "" for name in files} | {f"{config.name}/labels.txt": "a"})
    (root / config.name / "1").mkdir(exist_ok=True)
    snapshot = scan([LocalDirectory(root)])
    return resolve(snapshot.models[config.name], 1, config)


def refused(root: Path, files: list[str], config: ModelConfig) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        resolved(root, files, config)
    return caught.value


@pytest.mark.parametrize(
    ("files", "config", "backend", "platform", "name", "path"),
    [
        (["model.onnx"], {}, "onnxruntime", "onnxruntime_onnx", "model.onnx", "model.onnx"),
        (["net.onnx"], {}, "onnxruntime", "onnxruntime_onnx", "net.onnx", "net.onnx"),
        (["model.onnx", "model.onnx.data", "x"], {}, "onnxruntime", "onnxruntime_onnx", "model.onnx", "model.onnx"),
        (["model.onnx", "helper.onnx"], {}, "onnxruntime", "onnxruntime_onnx", "model.onnx", "model.onnx"),
        (["model.onnx/model.onnx", "model.onnx/weights"], {},
         "onnxruntime", "onnxruntime_onnx", "model.onnx", "model.onnx/model.onnx"),
        (["m.trt"], {}, "tensorrt", "tensorrt_plan", "m.trt", "m.trt"),
        (["m.plan"], {}, "tensorrt", "tensorrt_plan", "m.plan", "m.plan"),
        (["m.engine"], {}, "tensorrt", "tensorrt_plan", "m.engine", "m.engine"),
        (["m.pt"], {}, "pytorch", "pytorch_libtorch", "m.pt", "m.pt"),
        (["m.pth"], {}, "pytorch", "pytorch_libtorch", "m.pth", "m.pth"),
        (["m.pt2"], {}, "pytorch", "torch_aoti", "m.pt2", "m.pt2"),
        (["m.pt2"], {"backend": "pytorch"}, "pytorch", "torch_aoti", "m.pt2", "m.pt2"),
        (["a.onnx", "b.pt"], {"backend": "pytorch"}, "pytorch", "pytorch_libtorch", "b.pt", "b.pt"),
        (["a.onnx", "b.pt"], {"platform": "onnxruntime_onnx"}, "onnxruntime", "onnxruntime_onnx", "a.onnx", "a.onnx"),
        (["m.pt"], {"platform": "libtorch"}, "pytorch", "libtorch", "m.pt", "m.pt"),
        (["a.onnx", "b.onnx"], {"default_model_filename": "b.onnx"},
         "onnxruntime", "onnxruntime_onnx", "b.onnx", "b.onnx"),
        (["sub/b.onnx"], {"default_model_filename": "sub/b.onnx"},
         "onnxruntime", "onnxruntime_onnx", "sub/b.onnx", "sub/b.onnx"),
        (["weights"], {"backend": "onnxruntime", "default_model_filename": "weights"},
         "onnxruntime", "onnxruntime_onnx", "weights", "weights"),
        ([], {"backend": "identity"}, "identity", "", "", ""),
        ([], {"name": "echo.identity"}, "identity", "", "", ""),
        (["model.py"], {"backend": "python"}, "python", "", "", ""),
    ],
)  # fmt: skip
def test_a_version_is_resolved(
    tmp_path: Path, files: list[str], config: dict[str, str], backend: str, platform: str, name: str, path: str
) -> None:
    got = resolved(tmp_path, files, ModelConfig(**({"name": "m"} | config)))  # type: ignore[arg-type]
    assert (got.config.backend, got.config.platform, got.config.default_model_filename) == (backend, platform, name)
    model = tmp_path / got.config.name
    assert got.files.model_directory == model
    assert got.files.version_directory == model / "1"
    assert got.files.model_file == (model / "1" / path if path else None)


@pytest.mark.parametrize(
    ("files", "config", "field", "says"),
    [
        ([], {}, "backend", UNDETERMINED),
        (["weights.bin"], {}, "backend", "which has weights.bin"),
        (["weights.bin"], {"name": "m.unknown"}, "backend", "Could not determine backend for model 'm.unknown'"),
        (["a.onnx", "b.onnx"], {}, "backend", "has several model files (a.onnx, b.onnx), expected one"),
        (["model.onnx", "model.pt"], {}, "backend", "has several model files (model.onnx, model.pt), expected one"),
        (["a.onnx", "b.onnx"], {"backend": "onnxruntime"}, "default_model_filename",
         "has several model files (a.onnx, b.onnx) for model 'm', expected one, or 'model.onnx' among them"),
        (["net.pt"], {"backend": "onnxruntime"}, "default_model_filename",
         "model.onnx' for model 'm': the directory has net.pt"),
        ([], {"backend": "onnxruntime"}, "default_model_filename", "for model 'm': the directory has no files"),
        (["model.onnx"], {"default_model_filename": "net.onnx"}, "default_model_filename",
         "net.onnx' for model 'm': the directory has model.onnx"),
        (["model.onnx/other"], {"backend": "onnxruntime"}, "default_model_filename",
         "model.onnx' for model 'm': the directory has model.onnx"),
        (["weights"], {"default_model_filename": "weights"}, "default_model_filename",
         "could not determine backend for model 'm' from 'weights', expected one of *.onnx"),
        (["model.onnx"], {"backend": "onnxruntime", "platform": "tensorrt_plan"}, "platform",
         "unexpected 'platform' and 'backend' pair, got:tensorrt_plan, onnxruntime"),
        (["model.onnx"], {"backend": "onnxruntime", "platform": "nonsense"}, "platform",
         "unexpected 'platform' and 'backend' pair, got:nonsense, onnxruntime"),
        (["model.onnx"], {"platform": "nonsense"}, "platform",
         "unexpected platform type 'nonsense' for m, expected one of onnxruntime_onnx, tensorrt_plan"),
        (["model.onnx"], {"default_model_filename": "../../secret"}, "default_model_filename",
         "'../../secret' leads out of the directory of model 'm', expected a file in it"),
        (["model.onnx"], {"default_model_filename": "/etc/passwd"}, "default_model_filename", "leads out of"),
    ],
)  # fmt: skip
def test_what_cannot_be_resolved_is_told_with_what_there_is_and_what_is_expected(
    tmp_path: Path, files: list[str], config: dict[str, str], field: str, says: str
) -> None:
    error = refused(tmp_path, files, ModelConfig(**({"name": "m"} | config)))  # type: ignore[arg-type]
    (problem,) = error.problems
    assert problem.field == field
    assert says in str(error)
    assert problem.found
    assert problem.expected
    assert problem.remedy


def test_every_path_that_leads_out_is_told(tmp_path: Path) -> None:
    output = TensorConfig("y", DataType.FP32, (4,), label_filename="/etc/passwd")
    config = ModelConfig("m", outputs=(output,), default_model_filename="..", cc_model_filenames={"7.5": "../x"})
    assert [problem.field for problem in refused(tmp_path, ["model.onnx"], config).problems] == [
        "default_model_filename",
        'cc_model_filenames["7.5"]',
        "output[0].label_filename",
    ]


def test_a_label_file_must_be_there(tmp_path: Path) -> None:
    labelled = TensorConfig("y", DataType.FP32, (4,), label_filename="labels.txt")
    missing = TensorConfig("z", DataType.FP32, (4,), label_filename="other.txt")
    error = refused(tmp_path, ["model.onnx"], ModelConfig("m", outputs=(labelled, missing)))
    assert [(p.field, p.text) for p in error.problems] == [
        ("output[1].label_filename", f"unable to find the label file 'other.txt' in '{tmp_path / 'm'}' for model 'm'")
    ]


def test_a_long_directory_is_not_told_whole(tmp_path: Path) -> None:
    error = refused(tmp_path, [f"file{i}" for i in range(20)], ModelConfig("m"))
    text = error.problems[0].text
    assert text.endswith("which has file0, file1, file10, file11, file12, file13, file14, file15, ...")


def test_a_version_that_cannot_be_read_is_refused_at_its_own_place(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1": None})
    (tmp_path / "m" / "1" / "model.onnx").symlink_to("nowhere")
    snapshot = scan([LocalDirectory(tmp_path)])
    with pytest.raises(InvalidConfig, match="is a link to 'nowhere'") as caught:
        resolve(snapshot.models["m"], 1, ModelConfig("m"))
    assert caught.value.problems[0].place == str(tmp_path / "m" / "1")

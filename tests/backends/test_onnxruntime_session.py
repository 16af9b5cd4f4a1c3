"""Opening ONNX models, and why one cannot be, in words."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import onnxruntime
import pytest

from naiad import backends
from naiad.backends.onnxruntime_session import run_reason
from naiad.core.backend import ModelFiles
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.errors import BackendError, Internal
from naiad.core.problems import InvalidConfig
from tests.backends.models import OPTIONS, files, onnx_model, refusal
from tests.models import build


@pytest.fixture
def no_output(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing may be written past the log."""
    yield
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(99), "(103 bytes) is a zip archive, such as PyTorch writes, expected an ONNX model"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"<!DOCTYPE html><html>", "is an HTML or XML page"),
        (bytes(5000), "(5000 bytes) begins with zeros only: is it still being copied?"),
        (
            b"any text at all",
            "(15 bytes) is not a complete ONNX model: it is cut short, still being copied, or another",
        ),
    ],
)
@pytest.mark.usefixtures("no_output")
def test_a_file_that_is_no_model_is_told_what_it_is(file: Path, content: bytes, reason: str) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    error = refusal(file)
    assert reason in str(error)
    assert "model 'm' cannot be loaded on cpu: " in str(error)
    assert [problem.place for problem in error.problems] == [str(file)]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.usefixtures("no_output")
def test_a_model_that_is_cut_short_is_told_as_such(file: Path, kept: float) -> None:
    whole = build.linear(file).read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    assert "is not a complete ONNX model: it is cut short" in str(refusal(file))


def _missing(file: Path) -> None:
    file.parent.mkdir()


def _without_weights(file: Path) -> None:
    build.external_data(file)
    file.with_name("weights.bin").unlink()


def _with_short_weights(file: Path) -> None:
    build.external_data(file)
    weights = file.with_name("weights.bin")
    weights.write_bytes(weights.read_bytes()[:-10])


def _unknown_operator(file: Path) -> None:
    onnx_model(file, "(float[n,4] x) => (float[n,4] y)", "y = Nonsense (x)")


def _of_the_future(file: Path) -> None:
    model = onnx.load(build.linear(file))
    model.ir_version = 99
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_missing, r"there is no such file"),
        (_without_weights, r"ONNX Runtime: External data .* does not exist: \".*weights\.bin\""),
        (_with_short_weights, r"ONNX Runtime: .*External initializer: bias0 .* out of bounds"),
        (_unknown_operator, r"ONNX Runtime: This is an invalid model.* No Op registered for Nonsense"),
        (_of_the_future, r"ONNX Runtime: Unsupported model IR version: 99, max supported IR version: \d+"),
    ],
)
@pytest.mark.usefixtures("no_output")
def test_a_model_that_cannot_run_is_told_why_without_the_noise(
    file: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(file)
    text = str(refusal(file))
    assert re.search(reason, text)
    assert not re.search(r"onnxruntime_src|\[ONNXRuntimeError\]|\.cc:", text)


def test_a_model_that_may_not_be_read_is_told_as_such(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.linear(file).write_bytes(b"unreadable")
    monkeypatch.setattr(os, "access", lambda *_: False)
    (problem,) = refusal(file).problems
    assert problem.found == "Permission denied"
    assert problem.remedy == f"Let the user that serves (uid {os.geteuid()}) read it: chmod a+r '{file}'"


def test_a_version_without_a_file_is_refused(tmp_path: Path) -> None:
    backend = backends.create("onnxruntime", OPTIONS)
    with pytest.raises(
        InvalidConfig, match=r"no model file for model 'm', expected model\.onnx or another \.onnx file"
    ):
        backend.complete(ModelConfig("m"), ModelFiles(tmp_path, tmp_path / "1", None))


def test_loading_comes_after_completing() -> None:
    with pytest.raises(Internal, match="completed before it is loaded"):
        backends.create("onnxruntime", OPTIONS).load(Device(Kind.CPU))


def test_a_failure_that_the_file_cannot_be_blamed_for_is_the_backends(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of something")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(BackendError, match="model 'm' cannot be loaded on cpu: ONNX Runtime: out of something"):
        backends.create("onnxruntime", OPTIONS).complete(ModelConfig("m"), files(build.linear(file)))


def test_reasons_of_runs_are_told_as_tritons_backend_does() -> None:
    assert run_reason(Exception("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : idx=99 is out")) == (
        "onnx runtime error 2: idx=99 is out"
    )
    assert run_reason(RuntimeError("bad")) == "onnx runtime error: bad"

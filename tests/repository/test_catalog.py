"""One odd model stops no other."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from naiad.core.budget import Budget
from naiad.core.dedicated import DedicatedRunners
from naiad.core.runners import RunnerPool
from naiad.core.timer import Timer
from naiad.core.waiter import ConditionWaiter
from naiad.repository import catalog, scan
from naiad.repository.asked import Asked
from naiad.repository.loading import Backends, Loader, Threads
from naiad.repository.reading import ModelReading, read
from naiad.repository.snapshot import ModelSnapshot
from naiad.repository.survey import Survey, Watch
from naiad.repository.wanted import Candidate
from tests.repository.files import lay

CONFIG = 'backend: "identity"'


@pytest.fixture
def loader() -> Loader:
    timer = Timer()
    threads = Threads(RunnerPool(ConditionWaiter(), timer, 1), DedicatedRunners(), timer, Budget(1))
    return Loader(Backends(lambda _: pytest.fail("candidates load nothing"), lambda _: ()), threads)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return lay(tmp_path, {"odd/config.pbtxt": CONFIG, "odd/1/x": "", "sound/config.pbtxt": CONFIG, "sound/1/x": ""})


def candidates(root: Path, loader: Loader, asked: Asked | None = None) -> dict[str, Candidate]:
    survey = Survey([root], loader, asked or Asked(), Watch(settle_secs=0))
    return {candidate.name: candidate for candidate in survey.once()}


def test_a_model_that_cannot_be_read_for_any_reason_is_a_candidate_with_that_problem(
    repository: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fragile(model: ModelSnapshot) -> ModelReading:
        if model.name == "odd":
            raise RecursionError("too deep")
        return read(model)

    monkeypatch.setattr(catalog, "read", fragile)
    found = candidates(repository, loader)
    problem = f"'{repository / 'odd'}' cannot be read: RecursionError: too deep"
    assert found["odd"] == Candidate("odd", {}, problem, present=frozenset({1}))
    assert list(found["sound"].wanted) == [1]
    assert "reading model odd" in caplog.text


def test_a_model_that_cannot_be_looked_at_for_any_reason_hides_no_other(
    repository: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(name: str) -> int | None:
        if name == "x":
            raise ValueError("no such name")
        return 1 if name == "1" else None

    lay(repository, {"odd/x/y": ""})
    monkeypatch.setattr(scan, "version", fragile)
    found = candidates(repository, loader)
    assert found["odd"].wanted == {}
    assert f"'{repository / 'odd'}' cannot be looked at: ValueError: no such name" in found["odd"].problem
    assert list(found["sound"].wanted) == [1]


def test_a_version_deeper_than_any_model_is_that_version_s_problem(repository: Path, loader: Loader) -> None:
    repository.joinpath("odd", "1", *["d"] * 40).mkdir(parents=True)
    found = candidates(repository, loader)
    assert "is deeper than 32 levels" in str(found["odd"].wanted[1])
    assert callable(found["sound"].wanted[1].load)


def test_warnings_go_to_the_log(repository: Path, loader: Loader, caplog: pytest.LogCaptureFixture) -> None:
    (repository / "odd" / "01").mkdir()
    with caplog.at_level(logging.WARNING):
        candidates(repository, loader)
    assert "model odd: " in caplog.text
    assert "leading zeros" in caplog.text


def test_a_repository_that_is_gone_is_told(tmp_path: Path, loader: Loader, caplog: pytest.LogCaptureFixture) -> None:
    assert candidates(tmp_path / "gone", loader) == {}
    assert "cannot be read" in caplog.text


def test_only_what_is_asked_for_is_loaded_and_the_rest_is_known(repository: Path, loader: Loader) -> None:
    found = candidates(repository, loader, Asked(models=frozenset({"sound"})))
    assert found["odd"] == Candidate("odd", {})
    assert list(found["sound"].wanted) == [1]


def test_what_is_asked_for_and_is_nowhere_is_a_candidate_with_that_problem(repository: Path, loader: Loader) -> None:
    found = candidates(repository, loader, Asked(models=frozenset({"sound", "gone"})))
    assert found["gone"].problem == "no repository has a model 'gone', which --load-model names"
    assert list(found["sound"].wanted) == [1]


def test_a_config_that_is_not_to_be_completed_must_say_everything(tmp_path: Path, loader: Loader) -> None:
    tensor = '[{ name: "X" data_type: TYPE_FP32 dims: 1 }]'
    complete = f"input {tensor}\noutput {tensor}\n"
    lay(
        tmp_path,
        {
            "whole/config.pbtxt": complete,
            "whole/1/model.onnx": "",
            "half/config.pbtxt": f"input {tensor}",
            "half/1/model.onnx": "",
            "none/1/model.onnx": "",
        },
    )
    found = candidates(tmp_path, loader, Asked(complete=False))
    assert list(found["whole"].wanted) == [1]
    assert not found["half"].wanted
    assert not found["none"].wanted
    assert "'backend'" not in found["half"].problem
    assert "must specify 'output'" in found["half"].problem
    assert "'input'" not in found["half"].problem
    assert "config.pbtxt" in found["half"].problem
    assert "--disable-auto-complete-config" in found["none"].problem
    assert candidates(tmp_path, loader)["none"].problem == ""

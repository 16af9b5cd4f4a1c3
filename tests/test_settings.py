"""Command lines and environments to settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from naiad.settings import BadSettings, Settings


def test_a_repeated_flag_is_a_list_and_commas_stay() -> None:
    settings = Settings.parse(["--model-repository", "a,b", "--model-repository=c"])
    assert settings.model_repository == [Path("a,b"), Path("c")]


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAIAD_GRPC_PORT", "1234")
    assert Settings.parse([]).grpc_port == 1234
    assert Settings.parse(["--grpc-port", "5678"]).grpc_port == 5678


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("MODEL_REPOSITORY", "repo", [Path("repo")]),
        ("MODEL_REPOSITORY", f"a,b{os.pathsep}c", [Path("a,b"), Path("c")]),
        ("MODEL_REPOSITORY", f'["a{os.pathsep}b", "c"]', [Path(f"a{os.pathsep}b"), Path("c")]),
        ("MODEL_REPOSITORY", "", []),
        ("BACKEND_CONFIG", "onnxruntime,a=b:c", ["onnxruntime,a=b:c"]),
        ("BACKEND_CONFIG", '["x,a=b", "y,c=d"]', ["x,a=b", "y,c=d"]),
    ],
)
def test_a_list_in_the_environment_is_json_or_a_plain_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: list[object]
) -> None:
    monkeypatch.setenv(f"NAIAD_{variable}", value)
    assert getattr(Settings.parse([]), variable.lower()) == expected


def test_a_list_of_flags_wins_over_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAIAD_MODEL_REPOSITORY", "theirs")
    assert Settings.parse(["--model-repository=mine"]).model_repository == [Path("mine")]


def test_a_list_in_the_environment_that_is_broken_json_is_told_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAIAD_MODEL_REPOSITORY", '["repo')
    with pytest.raises(BadSettings) as caught:
        Settings.parse([])
    assert str(caught.value).startswith("NAIAD_MODEL_REPOSITORY: got '[\"repo', expected a JSON list: ")
    assert "\n" not in str(caught.value)


def test_backend_options_are_sorted_by_backend() -> None:
    settings = Settings.parse(
        ["--backend-config=onnxruntime,a=b=c", "--backend-config", "onnxruntime,d=", "--backend-config=x,y=z"]
    )
    assert settings.backend_options() == {"onnxruntime": {"a": "b=c", "d": ""}, "x": {"y": "z"}}


@pytest.mark.parametrize(
    ("arguments", "flag", "expected"),
    [
        (["--grpc-port", "http"], "--grpc-port", "valid integer"),
        (["--grpc-port", "70000"], "--grpc-port", "65535"),
        (["--model-control-mode", "poll"], "--model-control-mode", "not available yet"),
        (["--model-control-mode", "explicit"], "--model-control-mode", "not available yet"),
        (["--backend-config", "onnxruntime"], "--backend-config", "expected BACKEND,KEY=VALUE"),
        (["--log-level", "loud"], "--log-level", "'debug', 'info', 'warning' or 'error'"),
        (["--exit-timeout-secs", "-1"], "--exit-timeout-secs", "greater than or equal to 0"),
        (["--exit-timeout-secs", "inf"], "--exit-timeout-secs", "finite"),
        (["--shutdown-delay-secs", "nan"], "--shutdown-delay-secs", "finite"),
        (["--shutdown-delay-secs", "90000"], "--shutdown-delay-secs", "less than or equal to 86400"),
        (["--model-load-timeout-secs", "inf"], "--model-load-timeout-secs", "finite"),
    ],
)
def test_a_bad_value_is_told_with_its_flag_what_was_got_and_what_is_expected(
    arguments: list[str], flag: str, expected: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        Settings.parse(arguments)
    assert str(caught.value).startswith(f"{flag}: ")
    assert expected in str(caught.value)
    assert arguments[1] in str(caught.value)


def test_an_unknown_flag_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Settings.parse(["--grpc-prot", "1"])
    assert caught.value.code == 2
    assert "--grpc-prot" in capsys.readouterr().err

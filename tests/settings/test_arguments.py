"""Flags as people write them, tritonserver's spellings included."""

from __future__ import annotations

import pytest

from naiad.settings import Settings
from naiad.settings.arguments import from_arguments
from naiad.settings.model import FLAGS
from naiad.settings.tritonserver import OWN


def given(*arguments: str) -> list[tuple[str, str]]:
    source = from_arguments(arguments, FLAGS, OWN)
    assert not source.mistakes
    return [(each.flag.name, each.texts[0]) for each in source.given]


def complaint(*arguments: str) -> str:
    return "\n".join(from_arguments(arguments, FLAGS, OWN).mistakes)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--allow-metrics=true"], True),
        (["--allow-metrics", "true"], True),
        (["--allow-metrics"], True),
        (["--allow-metrics", "--http-port=1"], True),
        (["--allow-metrics=True"], True),
        (["--allow-metrics=1"], True),
        (["--allow-metrics=ON"], True),
        (["--allow-metrics=yes"], True),
        (["--allow-metrics=false"], False),
        (["--allow-metrics", "false"], False),
        (["--allow-metrics", "0"], False),
        (["--allow-metrics=FALSE"], False),
        (["--allow-metrics=off"], False),
        (["--allow-metrics=no"], False),
        (["--allow-metrics=false", "--allow-metrics"], True),
    ],
)
def test_a_boolean_has_many_spellings(arguments: list[str], expected: bool) -> None:
    assert Settings.parse(arguments, {}).allow_metrics is expected


def test_a_value_stands_behind_an_equals_sign_or_a_space() -> None:
    assert given("--id=a=b", "--http-port", "1", "--id", "", "--id=") == [
        ("id", "a=b"),
        ("http-port", "1"),
        ("id", ""),
        ("id", ""),
    ]


def test_a_separate_value_may_begin_with_a_hyphen() -> None:
    assert given("--exit-timeout-secs", "-1") == [("exit-timeout-secs", "-1")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("--model-repo=x", "model-repository"),
        ("--model-s=x", "model-store"),
        ("--exit-timeout=1", "exit-timeout-secs"),
        ("--log-v=1", "log-verbose"),
        ("--shutdown=1", "shutdown-delay-secs"),
    ],
)
def test_a_flag_may_be_shortened(written: str, meant: str) -> None:
    assert given(written)[0][0] == meant


def test_a_setting_of_ours_takes_no_abbreviation_from_tritonserver() -> None:
    assert given("--model-load-t=8", "--cache-c=local,size=1") == [
        ("model-load-thread-count", "8"),
        ("cache-config", "local,size=1"),
    ]


def test_an_abbreviation_of_several_flags_is_told_with_all_of_them() -> None:
    assert complaint("--strict=1") == "--strict: expected one of --strict-model-config, --strict-readiness"


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("--grpc-prot=1", "--grpc-port"),
        ("--model_repository=x", "--model-repository"),
        ("--models-repository=x", "--model-repository"),
        ("--strict-model-readiness", "--strict-readiness"),
        ("--grpc-infer-threads=1", "--grpc-infer-thread-count"),
    ],
)
def test_an_unknown_flag_is_told_with_the_nearest_one(written: str, nearest: str) -> None:
    line = complaint(written)
    assert line.startswith(f"{written.partition('=')[0]}: there is no such setting")
    assert line.endswith(f"did you mean {nearest}?")


def test_an_unknown_flag_that_resembles_none_is_told_where_to_look() -> None:
    assert complaint("--xyzzy", "17") == "--xyzzy: there is no such setting; `naiad serve --help` lists the settings"


@pytest.mark.parametrize(
    ("arguments", "got"), [(["--http-port"], "got nothing"), (["--http-port", "--id=a"], "got --id=a")]
)
def test_a_value_that_is_missing_is_told(arguments: list[str], got: str) -> None:
    assert complaint(*arguments) == f"--http-port: expected a value after it, {got}"


@pytest.mark.parametrize("argument", ["models", "-p", "--", "-model-repository=x"])
def test_what_is_no_flag_is_told(argument: str) -> None:
    assert complaint(argument).startswith(f"{argument!r}: expected a flag")


def test_all_mistakes_are_told_together() -> None:
    assert len(complaint("models", "--nonsense", "--http-port").splitlines()) == 3

"""What the log looks like."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from naiad.observability import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_control_characters_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("naiad.test").info("model %s", "x\r\n2026 [error] forged \x1b[31m")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "model x\\r\\n2026 [error] forged \\x1b[31m" in err


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logging.getLogger("naiad.test").info("quiet")
    logging.getLogger("naiad.test").warning("loud")
    err = capsys.readouterr().err
    assert "quiet" not in err
    assert "loud" in err


@pytest.mark.parametrize("text", ["\u2028forged", "\x85forged", "a\udcffb", "\u202eforged"])
def test_what_is_not_printable_is_escaped(capsys: pytest.CaptureFixture[str], text: str) -> None:
    logs.configure("info")
    logging.getLogger("naiad.test").info("model %s", text, extra={"field": text})
    err = capsys.readouterr().err
    assert text not in err
    assert err.count("\n") == 1
    assert err.encode()


def test_words_of_any_language_stay_as_they_are() -> None:
    assert logs.printable("Größe 模型") == "Größe 模型"


def fail(secret: str) -> None:
    """Fail with a text that looks like an event of the log, where a variable holds a user's data."""
    data = [secret]
    raise ValueError(f"line of {len(data)}\n2026-01-01T00:00:00Z [error    ] forged\r\x1b[2J")


def traceback_of(level: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    logs.configure("info")
    try:
        fail("PATIENT-4711")
    except ValueError:
        getattr(logging.getLogger("naiad.test"), level)("it failed", exc_info=True)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("level", ["exception", "warning"])
def test_no_line_of_a_traceback_looks_like_an_event(capsys: pytest.CaptureFixture[str], level: str) -> None:
    event, *lines = traceback_of(level, capsys)
    assert "it failed" in event
    assert lines[0] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: line of 1", "    2026-01-01T00:00:00Z [error    ] forged\\r\\x1b[2J"]
    assert all(line.startswith("    ") for line in lines)


def test_a_traceback_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [line for line in traceback_of("exception", capsys) if "fail(" not in line]
    assert not any("PATIENT" in line for line in shown)

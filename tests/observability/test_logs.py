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
    assert "\\nforged" not in err
    assert "\\x0d\\n2026 [error] forged \\x1b[31m" in err


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logging.getLogger("naiad.test").info("quiet")
    logging.getLogger("naiad.test").warning("loud")
    err = capsys.readouterr().err
    assert "quiet" not in err
    assert "loud" in err

"""What the log looks like."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from naiad.observability import logs
from tests.pipes import Pipe


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def written(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what has been logged so far."""
    logs.flush()
    return capfd.readouterr().err


def test_control_characters_cannot_forge_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("naiad.test").info("model %s", "x\r\n2026 [error] forged \x1b[31m")
    err = written(capfd)
    assert err.count("\n") == 1
    assert "model x\\r\\n2026 [error] forged \\x1b[31m" in err


def test_what_is_below_the_level_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logging.getLogger("naiad.test").info("quiet")
    logging.getLogger("naiad.test").warning("loud")
    err = written(capfd)
    assert "quiet" not in err
    assert "loud" in err


@pytest.mark.parametrize("text", ["\u2028forged", "\x85forged", "a\udcffb", "\u202eforged"])
def test_what_is_not_printable_is_escaped(capfd: pytest.CaptureFixture[str], text: str) -> None:
    logs.configure("info")
    logging.getLogger("naiad.test").info("model %s", text, extra={"field": text})
    err = written(capfd)
    assert text not in err
    assert err.count("\n") == 1
    assert err.encode()


def test_words_of_any_language_stay_as_they_are() -> None:
    assert logs.printable("Größe 模型") == "Größe 模型"


def fail(secret: str) -> None:
    """Fail with a text that looks like an event of the log, where a variable holds a user's data."""
    data = [secret]
    raise ValueError(f"line of {len(data)}\n2026-01-01T00:00:00Z [error    ] forged\r\x1b[2J")


def traceback_of(level: str, capfd: pytest.CaptureFixture[str]) -> list[str]:
    logs.configure("info")
    try:
        fail("PATIENT-4711")
    except ValueError:
        getattr(logging.getLogger("naiad.test"), level)("it failed", exc_info=True)
    return written(capfd).splitlines()


@pytest.mark.parametrize("level", ["exception", "warning"])
def test_no_line_of_a_traceback_looks_like_an_event(capfd: pytest.CaptureFixture[str], level: str) -> None:
    event, *lines = traceback_of(level, capfd)
    assert "it failed" in event
    assert lines[0] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: line of 1", "    2026-01-01T00:00:00Z [error    ] forged\\r\\x1b[2J"]
    assert all(line.startswith("    ") for line in lines)


def test_a_traceback_shows_no_variables(capfd: pytest.CaptureFixture[str]) -> None:
    shown = [line for line in traceback_of("exception", capfd) if "fail(" not in line]
    assert not any("PATIENT" in line for line in shown)


def test_events_stand_in_the_order_in_which_they_were_logged(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    for number in range(500):
        logging.getLogger("naiad.test").info("event %d.", number)
        logs.write(f"table {number}.\n")
    lines = written(capfd).splitlines()
    assert [line.split("] ")[-1].strip() for line in lines] == [
        f"{kind} {number}." for number in range(500) for kind in ("event", "table")
    ]


def test_a_log_that_nobody_reads_holds_up_nobody_and_tells_later_what_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = logging.getLogger("naiad.test")
    sent = logs.BUFFERED_BYTES // 1000
    with Pipe() as stuck:
        stuck.fill()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stuck.writer)
            logs.configure("info")
        for number in range(sent):
            log.info("%d %s", number, "x" * 3000)
        with monkeypatch.context() as patched:
            patched.setattr(logs, "FLUSH_SECS", 0.0)
            logs.flush()
        stuck.read_on()
        monkeypatch.setattr(logs, "FLUSH_SECS", 30.0)
        logs.close()
        numbers = [int(line.split("] ")[1].split()[0]) for line in stuck.rest().splitlines()]
    *written, lost = numbers
    assert written == list(range(sent - lost))
    assert 0 < lost < sent


def test_an_event_that_cannot_be_formatted_is_told_and_not_raised(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("naiad.test").info("%d events", "many")
    err = written(capfd)
    assert err.count("\n") == 1
    assert "[error" in err
    assert "test_logs.py" in err
    assert "TypeError" in err


@pytest.mark.parametrize("with_traceback", [False, True])
def test_an_event_that_is_too_long_is_cut_and_says_so(capfd: pytest.CaptureFixture[str], with_traceback: bool) -> None:
    logs.configure("info")
    error = ValueError("y" * 10 * logs.LONGEST_EVENT) if with_traceback else None
    logging.getLogger("naiad.test").error("it failed: %s", "x" * logs.LONGEST_EVENT, exc_info=error)
    err = written(capfd)
    assert err.count("\n") == 1
    assert "it failed: xxx" in err
    assert "(an event of " in err
    assert len(err) < logs.LONGEST_EVENT


def test_a_process_without_a_stderr_logs_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure("info")
    logging.getLogger("naiad.test").info("heard by nobody")
    logs.flush()


def test_a_log_that_is_closed_or_replaced_leaves_no_thread_behind(capfd: pytest.CaptureFixture[str]) -> None:
    def writers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "naiad-log"]

    logs.configure("info")
    logging.getLogger("naiad.test").info("first")
    replaced = writers()
    logs.configure("info")
    logging.getLogger("naiad.test").info("second")
    for thread in replaced:
        thread.join()
    (last,) = writers()
    logs.close()
    last.join()
    assert [line.split()[-1] for line in capfd.readouterr().err.splitlines()] == ["first", "second"]


HOSTILE = 'x"}\r\n{"event": "forged"} \x1b[31m \u2028 \udcff'


def objects(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what has been logged so far, which is one JSON object a line, in ASCII."""
    text = written(capfd)
    assert text.replace("\n", "").isprintable()
    assert text.isascii()
    return [json.loads(line) for line in text.splitlines()]


def test_as_json_an_event_is_one_object_on_one_line_whatever_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("naiad.test").info("model %s", HOSTILE, extra={"field": HOSTILE})
    (event,) = objects(capfd)
    assert str(event["event"]).startswith('model x"}\r\n{')
    assert str(event["field"]).startswith('x"}\r\n{')
    assert event["level"] == "info"
    assert event["timestamp"]


def test_as_json_a_traceback_is_a_field(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    try:
        fail("PATIENT-4711")
    except ValueError:
        logging.getLogger("naiad.test").exception("it failed")
    (event,) = objects(capfd)
    exception = str(event["exception"])
    assert exception.startswith("Traceback (most recent call last):\n")
    assert "ValueError: line of 1\n2026-01-01" in exception
    assert not any("PATIENT" in line for line in exception.splitlines() if "fail(" not in line)


def test_as_json_what_the_log_says_of_itself_is_an_object_too(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("naiad.test").warning("%s", HOSTILE + "x" * logs.LONGEST_EVENT)
    logging.getLogger("naiad.test").info("%d events", HOSTILE)
    long, broken = objects(capfd)
    assert long["level"] == "warning"
    assert str(long["event"]).endswith("characters)")
    assert broken["level"] == "error"
    assert "TypeError" in str(broken["event"])


def test_a_log_file_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("before\n")
    logs.configure("info", file=file)
    logging.getLogger("naiad.test").info("after")
    logs.close()
    before, after = file.read_text().splitlines()
    assert before == "before"
    assert after.endswith("after")


@pytest.mark.parametrize(
    "text", ['x\r\n{"level": "error"}', '", "level": "error", "x": "', "\u2028", "\x85", "\x1b[31m", "a\udcffb", "模型"]
)
def test_nothing_forges_an_event_of_json(capfd: pytest.CaptureFixture[str], text: str) -> None:
    logs.configure("info", "json")
    logging.getLogger("naiad.test").info("model %s", text, extra={"field": text})
    line = written(capfd)
    assert line.isascii()
    assert line.count("\n") == 1
    event = json.loads(line)
    assert event["level"] == "info"
    assert event["field"] == text.encode(errors="backslashreplace").decode()
    assert event["event"] == f"model {event['field']}"


def test_warnings_of_python_are_events_of_json_too(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old\nnews", stacklevel=1)
    (event,) = objects(capfd)
    assert event["level"] == "warning"
    assert "old\nnews" in str(event["event"])


def test_levels_can_be_muted_one_by_one(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", muted={"info", "error"})
    log = logging.getLogger("naiad.test")
    for level in (log.debug, log.info, log.warning, log.error):
        level("it is %s", level.__name__)
    err = written(capfd)
    assert [level for level in ("debug", "info", "warning", "error") if f"it is {level}" in err] == ["debug", "warning"]


def test_a_log_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        logs.configure("info", "text", tmp_path)

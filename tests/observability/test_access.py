"""The access log: a line per request, whatever clients send, and however slowly somebody reads."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.errors import Code, FailureReason
from naiad.core.observer import Answer
from naiad.observability import access
from naiad.observability.access import BUFFERED_REQUESTS, LONGEST_VALUE, AccessLog, Format
from tests.pipes import Pipe

PATIENCE = 30.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DIGITS = Answer("digits", 2, "seven", TRACE, 3, 9_999_999, 1_000, 2_500_000, None, None)
REFUSED = Answer("", None, "", "", 0, 12_000, 0, 0, Code.NOT_FOUND, FailureReason.NOT_FOUND)
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "]+)(?: |\n)')
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def logged(style: Format, *answers: Answer) -> str:
    """Return what is written for requests that are answered together."""
    with Pipe() as pipe:
        log = AccessLog(pipe.writer.fileno(), style)
        log.answered(answers)
        log.close(PATIENCE)
        pipe.read_on()
        return pipe.rest()


def fields(line: str) -> dict[str, str]:
    """Read a line of text, all of it."""
    found = FIELD.findall(line)
    assert "".join(match.group() for match in FIELD.finditer(line)) == line
    assert len(dict(found)) == len(found)
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


def test_a_line_of_text_has_every_field() -> None:
    answered, refused = map(fields, logged("text", DIGITS, REFUSED).splitlines(keepends=True))
    assert TIME.fullmatch(answered.pop("time"))
    assert refused.pop("time")
    assert answered == {
        "status": "OK",
        "reason": "",
        "model": "digits",
        "version": "2",
        "rows": "3",
        "queue_us": "1",
        "compute_us": "2500",
        "total_us": "9999",
        "request_id": "seven",
        "trace_id": TRACE,
    }
    assert {key: refused[key] for key in ("status", "reason", "model", "version", "rows")} == {
        "status": "NOT_FOUND",
        "reason": "not_found",
        "model": "",
        "version": "",
        "rows": "0",
    }


def test_a_line_of_json_has_the_same() -> None:
    answered, refused = map(json.loads, logged("json", DIGITS, REFUSED).splitlines())
    assert TIME.fullmatch(answered.pop("timestamp"))
    assert answered == {
        "event": "request",
        "status": "OK",
        "reason": None,
        "model": "digits",
        "version": 2,
        "rows": 3,
        "queue_us": 1,
        "compute_us": 2500,
        "total_us": 9999,
        "request_id": "seven",
        "trace_id": TRACE,
    }
    assert (refused["status"], refused["version"], refused["total_us"]) == ("NOT_FOUND", None, 12)
    assert refused["reason"] == "not_found"


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("reason", FailureReason)
def test_an_error_is_told_by_its_code_and_its_reason(code: Code, reason: FailureReason) -> None:
    failed = DIGITS._replace(code=code, reason=reason)
    (told,) = [fields(line) for line in logged("text", failed).splitlines(keepends=True)]
    assert (told["status"], told["reason"]) == (code.value, reason.value)
    assert json.loads(logged("json", failed)).items() >= {"status": code.value, "reason": reason.value}.items()


ANYTHING = st.text(st.characters(exclude_categories=()), max_size=LONGEST_VALUE)
"""Also what no encoding has, such as half of a surrogate pair."""
HARMFUL = [
    "two words",
    "a\nstatus=OK",
    "a\rb",
    '"',
    '" status="OK',
    "\\",
    "\\n",
    "a=b",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202e",
    "\ud800",
    "Größe",
    "模型 ٣",
]


@pytest.mark.parametrize("text", HARMFUL)
@pytest.mark.parametrize("field", ["model", "request_id", "trace_id"])
def test_nothing_that_a_client_sends_forges_a_line_or_a_field(field: str, text: str) -> None:
    hostile = Answer(**{**DIGITS._asdict(), field: text})
    plain, line = (logged("text", answer) for answer in (DIGITS, hostile))
    assert line.removesuffix("\n").isprintable()
    assert line.isascii()
    expected = fields(plain) | {field: text}
    assert fields(line) | {"time": ""} == expected | {"time": ""}
    (written,) = logged("json", hostile).splitlines()
    assert json.loads(written)[field] == text


@given(ANYTHING, ANYTHING, ANYTHING)
def test_every_text_can_be_read_back(model: str, request_id: str, trace_id: str) -> None:
    answer = DIGITS._replace(model=model, request_id=request_id, trace_id=trace_id)
    names = ("model", "request_id", "trace_id")
    read: dict[Format, Callable[[str], dict[str, str]]] = {"text": fields, "json": json.loads}
    for style, reader in read.items():
        line = access.LINES[style]("now", answer)
        assert line.removesuffix("\n").isprintable()
        assert line.isascii()
        assert [reader(line)[name] for name in names] == [model, request_id, trace_id]


def test_long_texts_are_cut() -> None:
    long = "x" * 1_000_000
    line = fields(logged("text", DIGITS, DIGITS._replace(model=long, request_id=long)).splitlines(True)[1])
    assert [line[key] for key in ("model", "request_id")] == ["x" * LONGEST_VALUE] * 2


def test_a_reader_who_has_stopped_costs_lines_and_their_number_is_told(caplog: pytest.LogCaptureFixture) -> None:
    batch = [DIGITS] * 32
    sent = 4 * BUFFERED_REQUESTS
    with Pipe() as pipe:
        pipe.fill()
        log = AccessLog(pipe.writer.fileno(), "text")
        for _ in range(sent // len(batch)):
            log.answered(batch)
        assert log.lost >= sent - 2 * BUFFERED_REQUESTS
        pipe.read_on()
        log.close(PATIENCE)
        written = pipe.rest().splitlines(keepends=True)
    assert len(written) + log.lost == sent
    assert all(fields(line)["request_id"] == "seven" for line in written)
    assert sum(int(number) for number in re.findall(r"the lines of (\d+) requests", caplog.text)) == log.lost


def test_an_end_that_nobody_reads_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with Pipe() as pipe, caplog.at_level(logging.WARNING):
        pipe.fill()
        log = AccessLog(pipe.writer.fileno(), "text")
        log.answered([DIGITS] * 5)
        log.close(0)
        pipe.read_on()
        log.close(PATIENCE)
        assert pipe.rest().count("\n") == 5
    assert "the lines of 5 requests are missing at the end of the access log" in caplog.text


def test_a_reader_who_is_gone_costs_every_line(caplog: pytest.LogCaptureFixture) -> None:
    with Pipe() as pipe:
        pipe.reader.close()
        log = AccessLog(pipe.writer.fileno(), "json")
        log.answered([DIGITS, DIGITS])
        log.close(PATIENCE)
    assert log.lost == 2
    assert "the lines of 2 requests are missing" in caplog.text


def test_in_a_hurry_lines_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LINGER_SECS", 3600.0)
    with Pipe() as pipe:
        log = AccessLog(pipe.writer.fileno(), "text")
        log.hurry()
        log.answered([DIGITS])
        assert fields(pipe.reader.readline().decode())["model"] == "digits"
        log.close(PATIENCE)

"""The access log: one line per inference request, answered or refused, to stdout.

The server writes nothing else there, so that requests and events can be kept apart, or together with `2>&1`. A line
has the time of the answer, what became of the request, and how long it took, as `key=value` or as JSON. Nothing that
a client sends can forge a line or a field: a value is bare where it is harmless, and else an ASCII JSON string.

A request costs an append to a bounded buffer; lines are made and written in bulk by a thread. Requests that find the
buffer full have no line. Their number is a metric, and is told in the log when somebody reads on.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from json import JSONEncoder
from typing import Literal, NamedTuple

from naiad.core.observer import Answer
from naiad.observability.outlet import Outlet

Format = Literal["text", "json"]

BUFFERED_REQUESTS = 16_384
LONGEST_VALUE = 128
"""Characters of a client's text that are kept; with the buffer's size this bounds its memory to some 30 MB."""
LINGER_SECS = 0.1

_HARMLESS = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
"""Printable ASCII without space, quote, equals sign and backslash."""
_quoted = JSONEncoder().encode
_NONE = '""'

log = logging.getLogger(__name__)


class _Answered(NamedTuple):
    """What was answered together, and when (`time.time_ns`)."""

    wall_ns: int
    answers: Sequence[Answer]


class AccessLog:
    """Writes to `descriptor` what an engine tells its observer (`core.observer.Observer`)."""

    def __init__(self, descriptor: int, style: Format) -> None:
        line = LINES[style]

        def render(bulk: Sequence[_Answered]) -> bytes:
            return "".join([line(_time(at), a) for at, answers in bulk for a in answers]).encode()

        self._outlet = Outlet[_Answered](
            descriptor, render, _tell_lost, thread="naiad-access-log", limit=BUFFERED_REQUESTS, linger=LINGER_SECS
        )

    @property
    def lost(self) -> int:
        """Requests so far whose lines were lost."""
        return self._outlet.lost

    def answered(self, answers: Sequence[Answer]) -> None:
        for each in answers:
            if len(each.request_id) > LONGEST_VALUE or len(each.model) > LONGEST_VALUE:
                answers = [_cut(answer) for answer in answers]
                break
        self._outlet.put(_Answered(time.time_ns(), answers), len(answers), len(answers))

    def hurry(self) -> None:
        """Write at once from now on, since the process ends."""
        self._outlet.linger = 0.0

    def close(self, timeout: float) -> None:
        """Write what is left, for `timeout` seconds at most, and say how much could not be written."""
        left = self._outlet.close(timeout)
        if left:
            log.warning("the lines of %d requests are missing at the end of the access log: nobody read them", left)


def _tell_lost(count: int) -> bytes:
    log.warning("the lines of %d requests are missing in the access log: nobody read them in time", count)
    return b""


def _cut(answer: Answer) -> Answer:
    return answer._replace(
        model=answer.model[:LONGEST_VALUE],
        request_id=answer.request_id[:LONGEST_VALUE],
    )


def _time(wall_ns: int) -> str:
    """UTC, to the microsecond."""
    return f"{_second(wall_ns // 1_000_000_000)}.{wall_ns // 1000 % 1_000_000:06}Z"


@lru_cache(maxsize=4)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def _text(at: str, answer: Answer) -> str:
    model, version, request_id, trace_id, rows, total_ns, queue_ns, compute_ns, code, reason = answer
    return (
        f"time={at} status={'OK' if code is None else code.value} reason={_NONE if reason is None else reason.value}"
        f" model={_value(model)}"
        f" version={_NONE if version is None else version} rows={rows} queue_us={queue_ns // 1000}"
        f" compute_us={compute_ns // 1000} total_us={total_ns // 1000}"
        f" request_id={_value(request_id)} trace_id={_value(trace_id)}\n"
    )


def _json(at: str, answer: Answer) -> str:
    model, version, request_id, trace_id, rows, total_ns, queue_ns, compute_ns, code, reason = answer
    return (
        f'{{"timestamp": "{at}", "event": "request", "status": "{"OK" if code is None else code.value}",'
        f' "reason": {"null" if reason is None else _quoted(reason.value)},'
        f' "model": {_quoted(model)}, "version": {"null" if version is None else version}, "rows": {rows},'
        f' "queue_us": {queue_ns // 1000}, "compute_us": {compute_ns // 1000}, "total_us": {total_ns // 1000},'
        f' "request_id": {_quoted(request_id)}, "trace_id": {_quoted(trace_id)}}}\n'
    )


def _value(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return text if _HARMLESS(text) else _quoted(text)


LINES: dict[Format, Callable[[str, Answer], str]] = {"text": _text, "json": _json}

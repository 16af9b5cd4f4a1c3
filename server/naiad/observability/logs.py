"""The log: structlog renders what the standard library's loggers are told, to stderr or a file.

As text, an event begins at the start of a line, with its time; a traceback follows it, each line indented. As JSON, an
event is one object on one line, its traceback a field of it. Nothing that clients or models send can forge a line or
move a terminal's cursor: whatever is not printable is escaped, in texts, in extra fields and in tracebacks. Tracebacks
show no variables, which hold users' data.

Whoever logs formats the event and goes on; a thread writes it. A log that nobody reads stops nothing: events that
find the buffer full are lost, and their number is told when somebody reads on.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, TextIO

import structlog

from naiad.observability.outlet import Outlet, descriptor_of

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["text", "json"]

BUFFERED_BYTES = 4 * 2**20
LONGEST_EVENT = 64 * 2**10
"""Characters of one event; what a client sends may end up in a text."""
FLUSH_SECS = 1.0
"""How long the end of the process may wait for whoever reads the log."""

_FIELDS = frozenset({"model", "version", "from", "to", "reason", "seconds"})
_INDENT = " " * 4


def configure(
    level: Level, style: Style = "text", file: Path | None = None, muted: Collection[Level] = frozenset()
) -> None:
    """Send all logs of the process at `level` and above, but for the muted levels, to a file, or else to stderr.

    OSError: the file cannot be written to.
    """
    descriptor = descriptor_of(sys.stderr) if file is None else _append_to(file)
    handler = Handler(descriptor)
    colors = style == "text" and file is None and sys.stderr is not None and sys.stderr.isatty()
    handler.setFormatter(_formatter(style, colors=colors))
    handler.addFilter(lambda record: record.levelname.lower() not in muted)
    root = logging.getLogger()
    close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("uvicorn", "asyncio"):
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _append_to(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _formatter(style: Style, *, colors: bool) -> logging.Formatter:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        rendering: list[structlog.typing.Processor] = [_for_json, structlog.processors.JSONRenderer()]
    else:
        shared += [_without_fields, _escape]
        rendering = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_write_traceback)]
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering], foreign_pre_chain=shared
    )


def close() -> None:
    """Write what was logged so far, as far as somebody reads it, and log no more."""
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler, Handler):
            logging.getLogger().removeHandler(handler)
            handler.flush()
            handler.close()


def flush() -> None:
    """Wait until what was logged so far is written, but not for long."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def write(text: str) -> None:
    """Write lines as they are, in turn with the log's events."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Handler):
            handler.write(text)


class Handler(logging.Handler):
    """Writes events to a descriptor; neither blocks nor raises."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._outlet = Outlet[bytes](descriptor, _join, self._tell_lost, thread="naiad-log", limit=BUFFERED_BYTES)

    def emit(self, record: logging.LogRecord) -> None:
        self.write(self._line(record))

    def write(self, text: str) -> None:
        line = text.encode(errors="backslashreplace")
        self._outlet.put(line, len(line))

    def flush(self) -> None:
        self._outlet.flush(FLUSH_SECS)

    def close(self) -> None:
        self._outlet.close(0)
        super().close()

    def _line(self, record: logging.LogRecord) -> str:
        """Format an event; one that cannot be is an event of its own, since whoever logs is not to suffer from it."""
        try:
            line = self.format(record) + "\n"
            if len(line) > LONGEST_EVENT:
                beginning = record.getMessage()[: LONGEST_EVENT // 2]
                line = self._told(record.levelno, "%s... (an event of %d characters)", beginning, len(line))
        except Exception as error:  # noqa: BLE001 - arguments are anybody's objects
            where = f"{record.pathname}:{record.lineno}"
            line = self._told(logging.ERROR, "cannot format the event logged at %s: %s", where, type(error).__name__)
        return line

    def _tell_lost(self, count: int) -> bytes:
        text = "%d events of the log were lost: nobody read it"
        return self._told(logging.WARNING, text, count).encode()

    def _told(self, level: int, text: str, *arguments: object) -> str:
        return self.format(logging.LogRecord(__name__, level, __file__, 0, text, arguments, None)) + "\n"


def _join(lines: Sequence[bytes]) -> bytes:
    return b"".join(lines)


def printable(text: str) -> str:
    """`text` on one line, with what is not printable escaped as in Python's own strings."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _without_fields(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """An event of a version's life says in its text what it has as fields."""
    return {key: value for key, value in event.items() if key not in _FIELDS}


def _escape(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _for_json(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Make a traceback a text, and every text one that any reader of JSON takes; what each event has comes first."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple) and error[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*error)).rstrip("\n")
    ordered = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return {
        key: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for key, value in (*ordered.items(), *event.items())
    }


def _write_traceback(output: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback below its event, every line indented."""
    text = "".join(traceback.format_exception(*error)).rstrip("\n")
    output.writelines(f"\n{_INDENT}{printable(line)}" for line in text.split("\n"))

"""The log: structlog renders what the standard library's loggers are told, one line per event, to stderr.

An event begins at the start of a line, with its time; a traceback follows it, each line indented. Nothing that
clients or models send can forge a line or move a terminal's cursor: whatever is not printable is escaped, in texts,
in extra fields and in tracebacks. Tracebacks show no variables, which hold users' data.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]

_INDENT = " " * 4


def configure(level: Level) -> None:
    """Send all logs of the process at `level` and above to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _escape,
    ]
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("uvicorn", "asyncio"):
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


def printable(text: str) -> str:
    """`text` on one line, with what is not printable escaped as in Python's own strings."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _escape(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _write_traceback(output: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback below its event, every line indented."""
    text = "".join(traceback.format_exception(*error)).rstrip("\n")
    output.writelines(f"\n{_INDENT}{printable(line)}" for line in text.split("\n"))

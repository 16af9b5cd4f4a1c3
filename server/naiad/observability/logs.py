"""The log: structlog renders what the standard library's loggers are told, one line per event, to stderr.

Control characters in what clients send cannot forge lines: they are escaped before a line is written.
"""

from __future__ import annotations

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\t\n"}


def configure(level: str) -> None:
    """Send all logs of the process at `level` (one of LEVELS) and above to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _escape,
    ]
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
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


def _escape(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {
        key: value.replace("\n", "\\n").translate(_ESCAPES) if isinstance(value, str) else value
        for key, value in event.items()
    }

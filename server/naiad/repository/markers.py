"""What `.publishing` says: who is writing a model, and until when that holds it back.

It is a JSON object: `pid` and `host` of the writer and `expires`, in seconds since 1970; `time` says when it began
and is for people. Whatever else is in the file, or is not, it holds back for PATIENCE from the time it was written.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from typing import NamedTuple

from naiad.repository.snapshot import Marker

PATIENCE_NS = 10 * 60 * 10**9
"""How long a marker holds back that does not say until when."""
_LATEST = 253_402_300_799
"""The end of the year 9999, the last that has a date."""
_LARGEST_PID = 2**22


class Publisher(NamedTuple):
    """Who writes a model. pid 0 and an empty host where the marker does not say. expires_ns: since 1970."""

    pid: int
    host: str
    expires_ns: int


def publisher(marker: Marker, first_seen_ns: int) -> Publisher:
    """Who a marker speaks of. first_seen_ns: when it was first seen, for a marker from the future. Raises nothing."""
    patience = min(marker.stat.mtime_ns, first_seen_ns) + PATIENCE_NS
    try:
        said = json.loads(marker.content)
    except (ValueError, RecursionError):
        return Publisher(0, "", patience)
    if not isinstance(said, dict):
        return Publisher(0, "", patience)
    pid, host = said.get("pid"), said.get("host")
    return Publisher(
        pid if type(pid) is int and 0 < pid <= _LARGEST_PID else 0,
        host if isinstance(host, str) else "",
        _expiry(said.get("expires"), patience),
    )


def _expiry(said: object, patience_ns: int) -> int:
    if not isinstance(said, (int, float)) or isinstance(said, bool) or said != said:  # noqa: PLR0124 - not a number
        return patience_ns
    return int(max(0, min(said, _LATEST))) * 10**9


def date(wall_ns: int) -> str:
    """A time since 1970 as people read it, in UTC."""
    return datetime.fromtimestamp(min(wall_ns // 10**9, _LATEST), UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def has_ended(publisher: Publisher) -> bool:
    """Whether the writer certainly does not run any more: it was a process of this host. Asks the system."""
    if not publisher.pid or publisher.host != socket.gethostname():
        return False
    try:
        os.kill(publisher.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False

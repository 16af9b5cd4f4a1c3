"""The file of a Unix socket that a server listens on.

A server that was killed leaves its file behind, which nobody can listen on: a file on which nobody answers is removed.
At its end a server removes its own file, and not one that another server has meanwhile put in its place. Who may
connect is decided by the rights of the directory.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

_PREFIX = "unix:"
_LONGEST = 107
"""Bytes of a path that a socket can have (unix(7))."""


def path_of(host: str) -> Path | None:
    """The path in a host that is "unix:PATH"; None for another."""
    return Path(host.removeprefix(_PREFIX)) if host.startswith(_PREFIX) else None


class SocketFile:
    """`make_way` before listening, `claim` after it, `remove` at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: tuple[int, int] | None = None

    def make_way(self) -> None:
        """Remove what a dead server left. OSError: the path is too long, somebody listens there, or it is no socket."""
        if len(os.fsencode(self._path)) > _LONGEST:
            raise _error(errno.ENAMETOOLONG)
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise OSError(errno.EEXIST, "there is a file that is no socket")
            if self._answers():
                raise _error(errno.EADDRINUSE)
            self._path.unlink()

    def claim(self) -> None:
        """Remember the file that the server has made."""
        self._own = self._identity()

    def remove(self) -> None:
        """Remove the file, if it is the one that was claimed. May be called twice."""
        with suppress(FileNotFoundError):
            if self._own is not None and self._identity() == self._own:
                self._path.unlink()
        self._own = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                return False
            except BlockingIOError:
                return True  # its queue of connections is full
        return True

    def _identity(self) -> tuple[int, int]:
        found = self._path.lstat()
        return found.st_dev, found.st_ino


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))

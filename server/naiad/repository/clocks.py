"""Whose clock a file system goes by: of some it is another machine's, and their times cannot be compared with ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_FOREIGN = re.compile(
    r"nfs\d*|cifs|smb\d*|smbfs|fuse(\..*)?|fuseblk|9p|ceph|lustre|glusterfs|virtiofs|vboxsf|prl_fs|vmhgfs|afs|ocfs2"
    r"|gpfs|beegfs|orangefs|pvfs2|davfs|sshfs|ncpfs|coda"
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Clocks:
    """What is mounted where, as read when it was made."""

    def __init__(self, mounts: Path = MOUNTS) -> None:
        self._types = _read(mounts)

    def ours(self, path: Path) -> bool:
        """Whether times of files in a directory are by the clock of this machine, as far as the mount tells."""
        real = os.path.realpath(path)
        while True:
            if real in self._types:
                return _FOREIGN.fullmatch(self._types[real]) is None
            above = os.path.dirname(real)  # noqa: PTH120 - a real path as text, like those of the mounts
            if above == real:
                return True
            real = above


def _read(mounts: Path) -> dict[str, str]:
    """The type of the file system at each mount point; of several at one, the last hides the others."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return {}
    types = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, (kind, *_) = before.split(" "), after.split(" ")
        if len(fields) > 4 and kind:
            types[_ESCAPE.sub(_unescaped, fields[4])] = kind
    return types


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))

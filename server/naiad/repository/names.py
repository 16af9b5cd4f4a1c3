"""Which names in a repository mean something. Pure.

What tools leave behind while they copy or edit (dotfiles, also Kubernetes's `..data` and rsync's `.name.XXXXXX`,
`name.tmp`, `name.part`, `name~`, `#name#`, `name.swp`), `lost+found` and `__pycache__` are never models, versions or
model files.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

CONFIG = "config.pbtxt"
LARGEST_VERSION = 2**63 - 1
_LEFTOVER = re.compile(r"\..*|.*\.(tmp|part|swp|swo)|.*~|#.*#|lost\+found|__pycache__", re.DOTALL)
_VERSION = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_NOT_VERSIONS = frozenset({"warmup", "initial_state", "configs"})


def is_leftover(name: str) -> bool:
    """Whether a file or directory of that name is to be passed over in silence."""
    return _LEFTOVER.fullmatch(name) is not None


def version(name: str) -> int | None:
    """The version that a directory of that name holds, or None."""
    if _VERSION.fullmatch(name) is None or len(name) > 19:
        return None
    number = int(name)
    return number if number <= LARGEST_VERSION else None


def no_version(name: str) -> str | None:
    """Why a directory of a model is no version, in words for its owner; None when it need not be one."""
    if name in _NOT_VERSIONS or is_leftover(name):
        return None
    if re.fullmatch("0[0-9]+", name, re.ASCII):
        return f"ignore version directory '{name}' which contains leading zeros in its directory name"
    if _VERSION.fullmatch(name):
        return f"ignore version directory '{name}' which is larger than the largest version, {LARGEST_VERSION}"
    return f"ignore version directory '{name}' which fails to convert to integral number"


def stays_inside(path: str) -> bool:
    """Whether a relative path of a config names something inside the directory that it starts from."""
    pure = PurePosixPath(path)
    return "\0" not in path and not pure.is_absolute() and ".." not in pure.parts and pure.name != ""

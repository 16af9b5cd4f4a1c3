"""Which names in a repository mean something. Pure.

What tools leave behind while they copy or edit (dotfiles, also Kubernetes's `..data` and rsync's `.name.XXXXXX`,
`name.tmp`, `name.part`, `name~`, `#name#`, `name.swp`), `lost+found` and `__pycache__` are never models, versions or
model files. Among the dotfiles are the two markers.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from naiad.core.problems import Problem, Severity

CONFIG = "config.pbtxt"
CONFIGS = "configs"
"""The directory of a model that has further configs, each under its own name."""
READY = ".ready"
"""The marker of what is complete: it settles at once."""
PUBLISHING = ".publishing"
"""The marker of what somebody is still writing: it is held back."""
LARGEST_VERSION = 2**63 - 1
_LEFTOVER = re.compile(r"\..*|.*\.(tmp|part|swp|swo)|.*~|#.*#|lost\+found|__pycache__", re.DOTALL)
_COPY = re.compile(r"\..+\.[A-Za-z0-9]{6}|.*\.(tmp|part)", re.DOTALL)
_VERSION = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_NOT_VERSIONS = frozenset({"warmup", "initial_state", CONFIGS})
_MEANT = re.compile(r"(?:(?:v|ver|version|rev|r|model)[ ._-]?)?0*([0-9]{1,18})(?:\.0)*", re.IGNORECASE | re.ASCII)
_LIKE_CONFIG = re.compile(
    r"(model[._-]?)?conf(ig)?(uration)?s?([._-]?(pb\w*|txt|text|proto\w*|json|ya?ml|toml))*", re.IGNORECASE
)


def is_leftover(name: str) -> bool:
    """Whether a file or directory of that name is to be passed over in silence."""
    return _LEFTOVER.fullmatch(name) is not None


def is_copy(name: str) -> bool:
    """Whether a leftover is a file that a copy goes on in: rsync's `.name.XXXXXX`, `name.tmp` or `name.part`."""
    return _COPY.fullmatch(name) is not None


def version(name: str) -> int | None:
    """The version that a directory of that name holds, or None."""
    if _VERSION.fullmatch(name) is None or len(name) > 19:
        return None
    number = int(name)
    return number if number <= LARGEST_VERSION else None


def no_version(name: str) -> Problem | None:
    """The warning that a directory of a model is no version, for its owner; None when it need not be one."""
    if name in _NOT_VERSIONS or is_leftover(name):
        return None
    why = "fails to convert to integral number"
    if re.fullmatch("0[0-9]+", name, re.ASCII):
        why = "contains leading zeros in its directory name"
    elif _VERSION.fullmatch(name):
        why = f"is larger than the largest version, {LARGEST_VERSION}"
    number = meant_version(name)
    return Problem(
        f"ignore version directory '{name}' which {why}",
        severity=Severity.WARNING,
        found=f"'{name}'",
        expected="a plain number, such as '1'",
        remedy=f"Rename it to '{number}'" if number else "Rename it to a number if it is a version, else ignore this",
        topic="a directory that is no version",
    )


def meant_version(name: str) -> str:
    """The version that a directory's name probably means: `v2`, `version-2`, `02` and `2.0` mean 2; or nothing."""
    match = _MEANT.fullmatch(name)
    return match[1] if match else ""


def resembles_config(name: str) -> bool:
    """Whether a file was probably meant as the config, such as `Config.pbtxt`, `config.pbtx` or `config.json`."""
    return name != CONFIG and _LIKE_CONFIG.fullmatch(name) is not None


def stays_inside(path: str) -> bool:
    """Whether a relative path of a config names something inside the directory that it starts from."""
    pure = PurePosixPath(path)
    return "\0" not in path and not pure.is_absolute() and ".." not in pure.parts and pure.name != ""

"""A settings file: TOML, one key for each setting, without tables.

Paths in it are relative to the directory that the server was started in.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from naiad.settings.given import BadSettings, Flags, Given, unknown

CONFIG_FILE = "config-file"
"""The setting that names the file, which the file itself cannot have."""


def from_file(path: Path, origin: str, flags: Flags) -> list[Given]:
    """What a file gives. origin: who names the file. Raises BadSettings with all that is wrong, line by line."""
    content = _read(path, origin)
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: expected TOML: {error}") from None
    found: list[Given] = []
    mistakes: list[str] = []
    for key, value in table.items():
        try:
            found.append(_given(key, value, f"{path}{_line(content, key)}: {key}", flags))
        except BadSettings as error:
            mistakes.append(str(error))
    if mistakes:
        raise BadSettings("\n".join(mistakes))
    return found


def _read(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings(f"{origin}: {path} cannot be read: {error.strerror}, expected a TOML file") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{origin}: {path} is not UTF-8, byte {error.start}: expected a TOML file") from None


def _line(content: str, key: str) -> str:
    """Where a key stands, as `:3`; tomllib does not tell."""
    written = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]|\s*\[+\s*[\"']?{re.escape(key)}\b")
    return next((f":{number}" for number, line in enumerate(content.splitlines(), 1) if written.match(line)), "")


def _given(key: str, value: object, origin: str, flags: Flags) -> Given:
    name = key.replace("_", "-")
    if name == CONFIG_FILE:
        raise BadSettings(f"{origin}: a settings file cannot name another one")
    if name not in flags:
        raise BadSettings(unknown(origin, name, flags))
    flag = flags[name]
    if isinstance(value, list) and not flag.repeats:
        raise BadSettings(f"{origin}: got a list, expected one value")
    values = value if isinstance(value, list) else [value]
    return Given(flag, tuple(_text(each, origin) for each in values), origin)


def _text(value: object, origin: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise BadSettings(f"{origin}: got a {type(value).__name__}, expected a text, a number or a boolean")

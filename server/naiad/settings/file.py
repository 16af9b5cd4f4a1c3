"""A settings file: TOML, one key for each setting, without tables.

Paths in it are relative to the directory that the server was started in.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from naiad.settings.given import BadSettings, Flags, Given, Source, unknown

CONFIG_FILE = "config-file"
"""The setting that names the file, which the file itself cannot have."""


def from_file(named: str, origin: str, flags: Flags) -> Source:
    """What a file gives. origin: who names the file."""
    found = Source.empty()
    try:
        content, table = _read(named, origin)
    except BadSettings as error:
        found.mistakes.append(str(error))
        return found
    for key, value in table.items():
        origin = f"{named}{_line(content, key)}: {key}"
        twin = key.replace("-", "_")
        if twin != key and twin in table:
            found.mistakes.append(f"{origin}: {twin} is the same, expected one of them")
        try:
            found.given.append(_given(key, value, origin, flags))
        except BadSettings as error:
            found.mistakes.append(str(error))
    return found


def _read(named: str, origin: str) -> tuple[str, dict[str, Any]]:
    """The file's text, and what it says as TOML."""
    if not named:
        raise BadSettings(f"{origin}: got '', expected a TOML file; without one, leave it out")
    try:
        content = Path(named).read_text(encoding="utf-8")
        return content, tomllib.loads(content)
    except OSError as error:
        raise BadSettings(f"{origin}: {named} cannot be read: {error.strerror}, expected a TOML file") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{origin}: {named} is not UTF-8, byte {error.start}: expected a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{named}: expected TOML: {error}") from None


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

"""The environment: `NAIAD_GRPC_PORT` is `--grpc-port`. A variable without a value counts as not set.

A list is a JSON list or one plain value, of the repositories also several with `os.pathsep` between them; the one in
`s3://` is none.

Kubernetes describes each service of a namespace to every container in variables that begin with the service's name:
a service called naiad-grpc sets NAIAD_GRPC_PORT to `tcp://10.0.0.1:8001`. Those are no settings, and passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from naiad.settings.given import BadSettings, Flag, Flags, Given, Source, unknown

PREFIX = "NAIAD_"

_SERVICE_NAME = re.compile(r"NAIAD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_BETWEEN_PATHS = re.compile(rf"{re.escape(os.pathsep)}(?!//)")


def variable(flag: str) -> str:
    """The variable of a flag."""
    return PREFIX + flag.upper().replace("-", "_")


def from_environment(environment: Mapping[str, str], flags: Flags) -> Source:
    """What the environment gives."""
    known = {variable(name): flag for name, flag in flags.items()}
    found = Source.empty()
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or not value or _is_of_a_service(name, value, known):
            continue
        if name not in known:
            found.warnings.append(unknown(name, name, known))
            continue
        try:
            found.given.append(Given(known[name], _texts(name, known[name], value), name))
        except BadSettings as error:
            found.mistakes.append(str(error))
    return found


def _is_of_a_service(name: str, value: str, known: Mapping[str, Flag]) -> bool:
    if name in known and not _SERVICE_ADDRESS.match(value):
        return False
    return _SERVICE_NAME.fullmatch(name) is not None


def _texts(name: str, flag: Flag, value: str) -> tuple[str, ...]:
    if not flag.repeats:
        return (value,)
    if value.startswith(("[", "{")):
        return _json_texts(name, value)
    values = _BETWEEN_PATHS.split(value) if flag.setting == "model_repository" else [value]
    return tuple(each for each in values if each)


def _json_texts(name: str, value: str) -> tuple[str, ...]:
    try:
        values = json.loads(value)
    except ValueError as error:
        raise BadSettings(f"{name}: got {value!r}, expected a JSON list: {error}") from None
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise BadSettings(f"{name}: got {value!r}, expected a JSON list of texts")
    return tuple(values)

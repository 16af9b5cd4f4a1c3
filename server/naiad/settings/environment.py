"""The environment: `NAIAD_GRPC_PORT` is `--grpc-port`. A variable without a value counts as not set.

A list is a JSON list or one plain value, of the repositories also several with `os.pathsep` between them.

Kubernetes describes each service of a namespace to every container in variables that begin with the service's name:
a service called naiad-grpc sets NAIAD_GRPC_PORT to `tcp://10.0.0.1:8001`. Those are no settings, and passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from naiad.settings.given import BadSettings, Flag, Flags, Given, unknown

PREFIX = "NAIAD_"

_SERVICE_NAME = re.compile(r"NAIAD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


class Environment(NamedTuple):
    """What the environment gives, and what looks like a setting and is none."""

    given: list[Given]
    warnings: list[str]


def variable(flag: str) -> str:
    """The variable of a flag."""
    return PREFIX + flag.upper().replace("-", "_")


def from_environment(environment: Mapping[str, str], flags: Flags) -> Environment:
    """Raises BadSettings for a list that is broken."""
    known = {variable(name): flag for name, flag in flags.items()}
    found = Environment([], [])
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or not value or _is_of_a_service(name, value, known):
            continue
        if name in known:
            found.given.append(Given(known[name], _texts(name, known[name], value), name))
        else:
            found.warnings.append(unknown(name, name, known))
    return found


def _is_of_a_service(name: str, value: str, known: Mapping[str, Flag]) -> bool:
    if name in known and not _SERVICE_ADDRESS.match(value):
        return False
    return _SERVICE_NAME.fullmatch(name) is not None


def _texts(name: str, flag: Flag, value: str) -> tuple[str, ...]:
    if not flag.repeats:
        return (value,)
    if value.startswith("["):
        return _json_texts(name, value)
    values = value.split(os.pathsep) if flag.setting == "model_repository" else [value]
    return tuple(each for each in values if each)


def _json_texts(name: str, value: str) -> tuple[str, ...]:
    try:
        values = json.loads(value)
    except ValueError as error:
        raise BadSettings(f"{name}: got {value!r}, expected a JSON list: {error}") from None
    if not all(isinstance(each, str) for each in values):
        raise BadSettings(f"{name}: got {value!r}, expected a JSON list of texts")
    return tuple(values)

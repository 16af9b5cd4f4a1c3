"""What values look like: the types of settings, and what is checked of those that no type describes.

A check raises ValueError with what it expected; who knows where the value stands says that, and what was got.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from naiad.observability import metrics_config

LONGEST_SECS = 86_400
LONGEST_MS = 2**31 - 1
MAX_BATCH_SIZE = "default-max-batch-size"
"""The one option of backends that may be given for all of them."""

_CLOUD = re.compile(r"(\w+)://")

Port = Annotated[int, Field(ge=0, le=65535, title="PORT")]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECS, allow_inf_nan=False, title="SECONDS")]
Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_MS, title="MILLISECONDS")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _text_format(text: object) -> object:
    """The formats of tritonserver differ in how they write the time; here it is always as ISO 8601 says."""
    return "text" if text in ("default", "ISO8601") else text


def _backend_option(option: str) -> str:
    backend, comma, rest = option.partition(",")
    key, equals, value = (rest if comma else option).partition("=")
    of_all = not comma and key == MAX_BATCH_SIZE and value.isascii() and value.isdigit()
    if not of_all and not (backend and comma and key and equals):
        raise ValueError(f"expected BACKEND,KEY=VALUE, or {MAX_BATCH_SIZE}=N for all backends")
    return option


def _directory(root: object) -> object:
    """Refuse what names a cloud's storage: taken for a path it would only be said not to exist."""
    if isinstance(root, str) and (cloud := _CLOUD.match(root)):
        raise ValueError(
            f"expected a directory: models in storage of {cloud[1]}:// are not fetched yet, mount or copy them"
        )
    return root


def _metrics_option(option: str) -> str:
    metrics_config.parse([option])
    return option


def _control_mode(mode: str) -> str:
    if mode == "poll":
        raise ValueError("expected none or explicit: polling is not available yet, models are loaded at the start")
    return mode


def _config_name(name: str) -> str:
    if not name or "/" in name or any(c.isspace() for c in name):
        raise ValueError("expected the name of a file in configs/, without .pbtxt")
    return name


ControlMode = Annotated[Literal["none", "poll", "explicit"], BeforeValidator(_lower), AfterValidator(_control_mode)]
Compression = Annotated[Literal["none", "low", "medium", "high"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(_text_format)]
ConfigName = Annotated[str, AfterValidator(_config_name)]
Directory = Annotated[Path, BeforeValidator(_directory)]
BackendOption = Annotated[str, AfterValidator(_backend_option)]
MetricsOption = Annotated[str, AfterValidator(_metrics_option)]

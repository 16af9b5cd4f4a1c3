"""What values look like: the types of settings, and what is checked of those that no type describes.

A check raises ValueError with what it expected; who knows where the value stands says that, and what was got. A value
that tritonserver takes and that has a meaning here is taken, whatever else its type would allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from naiad.observability import metrics_config

LONGEST_SECS = 86_400
LONGEST_MS = LARGEST = 2**31 - 1
MAX_BATCH_SIZE = "default-max-batch-size"
"""The one option of backends that may be given for all of them."""
SERVER_NAME = "naiad"
"""What the server calls itself unless it is told."""

_CLOUD = re.compile(r"(\w+)://")


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _text_format(text: object) -> object:
    """The formats of tritonserver differ in how they write the time; here it is always as ISO 8601 says."""
    return "text" if text in ("default", "ISO8601") else text


def _least(smallest: float) -> Callable[[object], object]:
    """Take what is less as `smallest`."""

    def at_least(value: object) -> object:
        try:
            return smallest if float(str(value)) < smallest else value
        except ValueError:
            return value

    return at_least


def _verbosity(level: object) -> object:
    """A number, or a boolean, which tritonserver takes too."""
    return {"true": 1, "false": 0}.get(str(level).lower(), level)


def _absent(text: object) -> object:
    """The empty text, which a chart without a value leaves, as none."""
    return None if text == "" else text


def _named(name: object) -> object:
    return name or SERVER_NAME


def _host(address: str) -> str:
    """Without the brackets that an IPv6 address has beside a port. The empty one would mean every interface."""
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if not bare:
        raise ValueError("expected a host or an address, such as 127.0.0.1, or 0.0.0.0 for every interface")
    return bare


def _host_or_socket(address: str) -> str:
    """A host, or `unix:` and the path of a socket, which may be written with the two slashes of a URL."""
    scheme, colon, path = address.partition(":")
    if not colon or scheme not in ("unix", "unix-abstract"):
        return _host(address)
    if path.startswith("//"):
        path = path.removeprefix("//")
        if not path.startswith("/"):
            path = ""
    if not path or scheme != "unix":
        raise ValueError("expected unix:PATH, such as unix:/run/naiad/grpc.sock")
    return f"unix:{path}"


def _backend_option(option: str) -> str:
    backend, comma, rest = option.partition(",")
    key, equals, value = (rest if comma else option).partition("=")
    if not comma and key == MAX_BATCH_SIZE and equals:
        if not (value.isascii() and value.isdigit() and int(value) <= LARGEST):
            raise ValueError(f"expected {MAX_BATCH_SIZE}=N with a whole number from 0 to {LARGEST}")
    elif not (backend and comma and key and equals):
        raise ValueError(f"expected BACKEND,KEY=VALUE, or {MAX_BATCH_SIZE}=N for all backends")
    return option


def _directory(root: object) -> object:
    """Refuse what is no path: it would be said not to exist, or be the directory that the server is started in."""
    if root == "":
        raise ValueError("expected a directory of models; the one that the server is started in is '.'")
    if isinstance(root, str) and (cloud := _CLOUD.match(root)):
        raise ValueError(
            f"expected a directory: models in storage of {cloud[1]}:// are not fetched yet, mount or copy them"
        )
    return root


def _metrics_option(option: str) -> str:
    metrics_config.parse([option])
    return option


def _config_name(name: str) -> str:
    if not name or "/" in name or any(c.isspace() for c in name):
        raise ValueError("expected the name of a file in configs/, without .pbtxt")
    return name


Port = Annotated[int, Field(ge=0, le=65535, title="PORT")]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECS, allow_inf_nan=False, title="SECONDS")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, title="SHARE")]
Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_MS, title="MILLISECONDS")]
MillisecondsOrNever = Annotated[int, Field(ge=0, le=LONGEST_MS, title="MILLISECONDS"), BeforeValidator(_least(0))]
Interval = Annotated[
    float, Field(ge=1, le=LONGEST_MS, allow_inf_nan=False, title="MILLISECONDS"), BeforeValidator(_least(1))
]
MetadataSize = Annotated[int, Field(ge=2**10, le=2**24, title="BYTES")]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Threads = Annotated[int, Field(ge=1, le=256), BeforeValidator(_least(1))]
Verbosity = Annotated[int, Field(ge=0, le=LARGEST), BeforeValidator(_least(0)), BeforeValidator(_verbosity)]
Host = Annotated[str, Field(title="HOST"), AfterValidator(_host)]
ServerName = Annotated[str, Field(title="NAME"), BeforeValidator(_named)]
HostOrSocket = Annotated[str, Field(title="HOST|unix:PATH"), AfterValidator(_host_or_socket)]
File = Annotated[Path | None, Field(title="FILE"), BeforeValidator(_absent)]
Wire = Annotated[
    Literal["native", "aio"] | None, Field(title="native|aio"), BeforeValidator(_lower), BeforeValidator(_absent)
]
ControlMode = Annotated[Literal["none", "poll", "explicit"], BeforeValidator(_lower)]
Swap = Annotated[Literal["beside", "replace"], BeforeValidator(_lower)]
Compression = Annotated[Literal["none", "low", "medium", "high"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(_text_format)]
ConfigName = Annotated[str, AfterValidator(_config_name)]
Directory = Annotated[Path, BeforeValidator(_directory)]
BackendOption = Annotated[str, AfterValidator(_backend_option)]
MetricsOption = Annotated[str, AfterValidator(_metrics_option)]

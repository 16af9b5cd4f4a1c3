"""Every setting of the process, once: its type, default, help text, flag and environment variable.

A setting `some_name` is the flag `--some-name` and the environment variable `NAIAD_SOME_NAME`; a flag wins.
Lists repeat the flag; in the environment they are a JSON list, or one plain value, of `model_repository` also several
with `os.pathsep` between them. Only cli and app read this; everything below gets values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from naiad.observability.logs import Level

LONGEST_SECS = 86_400


class BadSettings(Exception):
    """A setting has no usable value; the text has one line per mistake."""


class _Environment(EnvSettingsSource):
    """The environment, whose lists need not be JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if not value.startswith("["):
            values = value.split(os.pathsep) if field_name == "model_repository" else [value]
            return [each for each in values if each]
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError as error:
            variable = f"{self.env_prefix}{field_name}".upper()
            raise BadSettings(f"{variable}: got {value!r}, expected a JSON list: {error}") from None


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="NAIAD_",
        cli_prog_name="naiad serve",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        protected_namespaces=(),
        extra="forbid",
    )

    model_repository: list[Path] = Field(
        default_factory=list, description="Directory of models, or one model's own directory. May be repeated."
    )
    model_control_mode: Literal["none", "poll", "explicit"] = Field(
        "none", description="When models are loaded: none loads everything once, at the start."
    )
    model_load_thread_count: int = Field(4, ge=1, le=256, description="How many versions load at the same time.")
    model_load_timeout_secs: float = Field(
        300,
        ge=0,
        le=LONGEST_SECS,
        allow_inf_nan=False,
        description="How long one version may take to load before it counts as failed; 0: as long as it wants.",
    )
    backend_config: list[str] = Field(
        default_factory=list, description="BACKEND,KEY=VALUE: an option of a backend. May be repeated."
    )
    grpc_address: str = Field("127.0.0.1", description="Address to serve gRPC on.")
    grpc_port: int = Field(8001, ge=0, le=65535, description="Port to serve gRPC on; 0 takes any free one.")
    grpc_max_message_size: int = Field(
        256 * 2**20, ge=1, le=2**31 - 1, description="The largest message to accept, in bytes."
    )
    http_address: str = Field("127.0.0.1", description="Address to serve HTTP on.")
    http_port: int = Field(8000, ge=0, le=65535, description="Port to serve HTTP on; 0 takes any free one.")
    max_queue_size: int = Field(
        0,
        ge=0,
        description="Requests that may wait for one version whose config does not say; "
        "0: 32 full batches for each instance, at least 1024.",
    )
    max_bytes_in_flight: int = Field(
        0, ge=0, description="Bytes of requests that may be on their way; 0: a quarter of the memory there is."
    )
    shutdown_delay_secs: float = Field(
        0,
        ge=0,
        le=LONGEST_SECS,
        allow_inf_nan=False,
        description="How long to serve on after SIGTERM, for load balancers to notice.",
    )
    exit_timeout_secs: float = Field(
        30,
        ge=0,
        le=LONGEST_SECS,
        allow_inf_nan=False,
        description="How long stopping may take before the process just ends.",
    )
    log_level: Level = Field("info", description="The least level to log.")

    @field_validator("model_control_mode")
    @classmethod
    def _only_none_yet(cls, mode: str) -> str:
        if mode != "none":
            raise ValueError(f"'{mode}' is not available yet: models are loaded once, at the start (none)")
        return mode

    @field_validator("backend_config")
    @classmethod
    def _backend_options(cls, options: list[str]) -> list[str]:
        for option in options:
            backend, comma, pair = option.partition(",")
            if not (backend and comma and pair.partition("=")[1]):
                raise ValueError(f"got '{option}', expected BACKEND,KEY=VALUE")
        return options

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Settings:
        """Settings from a command line and the environment; raises BadSettings. `--help` prints and exits."""
        try:
            return cls(_cli_parse_args=_quote_lists(arguments, cls._repeated()))  # type: ignore[call-arg]
        except ValidationError as error:
            raise BadSettings("\n".join(_line(mistake) for mistake in error.errors())) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its caller names it
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its caller names it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its caller names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its caller names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What there is beside the command line: the environment."""
        return (_Environment(settings_cls),)

    @classmethod
    def _repeated(cls) -> frozenset[str]:
        """The flags that may be repeated."""
        lists = [name for name, field in cls.model_fields.items() if get_origin(field.annotation) is list]
        return frozenset(f"--{name.replace('_', '-')}" for name in lists)

    def backend_options(self) -> dict[str, dict[str, str]]:
        """`backend_config` as backend -> key -> value."""
        options: dict[str, dict[str, str]] = {}
        for option in self.backend_config:
            backend, _, pair = option.partition(",")
            key, _, value = pair.partition("=")
            options.setdefault(backend, {})[key] = value
        return options


def _quote_lists(arguments: Sequence[str], flags: frozenset[str]) -> list[str]:
    """The arguments with each value of a repeated flag as a JSON list, since commas would split a bare one."""
    quoted: list[str] = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag in flags and equals:
            quoted.append(f"{flag}={json.dumps([value])}")
        elif quoted and quoted[-1] in flags:
            quoted.append(json.dumps([argument]))
        else:
            quoted.append(argument)
    return quoted


def _line(mistake: object) -> str:
    if not isinstance(mistake, dict):
        raise TypeError(mistake)
    where = str(mistake["loc"][0]) if mistake["loc"] else ""
    text = str(mistake["msg"]).removeprefix("Value error, ")
    return f"--{where.replace('_', '-')}: {text} (got {mistake['input']!r})"

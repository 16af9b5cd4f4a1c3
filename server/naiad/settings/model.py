"""All settings together: parsed from their sources, and checked against each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, get_origin

from pydantic import PrivateAttr, ValidationError
from pydantic.fields import FieldInfo

from naiad.observability.logs import Level
from naiad.settings import tritonserver
from naiad.settings.fields import Grpc, Http, Limits, Logging, Metrics, Repository, Server
from naiad.settings.given import BadSettings, Flag, Given
from naiad.settings.sources import Gathered, gather


class Settings(Server, Limits, Logging, Metrics, Http, Grpc, Repository):
    """All settings of a process. warnings: what was asked for and has no effect, one line each."""

    _warnings: tuple[str, ...] = PrivateAttr(())
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings

    def origin(self, setting: str) -> str:
        """Where a setting's value stands, as a message begins with it; its flag where nobody has given one."""
        return self._origins.get(setting, f"--{setting.replace('_', '-')}")

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Self:
        """Settings from a command line, the environment (the process's own by default) and the file that they name.

        Raises BadSettings with all that is wrong.
        """
        gathered = gather(arguments, os.environ if environment is None else environment, FLAGS, tritonserver.OWN)
        values = {
            name: given.texts if given.flag.repeats else given.texts[-1] for name, given in gathered.values.items()
        }
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            found = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
            raise BadSettings(
                "\n".join([*gathered.mistakes, *(_line(each, gathered.values) for each in found)])
            ) from None
        if mistakes := [*gathered.mistakes, *_contradictions(settings)]:
            raise BadSettings("\n".join(mistakes))
        return settings.known_from(gathered)

    def known_from(self, gathered: Gathered) -> Self:
        """These settings with what is known of where they come from."""
        self._warnings = (*gathered.warnings, *_warnings(self))
        self._origins = {name: given.origin for name, given in gathered.values.items()}
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether gRPC is served over TLS, be it with certificates of clients or without."""
        return self.grpc_use_ssl or self.grpc_use_ssl_mutual

    @property
    def least_level(self) -> Level:
        """The least level to log."""
        return "debug" if self.log_verbose else self.log_level

    @property
    def muted_levels(self) -> frozenset[Level]:
        """Levels of which nothing is logged."""
        logged: dict[Level, bool] = {"info": self.log_info, "warning": self.log_warning, "error": self.log_error}
        return frozenset(level for level, wanted in logged.items() if not wanted)

    def backend_options(self) -> dict[str, dict[str, str]]:
        """`backend_config` as backend -> key -> value; what is for all backends stands under the empty name."""
        options: dict[str, dict[str, str]] = {}
        for option in self.backend_config:
            backend, comma, pair = option.partition(",")
            if not comma:
                backend, pair = "", option
            key, _, value = pair.partition("=")
            options.setdefault(backend, {})[key] = value
        return options


def has_default(field: FieldInfo) -> bool:
    """Whether there is one value that stands for all that is not given."""
    return field.default_factory is None and field.default is not None


def is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is list


def _flags() -> Iterator[Flag]:
    names = {name.replace("_", "-"): name for name in Settings.model_fields} | tritonserver.ALIASES
    for name, setting in names.items():
        field = Settings.model_fields[setting]
        yield Flag(name, setting, field.annotation is bool, is_list(field))
    for foreign in tritonserver.FOREIGN:
        yield foreign.flag


FLAGS = {flag.name: flag for flag in _flags()}
"""Every name that is understood, tritonserver's included."""


def _line(mistake: Any, given: Mapping[str, Given]) -> str:
    """One line for what pydantic found."""
    setting = str(mistake["loc"][0])
    text = str(mistake["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{given[setting].origin}: got {mistake['input']!r}, {text.partition(', unable to')[0]}"


def _contradictions(settings: Settings) -> Iterator[str]:
    explicit = settings.model_control_mode == "explicit"
    if settings.load_model and not explicit:
        yield "--load-model: expected --model-control-mode=explicit beside it; without, all models are loaded"
    if "*" in settings.load_model and len(settings.load_model) > 1:
        yield "--load-model: got * and other names, expected * alone, which loads all models"
    if missing := [flag for flag, file in _pem_files(settings).items() if file is None]:
        mutual = "-mutual" if settings.grpc_use_ssl_mutual else ""
        yield f"--grpc-use-ssl{mutual}: expected {' and '.join(missing)} beside it, which name PEM files"
    if not (settings.allow_grpc or settings.allow_http):
        yield "--allow-grpc=false and --allow-http=false: expected one of them, nothing would be served"


def _pem_files(settings: Settings) -> dict[str, Path | None]:
    """The flags of the files that are needed for what is asked for, with what they say."""
    files = {"--grpc-server-cert": settings.grpc_server_cert, "--grpc-server-key": settings.grpc_server_key}
    if settings.grpc_use_ssl_mutual:
        files["--grpc-root-cert"] = settings.grpc_root_cert
    return files if settings.uses_tls else {}


def _warnings(settings: Settings) -> Iterator[str]:
    if not settings.allow_grpc:
        yield "--allow-grpc=false: inference is served over gRPC only yet; over HTTP there is the server's health"
    if not settings.uses_tls:
        for name in ("grpc_server_cert", "grpc_server_key"):
            if getattr(settings, name) is not None:
                yield f"--{name.replace('_', '-')} has no effect: it counts with --grpc-use-ssl only"
    if settings.grpc_root_cert is not None and not settings.grpc_use_ssl_mutual:
        yield "--grpc-root-cert has no effect: certificates are asked of clients with --grpc-use-ssl-mutual only"

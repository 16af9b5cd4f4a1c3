"""Backends, by the name that a config gives them.

The table names a module and a class; the module, and with it the framework, is imported when the first model asks for
it. Each module has a function `gpus`, which tells the ordinals that its framework could use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from naiad.backends import onnxruntime_parameters, plans
from naiad.core.backend import Backend
from naiad.core.config import ModelConfig
from naiad.core.problems import InvalidConfig, Problem

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What the process gives every backend.

    cpu_count: cores that the process may use. default_max_batch_size: what a model that can be batched gets where
    its config says nothing; 0 for no batching. settings: the backend's own `--backend-config` pairs.
    """

    cpu_count: int
    default_max_batch_size: int = 4
    settings: Mapping[str, str] = field(default_factory=lambda: _NONE)


class _Entry(NamedTuple):
    """A backend's module and class, the framework it imports, and how to install that.

    environment: variables to set before the framework is imported, unless the user has set them.
    """

    module: str
    name: str
    framework: str = ""
    install: str = ""
    environment: tuple[tuple[str, str], ...] = ()


_SERVED = {
    "identity": _Entry("naiad.backends.identity", "IdentityBackend"),
    "onnxruntime": _Entry(
        "naiad.backends.onnxruntime",
        "OnnxRuntimeBackend",
        "onnxruntime",
        "pip install 'naiad[cpu]', or 'naiad[gpu]' for NVIDIA GPUs",
        (("ORT_DISABLE_TELEMETRY", "1"),),  # its Linux wheels of 1.29 and newer report to their maker otherwise
    ),
}

SERVED: tuple[str, ...] = tuple(_SERVED)
"""What a config may write in `backend`."""


def create(name: str, options: BackendOptions) -> Backend:
    """Make a backend for one version of a model.

    Raises InvalidConfig (field `backend`) for a name that is none or not served and for a framework that is not
    installed, and whatever the backend has to say about `options.settings`.
    """
    if name not in _SERVED:
        raise InvalidConfig([plans.refusal(name, SERVED)])
    backend: Backend = getattr(_load(_SERVED[name]), _SERVED[name].name)(options)
    return backend


def gpus(name: str) -> tuple[int, ...]:
    """The ordinals of the GPUs that the backend can use: none where it, its framework or a driver is missing."""
    if name not in _SERVED:
        return ()
    try:
        found: tuple[int, ...] = _load(_SERVED[name]).gpus()
    except InvalidConfig:
        return ()
    return found


def doubts(config: ModelConfig) -> Iterator[Problem]:
    """Warnings about what a completed config says to its backend and the backend takes no notice of."""
    if config.backend == "onnxruntime":
        yield from onnxruntime_parameters.doubts(config)


def _load(entry: _Entry) -> ModuleType:
    for variable, value in entry.environment:
        os.environ.setdefault(variable, value)
    try:
        return import_module(entry.module)
    except ModuleNotFoundError as error:
        if not entry.framework or error.name != entry.framework:
            raise
        text = f"backend '{entry.framework}' needs the package {error.name}, which is not installed"
        problem = Problem(text, "backend", expected=f"the package {error.name}", remedy=f"Install it: {entry.install}")
        raise InvalidConfig([problem]) from error

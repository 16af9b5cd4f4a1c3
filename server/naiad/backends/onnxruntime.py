"""The ONNX Runtime backend, on the CPU and on NVIDIA GPUs.

- Arrays go in and come out without a copy: `InferenceSession.run` on the arrays themselves is the fastest way from
  Python (measured with 1.32: 3.5 us for a tiny model against 5.6 through a binding and 33 through OrtValues, 0.65 ms
  against 1.4 and 0.8 for 20 MB through Identity).
- The instances of a CPU share one session. Each instance on a GPU has a session and a thread of its own.
- The graph's strings are UTF-8: a request that sends other bytes fails alone. When a batch of several requests
  fails, each is run once more by itself, so that only those fail that must.
- A model's file is opened once, by `complete`, on the first device that the config asks for; a second time on the
  CPU when the model turns out to need threads (onnxruntime_threads).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime

from naiad.backends import BackendOptions
from naiad.backends.onnxruntime_check import problems
from naiad.backends.onnxruntime_graph import Graph, complete
from naiad.backends.onnxruntime_options import MAX_BATCH_SIZE, asked_threads, settings
from naiad.backends.onnxruntime_run import OnnxRuntimeExecutable
from naiad.backends.onnxruntime_session import CUDA, open_session
from naiad.backends.onnxruntime_threads import LARGE, POOL_THREADS, Threads, is_short
from naiad.core.backend import ModelFiles
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.errors import Internal, NaiadError
from naiad.core.problems import InvalidConfig, Problem, raise_errors

log = logging.getLogger(__name__)

PLATFORM = "onnxruntime_onnx"
DIRECTORY_FILE = "model.onnx"
"""The model where a version's model file is a directory, which it shares with its weights."""


class _Opened(NamedTuple):
    """A session on a device. `threads` are counted until it is let go; `fixed`: it is to have no others."""

    session: Any
    device: Device
    threads: Threads
    fixed: bool


class _Model(NamedTuple):
    config: ModelConfig
    path: Path
    graph: Graph


class OnnxRuntimeBackend:
    def __init__(self, options: BackendOptions) -> None:
        self._settings = settings(options.settings)
        self._cores = options.cpu_count
        self._default_max_batch_size = self._settings.get(MAX_BATCH_SIZE, options.default_max_batch_size)
        self._model: _Model | None = None
        self._kept: _Opened | None = None

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        """Complete a config from the graph.

        InvalidConfig where the file is no model, or is another than the config says: every disagreement is told, with
        its field. BackendError where ONNX Runtime fails for reasons of its own.
        """
        path = _path(config, files)
        opened = self._kept = self._open(config, path, _first_device(config))
        graph = Graph.of(opened.session)
        completed = complete(_named(config, path, files), graph, self._default_max_batch_size)
        raise_errors(problems(completed, graph))
        self._model = _Model(completed, path, graph)
        return completed

    def load(self, device: Device) -> OnnxRuntimeExecutable:
        """A session for the instances of a CPU, or for one instance on a GPU. InvalidConfig where it cannot be."""
        if self._model is None:
            raise Internal("a model is completed before it is loaded")
        kept, self._kept = self._kept, None
        if kept is None or kept.device != device:
            _release(kept)
            kept = self._open(self._model.config, self._model.path, device)
        executable = _executable(self._model, kept)
        return executable if kept.fixed else self._with_threads(self._model, executable, device)

    def close(self) -> None:
        """Let go of the session that no executable took."""
        _release(self._kept)
        self._kept = None

    def _with_threads(self, model: _Model, executable: OnnxRuntimeExecutable, device: Device) -> OnnxRuntimeExecutable:
        """The executable, or another with threads if its runs are not short."""
        if is_short(executable, model.graph):
            return executable
        threads = self._share(model.config)
        if not threads.pooled:
            return executable
        executable.close()
        return _executable(model, self._opened(model.config, model.path, device, threads))

    def _open(self, config: ModelConfig, path: Path, device: Device) -> _Opened:
        asked = asked_threads(config, self._settings, self._cores)
        if device.kind is not Kind.CPU:
            return self._opened(config, path, device, Threads())
        if asked is not None:
            return self._opened(config, path, device, POOL_THREADS.take(asked))
        if self._cores > 1 and not _large(path):
            return self._opened(config, path, device, Threads(), fixed=False)
        return self._opened(config, path, device, self._share(config))

    @staticmethod
    def _opened(config: ModelConfig, path: Path, device: Device, threads: Threads, *, fixed: bool = True) -> _Opened:
        try:
            return _Opened(open_session(path, config, device, threads), device, threads, fixed)
        except NaiadError:
            POOL_THREADS.give_back(threads)
            raise

    def _share(self, config: ModelConfig) -> Threads:
        threads = POOL_THREADS.share(self._cores)
        if threads.intra_op < self._cores:
            log.warning(
                "model %s gets %d threads for %d cores: the pools of all models have %d already. Its config can ask "
                "for more (parameter intra_op_thread_count)",
                config.name,
                threads.intra_op,
                self._cores,
                POOL_THREADS.used,
            )
        return threads


def _executable(model: _Model, opened: _Opened) -> OnnxRuntimeExecutable:
    release = partial(POOL_THREADS.give_back, opened.threads)
    return OnnxRuntimeExecutable(opened.session, model.config, model.graph, opened.device, release)


def _release(opened: _Opened | None) -> None:
    if opened is not None:
        POOL_THREADS.give_back(opened.threads)


def _path(config: ModelConfig, files: ModelFiles) -> Path:
    if files.model_file is None:
        place, expected = str(files.version_directory), f"{DIRECTORY_FILE} or another .onnx file"
        text, remedy = f"no model file for model '{config.name}', expected {expected}", "Put the model's file there"
        problem = Problem(
            text, "default_model_filename", place, found="no model file", expected=expected, remedy=remedy
        )
        raise InvalidConfig([problem])
    return files.model_file / DIRECTORY_FILE if files.model_file.is_dir() else files.model_file


def _named(config: ModelConfig, path: Path, files: ModelFiles) -> ModelConfig:
    """The config with the names that Triton gives what runs it."""
    inside = path.relative_to(files.version_directory).parts[0]
    return replace(
        config,
        backend=config.backend or "onnxruntime",
        platform=config.platform or PLATFORM,
        default_model_filename=config.default_model_filename or inside,
    )


def _large(path: Path) -> bool:
    """Whether the model, with the weights that stand beside it, is large."""
    with os.scandir(path.parent) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file()) >= LARGE


def _first_device(config: ModelConfig) -> Device:
    """Where the first instance will be. Who decides whether the GPUs that a config wants are there comes later."""
    groups = config.instance_groups
    group = groups[0] if groups else None
    available = gpus()
    if not available or (group is not None and group.kind is Kind.CPU):
        return Device(Kind.CPU)
    return Device(Kind.GPU, group.gpus[0] if group is not None and group.gpus else available[0])


@cache
def gpus() -> tuple[int, ...]:
    """CUDA's ordinals of the GPUs that ONNX Runtime can use, as far as NVIDIA's management library tells."""
    if CUDA not in onnxruntime.get_available_providers():
        return ()
    try:
        nvml = import_module("pynvml")
    except ModuleNotFoundError:
        log.warning("GPUs are not used: nvidia-ml-py, which counts them, is missing (pip install 'naiad[gpu]')")
        return ()
    return visible(_count(nvml), os.environ)


def _count(nvml: Any) -> int:
    try:
        nvml.nvmlInit()
        count: int = nvml.nvmlDeviceGetCount()
        nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        log.warning("GPUs are not used: %s", error)
        return 0
    return count


def visible(count: int, environment: Mapping[str, str]) -> tuple[int, ...]:
    """The ordinals that CUDA gives to `count` GPUs: with CUDA_VISIBLE_DEVICES those up to its first invalid entry."""
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return tuple(range(count))
    valid = 0
    for entry in map(str.strip, listed.split(",")):
        if not (entry.startswith(("GPU-", "MIG-")) or (entry.isdigit() and int(entry) < count)):
            break
        valid += 1
    return tuple(range(valid))

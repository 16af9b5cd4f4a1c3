"""ONNX Runtime's options from a config's `parameters` and from `--backend-config=onnxruntime,KEY=VALUE`.

Parameters, as Triton's backend has them: intra_op_thread_count, inter_op_thread_count (0: not said), execution_mode
(0 one operator at a time, 1 several), enable_mem_arena, enable_mem_pattern (0 or 1),
memory.enable_memory_arena_shrinkage, and for CUDA cudnn_conv_algo_search, gpu_mem_limit, arena_extend_strategy,
do_copy_in_default_stream. What begins with `session.` goes to ONNX Runtime as it is. Other parameters are the model's
own affair.

Settings: intra_op_thread_count and inter_op_thread_count for models whose config does not say, and
default-max-batch-size. Others only tune: they are named once in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import onnxruntime

from naiad.backends.onnxruntime_threads import Threads
from naiad.core.config import ModelConfig
from naiad.core.errors import InvalidArgument
from naiad.core.problems import InvalidConfig, Problem

log = logging.getLogger(__name__)

_Choice = TypeVar("_Choice")

INTRA_OP, INTER_OP, MAX_BATCH_SIZE = "intra_op_thread_count", "inter_op_thread_count", "default-max-batch-size"

LARGEST = 2**31 - 1
_SILENT = 4
_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_FLAGS = {"0": False, "1": True, "false": False, "true": True}
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_CUDA = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "do_copy_in_default_stream": {"0": "0", "1": "1"},
}


def settings(written: Mapping[str, str]) -> dict[str, int]:
    """The settings that are known; InvalidArgument for a value that is no whole number up to LARGEST."""
    for key in written.keys() - {INTRA_OP, INTER_OP, MAX_BATCH_SIZE}:
        _warn(key)
    return {
        key: _whole(value, f"onnxruntime,{key}")
        for key, value in written.items()
        if key in (INTRA_OP, INTER_OP, MAX_BATCH_SIZE)
    }


@cache
def _warn(key: str) -> None:
    if key == "enable-global-threadpool":
        reason = "its threads would spin between runs; the pools' total is bounded instead"
    else:
        reason = f"expected one of {INTRA_OP}, {INTER_OP}, {MAX_BATCH_SIZE}"
    log.warning("--backend-config=onnxruntime,%s is ignored: %s", key, reason)


def _whole(written: str, place: str) -> int:
    if written.isascii() and written.isdigit() and int(written) <= LARGEST:
        return int(written)
    raise InvalidArgument(f"{place}: got '{written}', expected a whole number from 0 to {LARGEST}")


def asked_threads(config: ModelConfig, wide: Mapping[str, int], cores: int) -> Threads | None:
    """The threads that the config asks for, or `wide` for all models; None where neither does."""
    intra_op = _number(config, INTRA_OP) or wide.get(INTRA_OP, 0)
    inter_op = _number(config, INTER_OP) or wide.get(INTER_OP, 0)
    if _flag(config, "execution_mode", default=False):
        return Threads(intra_op or 1, inter_op or cores)
    return Threads(intra_op) if intra_op else None


def session_options(config: ModelConfig, threads: Threads) -> Any:
    """`SessionOptions`. What fails is told by an exception: ONNX Runtime itself prints nothing."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.graph_optimization_level = _LEVELS.get(
        config.graph_optimization_level or 0, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    )
    options.intra_op_num_threads = threads.intra_op
    options.inter_op_num_threads = threads.inter_op
    if _flag(config, "execution_mode", default=False):
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = _flag(config, "enable_mem_arena", default=True)
    options.enable_mem_pattern = _flag(config, "enable_mem_pattern", default=True)
    entries = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
    own = {key: value for key, value in config.parameters.items() if key.startswith("session.")}
    for key, value in (entries | own).items():
        options.add_session_config_entry(key, value)
    return options


def run_options(config: ModelConfig) -> Any | None:
    """`RunOptions` where the config asks for any."""
    if _SHRINKAGE not in config.parameters:
        return None
    options = onnxruntime.RunOptions()
    options.log_severity_level = _SILENT
    options.add_run_config_entry(_SHRINKAGE, config.parameters[_SHRINKAGE])
    return options


def cuda_options(config: ModelConfig, ordinal: int) -> dict[str, str]:
    """Options of the CUDA provider for a device."""
    options = {"device_id": str(ordinal)}
    for key, choices in _CUDA.items():
        if key in config.parameters:
            options[key] = _choice(config, key, choices)
    if limit := _number(config, "gpu_mem_limit"):
        options["gpu_mem_limit"] = str(limit)
    return options


def _number(config: ModelConfig, key: str) -> int:
    """A parameter of the config, 0 where it is missing."""
    written = config.parameters.get(key, "0")
    if not (written.isascii() and written.isdigit()):
        raise _bad(config, key, "a whole number")
    return int(written)


def _flag(config: ModelConfig, key: str, *, default: bool) -> bool:
    return _choice(config, key, _FLAGS) if key in config.parameters else default


def _choice(config: ModelConfig, key: str, choices: Mapping[str, _Choice]) -> _Choice:
    written = config.parameters[key].lower()
    if written not in choices:
        raise _bad(config, key, f"one of {', '.join(choices)}")
    return choices[written]


def _bad(config: ModelConfig, key: str, expected: str) -> InvalidConfig:
    found = f"'{config.parameters[key]}'"
    text = f"parameter {key} of model {config.name}, got {found}, expected {expected}"
    field, remedy = f'parameters["{key}"].string_value', f"Write {expected} in quotes, or remove the parameter"
    return InvalidConfig([Problem(text, field, found=found, expected=expected, remedy=remedy)])

"""What of a config ONNX Runtime's backend takes no notice of, though it was probably meant for it. Pure.

Parameters are the model's own affair, so that one of another name is no mistake; one that resembles a known name is a
warning. ONNX Runtime itself is not imported.
"""

from __future__ import annotations

from collections.abc import Iterator

from naiad.core.config import ModelConfig
from naiad.core.problems import Problem, Severity
from naiad.core.spelling import closest

KNOWN = (
    "intra_op_thread_count", "inter_op_thread_count", "execution_mode", "enable_mem_arena", "enable_mem_pattern",
    "memory.enable_memory_arena_shrinkage", "cudnn_conv_algo_search", "gpu_mem_limit", "arena_extend_strategy",
    "do_copy_in_default_stream",
)  # fmt: skip
"""The parameters that have an effect, besides those that begin with `session.`."""
LEVELS = (-1, 0, 1, 2)
"""What `optimization.graph.level` may be."""
_ALIKE = 0.75
_LEVEL = "optimization.graph.level"


def doubts(config: ModelConfig) -> Iterator[Problem]:
    """A warning for each parameter that has no effect and for a level that there is not."""
    for key in config.parameters:
        if key not in KNOWN and not key.startswith("session."):
            yield from _misspelt(key)
    level = config.graph_optimization_level
    if level is not None and level not in LEVELS:
        text = f"there is no graph optimization level {level}: it is taken for 0"
        expected = f"one of {', '.join(map(str, LEVELS))}"
        remedy = "Write 2 for none, -1 for basic, 1 for extended, 0 for all optimizations"
        yield Problem(text, _LEVEL, severity=Severity.WARNING, found=str(level), expected=expected, remedy=remedy)


def _misspelt(key: str) -> Iterator[Problem]:
    guess = closest(key, (*KNOWN, _LEVEL), _ALIKE)
    if guess is None:
        return
    expected = "the field optimization { graph { level } }" if guess == _LEVEL else f"'{guess}'"
    remedy = "Write optimization { graph { level: ... } }" if guess == _LEVEL else f"Write '{guess}'"
    yield Problem(
        f"parameter '{key}' has no effect, did you mean {expected}?",
        f'parameters["{key}"]',
        severity=Severity.WARNING,
        found=f"'{key}'",
        expected=expected,
        remedy=f"{remedy}, or leave it if it is the model's own",
        topic=f"parameter '{key}'",
    )

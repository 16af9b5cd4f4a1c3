"""What a config says to ONNX Runtime's backend without effect is told, and what has an effect is not."""

import re

import pytest

from naiad import backends
from naiad.backends import onnxruntime_options, onnxruntime_parameters
from naiad.core.config import ModelConfig
from naiad.core.problems import Problem, Severity


def doubts(*keys: str, level: int | None = None, backend: str = "onnxruntime") -> list[Problem]:
    parameters = dict.fromkeys(keys, "1")
    return list(backends.doubts(ModelConfig("m", backend, parameters=parameters, graph_optimization_level=level)))


def test_the_known_parameters_are_those_that_the_options_are_made_of() -> None:
    described = (onnxruntime_options.__doc__ or "").partition("Settings:")[0]
    assert set(onnxruntime_parameters.KNOWN) == set(re.findall(r"[a-z]+(?:[_.][a-z]+)+", described))


@pytest.mark.parametrize("key", [*onnxruntime_parameters.KNOWN, "session.disable_prepacking", "my_own", "vocabulary"])
def test_a_known_parameter_and_one_of_the_models_own_are_no_doubt(key: str) -> None:
    assert doubts(key) == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [("intra_op_threads", "'intra_op_thread_count'"), ("Execution_Mode", "'execution_mode'"),
     ("optimization.graph.level", "the field optimization { graph { level } }")],
)  # fmt: skip
def test_a_parameter_like_a_known_one_is_a_warning(key: str, meant: str) -> None:
    (problem,) = doubts(key)
    assert (problem.severity, problem.found, problem.expected) == (Severity.WARNING, f"'{key}'", meant)
    assert doubts(key, backend="identity") == []


@pytest.mark.parametrize("level", [None, *onnxruntime_parameters.LEVELS])
def test_a_level_that_exists_is_no_doubt(level: int | None) -> None:
    assert doubts(level=level) == []


@pytest.mark.parametrize("level", [-2, 3, 7, 99])
def test_a_level_that_does_not_exist_is_a_warning(level: int) -> None:
    (problem,) = doubts(level=level)
    assert (problem.severity, problem.field, problem.found) == (
        Severity.WARNING, "optimization.graph.level", str(level),
    )  # fmt: skip

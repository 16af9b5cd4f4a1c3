"""Options of ONNX Runtime from parameters and settings."""

import logging
from pathlib import Path

import onnxruntime
import pytest

from naiad import backends
from naiad.backends import BackendOptions, onnxruntime_options
from naiad.backends.onnxruntime_options import asked_threads, cuda_options, run_options, session_options, settings
from naiad.backends.onnxruntime_threads import Threads
from naiad.core.config import ModelConfig
from naiad.core.errors import InvalidArgument
from tests.backends.models import refusal
from tests.models import build


def parameters(**values: str) -> ModelConfig:
    return ModelConfig("m", parameters={key.replace("__", "."): value for key, value in values.items()})


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (None, "ORT_ENABLE_ALL"),
        (0, "ORT_ENABLE_ALL"),
        (-1, "ORT_ENABLE_BASIC"),
        (1, "ORT_ENABLE_EXTENDED"),
        (2, "ORT_DISABLE_ALL"),
    ],
)
def test_the_graphs_optimization_level_is_that_of_the_config(level: int | None, expected: str) -> None:
    options = session_options(ModelConfig("m", graph_optimization_level=level), Threads())
    assert options.graph_optimization_level == getattr(onnxruntime.GraphOptimizationLevel, expected)


def test_session_options_follow_the_parameters() -> None:
    config = parameters(execution_mode="1", enable_mem_arena="0", enable_mem_pattern="FALSE", session__x__y="z")
    options = session_options(config, Threads(3, 2))
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert options.get_session_config_entry("session.x.y") == "z"


def test_threads_do_not_spin_unless_the_config_says_so() -> None:
    key = "session.intra_op.allow_spinning"
    assert session_options(ModelConfig("m"), Threads()).get_session_config_entry(key) == "0"
    own = ModelConfig("m", parameters={key: "1"})
    assert session_options(own, Threads()).get_session_config_entry(key) == "1"
    plain = session_options(ModelConfig("m"), Threads())
    assert (plain.enable_cpu_mem_arena, plain.enable_mem_pattern) == (True, True)
    assert plain.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL


def test_run_options_exist_only_for_a_config_that_asks() -> None:
    assert run_options(ModelConfig("m")) is None
    key = "memory.enable_memory_arena_shrinkage"
    options = run_options(ModelConfig("m", parameters={key: "cpu:0"}))
    assert options is not None
    assert options.get_run_config_entry(key) == "cpu:0"


def test_cuda_options_follow_the_parameters() -> None:
    assert cuda_options(ModelConfig("m"), 2) == {"device_id": "2"}
    config = parameters(
        cudnn_conv_algo_search="1", gpu_mem_limit="1024", arena_extend_strategy="1", do_copy_in_default_stream="0"
    )
    assert cuda_options(config, 0) == {
        "device_id": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "gpu_mem_limit": "1024",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "0",
    }


@pytest.mark.parametrize(
    ("config", "wide", "threads"),
    [
        (parameters(), {}, None),
        (parameters(intra_op_thread_count="0", inter_op_thread_count="3"), {}, None),
        (parameters(intra_op_thread_count="3"), {}, Threads(3)),
        (parameters(intra_op_thread_count="1"), {"intra_op_thread_count": 4}, Threads(1)),
        (parameters(), {"intra_op_thread_count": 4}, Threads(4)),
        (parameters(execution_mode="1"), {}, Threads(1, 8)),
        (parameters(execution_mode="1", intra_op_thread_count="2", inter_op_thread_count="3"), {}, Threads(2, 3)),
        (parameters(execution_mode="1"), {"inter_op_thread_count": 5}, Threads(1, 5)),
    ],
)
def test_threads_are_asked_for_by_the_config_and_then_by_the_settings(
    config: ModelConfig, wide: dict[str, int], threads: Threads | None
) -> None:
    assert asked_threads(config, wide, cores=8) == threads


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("intra_op_thread_count", "-1", "a whole number"),
        ("inter_op_thread_count", "two", "a whole number"),
        ("execution_mode", "2", "one of 0, 1, false, true"),
        ("enable_mem_arena", "", "one of 0, 1, false, true"),
    ],
)
def test_a_parameter_without_meaning_is_refused_with_its_field(file: Path, key: str, value: str, expected: str) -> None:
    [problem] = refusal(build.linear(file), ModelConfig("m", parameters={key: value})).problems
    assert problem.text == f"parameter {key} of model m, got '{value}', expected {expected}"
    assert problem.field == f'parameters["{key}"].string_value'


def test_settings_that_are_not_known_are_named_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    onnxruntime_options._warn.cache_clear()
    for _ in range(2):
        assert settings({"enable-global-threadpool": "1", "nonsense": "x", "intra_op_thread_count": "2"}) == {
            "intra_op_thread_count": 2
        }
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sorted(message.partition(":")[0] for message in messages) == [
        "--backend-config=onnxruntime,enable-global-threadpool is ignored",
        "--backend-config=onnxruntime,nonsense is ignored",
    ]


@pytest.mark.parametrize("value", ["x", "-3", "2147483648"])
def test_a_setting_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument, match=f"onnxruntime,intra_op_thread_count: got '{value}', expected a whole"):
        backends.create("onnxruntime", BackendOptions(1, settings={"intra_op_thread_count": value}))

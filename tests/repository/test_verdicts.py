"""What becomes of a model that runs under Triton today."""

from dataclasses import replace
from pathlib import Path

import pytest

from naiad.core.config import DynamicBatching, ModelConfig, QueuePolicy, TensorConfig
from naiad.core.problems import Cause, Problem, Severity
from naiad.core.types import DataType
from naiad.repository import verdicts
from naiad.repository.check import UNKNOWN, inspect
from naiad.repository.loading import NO_GPU as NO_GPU_HERE
from naiad.repository.verdicts import Group, Judgement, Verdict, count, groups, improvements, judge, label, only_here
from tests.models import build
from tests.repository.files import lay
from tests.repository.mistakes import LINEAR
from tests.repository.test_check import REAL

PLAIN = ModelConfig(
    "m", "onnxruntime", max_batch_size=8, default_model_filename="model.onnx",
    inputs=(TensorConfig("x", DataType.FP32, (4,)),),
)  # fmt: skip


def batched(**policy: object) -> ModelConfig:
    return replace(PLAIN, dynamic_batching=DynamicBatching(queue_policy=QueuePolicy(**policy)))  # type: ignore[arg-type]


ANY_SIZE = replace(batched(), inputs=(TensorConfig("x", DataType.FP32, (-1,)),))


@pytest.mark.parametrize(
    ("completed", "versions", "better"),
    [
        (PLAIN, 1, []),
        (batched(), 1, []),
        (ANY_SIZE, 1, [verdicts.SHAPES]),
        (replace(ANY_SIZE, max_batch_size=1), 1, []),
        (replace(ANY_SIZE, dynamic_batching=None), 1, []),
        (batched(default_timeout_microseconds=5), 1, [verdicts.TIMEOUT]),
        (batched(default_timeout_microseconds=5, allow_timeout_override=True), 1, [verdicts.TIMEOUT]),
        (batched(allow_timeout_override=True), 1, [verdicts.OVERRIDE]),
        (batched(max_queue_size=5), 1, [verdicts.FULL]),
        (PLAIN, 2, [verdicts.SIBLINGS]),
        (ModelConfig("m", "identity"), 1, []),
    ],
)
def test_a_model_runs_better_where_its_config_asks_for_what_is_done_better(
    completed: ModelConfig, versions: int, better: list[str]
) -> None:
    assert list(improvements(completed, completed, versions)) == better
    assert set(better) <= set(verdicts.BETTER)


def test_what_no_config_asks_for_makes_nothing_better() -> None:
    assert list(improvements(replace(ANY_SIZE, dynamic_batching=None), ANY_SIZE, 1)) == []
    assert list(improvements(None, ANY_SIZE, 1)) == []


def test_a_file_of_another_name_than_the_usual_is_found_only_here() -> None:
    found = replace(PLAIN, default_model_filename="net.onnx")
    assert list(only_here(replace(PLAIN, default_model_filename=""), found)) == [verdicts.FOUND]
    assert list(only_here(None, found)) == [verdicts.FOUND]
    assert list(only_here(found, found)) == []
    assert list(only_here(replace(PLAIN, default_model_filename=""), PLAIN)) == []
    assert judge([], [verdicts.SHAPES], [verdicts.FOUND]) == Judgement(Verdict.ONLY_HERE, (verdicts.FOUND,))
    assert judge([WARNING], [], [verdicts.FOUND]).verdict is Verdict.WARNING


WARNING = Problem("w", "metric_tags", severity=Severity.WARNING, cause=Cause.NOT_YET)
MISTAKE = Problem("m", "input[0].dims[1]")
NOT_YET = Problem("n", "instance_group[12].kind", cause=Cause.NOT_YET)
PYTORCH = Problem("p", "backend", topic="backend 'pytorch'", cause=Cause.NOT_YET)
NEVER = Problem("t", "platform", topic="backend 'tensorflow'", cause=Cause.NEVER)
NO_GPU = Problem("g", "instance_group[0].kind", cause=Cause.NO_GPU, topic="no GPU here")


@pytest.mark.parametrize(
    ("problems", "better", "verdict", "reasons"),
    [
        ([], [], Verdict.SAME, ()),
        ([], ["a", "b", "a"], Verdict.BETTER, ("a", "b")),
        ([WARNING], ["a"], Verdict.WARNING, ("metric_tags",)),
        ([WARNING, MISTAKE, MISTAKE], [], Verdict.TO_FIX, ("input.dims",)),
        ([MISTAKE, NOT_YET, PYTORCH], [], Verdict.NOT_YET, ("instance_group.kind", "backend 'pytorch'")),
        ([NOT_YET, NEVER], [], Verdict.NEVER, ("backend 'tensorflow'",)),
        ([WARNING, NO_GPU], ["a"], Verdict.NO_GPU, ("no GPU here",)),
        ([NO_GPU, MISTAKE], [], Verdict.TO_FIX, ("input.dims",)),
    ],
)
def test_the_verdict_is_that_of_the_worst_problem_with_what_it_is_about(
    problems: list[Problem], better: list[str], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    assert judge(problems, better) == Judgement(verdict, reasons)


def test_a_map_s_key_is_not_part_of_what_a_problem_is_about() -> None:
    assert label(Problem("x", 'parameters["a.b"].string_value')) == "parameters.string_value"
    assert label(Problem("x", found="y")) == "found y"


def test_models_are_counted_by_backend_with_the_largest_first() -> None:
    judged = [("a", Verdict.SAME), ("b", Verdict.SAME), ("b", Verdict.NEVER)]
    counted = count(judged)
    assert list(counted) == ["b", "a"]
    assert [*counted["b"].items()] == [(verdict, int(verdict in (Verdict.SAME, Verdict.NEVER))) for verdict in Verdict]


def test_reasons_are_grouped_by_verdict_and_then_the_most_frequent_first() -> None:
    judgements = {
        "a": Judgement(Verdict.NEVER, ("x",)),
        "b": Judgement(Verdict.BETTER, ("rare", "often")),
        "c": Judgement(Verdict.BETTER, ("often",)),
        "d": Judgement(Verdict.SAME),
    }
    assert groups(judgements) == (
        Group(Verdict.BETTER, "often", ("b", "c")),
        Group(Verdict.BETTER, "rare", ("b",)),
        Group(Verdict.NEVER, "x", ("a",)),
    )


def test_a_fleet_is_judged_model_by_model(tmp_path: Path) -> None:
    for name in ("same", "found", "warned", "misspelt"):
        build.linear(tmp_path / name / "1" / ("net.onnx" if name == "found" else "model.onnx"))
    for name in ("completed", "batched"):
        build.identity(tmp_path / name / "1" / "model.onnx", dims=(-1,))
    lay(tmp_path, {
        "warned/config.pbtxt": "metric_tags { key: 'a' }",
        "misspelt/config.pbtxt": "max_batchsize: 4",
        "ensemble/config.pbtxt": "platform: 'ensemble' ensemble_scheduling { }",
        "python/1/model.py": "",
        "python/config.pbtxt": "backend: 'python' max_batch_size: 4 sequence_batching { }",
        "savedmodel/1/model.savedmodel/saved_model.pb": "",
        "savedmodel/config.pbtxt": "platform: 'tensorflow_savedmodel'",
        "own/config.pbtxt": "backend: 'mycompany'",
        "own/1/x": "",
        "torch/1/model.pt": "",
        "config_less_python/1/model.py": "",
        "config_less_savedmodel/1/model.savedmodel/saved_model.pb": "",
        "config_less_openvino/1/model.xml": "",
        "config_less_openvino/1/model.bin": "",
        "for_gpus/1/model.onnx": LINEAR,
        "for_gpus/config.pbtxt": "instance_group { kind: KIND_GPU }",
        "batched/config.pbtxt": "max_batch_size: 4 dynamic_batching { }",
        "keras/1/model.h5": "x",
        "page/1/model.onnx": "<html>",
    })  # fmt: skip
    judged = {model.name: (model.backend, *model.judgement) for model in inspect([tmp_path], REAL).models}
    assert judged == {
        "same": ("onnxruntime", Verdict.SAME, ()),
        "found": ("onnxruntime", Verdict.ONLY_HERE, (verdicts.FOUND,)),
        "completed": ("onnxruntime", Verdict.SAME, ()),
        "batched": ("onnxruntime", Verdict.BETTER, (verdicts.SHAPES,)),
        "warned": ("onnxruntime", Verdict.WARNING, ("metric_tags",)),
        "misspelt": (UNKNOWN, Verdict.TO_FIX, ("config.pbtxt: unknown field 'max_batchsize'",)),
        "ensemble": ("ensemble", Verdict.NOT_YET, ('platform: "ensemble"', "ensemble_scheduling")),
        "python": ("python", Verdict.NOT_YET, ("sequence_batching", "backend 'python'")),
        "savedmodel": ("tensorflow", Verdict.NEVER, ("backend 'tensorflow'",)),
        "own": ("mycompany", Verdict.NEVER, ("backend 'mycompany'",)),
        "torch": ("pytorch", Verdict.NOT_YET, ("backend 'pytorch'",)),
        "config_less_python": ("python", Verdict.NOT_YET, ("backend 'python'",)),
        "config_less_savedmodel": ("tensorflow", Verdict.NEVER, ("backend 'tensorflow'",)),
        "config_less_openvino": ("openvino", Verdict.NEVER, ("backend 'openvino'",)),
        "for_gpus": ("onnxruntime", Verdict.NO_GPU, (NO_GPU_HERE,)),
        "keras": (UNKNOWN, Verdict.TO_FIX, ("no model file in a version's directory",)),
        "page": ("onnxruntime", Verdict.TO_FIX, ("a model file that is an HTML or XML page",)),
    }

"""A config as a message and as a value: what is read, what is refused and in which words, what is written back."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core.config import (
    DynamicBatching,
    InstanceGroup,
    Kind,
    ModelConfig,
    QueuePolicy,
    TensorConfig,
    VersionPolicy,
)
from naiad.core.problems import Cause, InvalidConfig, Severity
from naiad.core.types import DataType
from naiad.protocol import model_config_pb2
from naiad.protocol.config import Reading, finish, from_message
from naiad.protocol.config_rules import problems_of_completed
from naiad.protocol.datatypes import FROM_CONFIG, TO_CONFIG
from tests.protocol.messages import configs

patient = settings(deadline=None)


def message(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def read(text: str) -> Reading:
    return from_message(message(text), "m", lambda path: f"config.pbtxt@{path}")


def completed(config: ModelConfig) -> model_config_pb2.ModelConfig:
    return model_config_pb2.ModelConfig.FromString(finish(config).message)


def test_every_datatype_of_a_config_but_invalid_is_one_of_ours_and_the_other_way_round() -> None:
    assert {*FROM_CONFIG} == {*model_config_pb2.DataType.values()} - {model_config_pb2.TYPE_INVALID}
    assert {*TO_CONFIG} == {*DataType}
    assert FROM_CONFIG[model_config_pb2.TYPE_STRING] is DataType.BYTES
    assert FROM_CONFIG[model_config_pb2.TYPE_BF16] is DataType.BF16
    assert FROM_CONFIG[model_config_pb2.TYPE_FP32] is DataType.FP32


def test_a_whole_config_is_read() -> None:
    config = read("""
        name: "m" backend: "onnxruntime" platform: "onnxruntime_onnx" max_batch_size: 8
        input { name: "a" data_type: TYPE_FP32 dims: [ 4, -1 ] optional: true }
        input { name: "s" data_type: TYPE_STRING dims: 1 reshape { } }
        output { name: "b" data_type: TYPE_INT64 dims: 6 reshape { shape: [ 2, 3 ] } label_filename: "labels.txt" }
        version_policy { specific { versions: [ 3, 1 ] } }
        instance_group { name: "g" kind: KIND_GPU count: 3 gpus: [ 0, 2 ] }
        instance_group { kind: KIND_CPU }
        dynamic_batching {
          preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 preserve_ordering: true
          default_queue_policy { default_timeout_microseconds: 5 allow_timeout_override: true max_queue_size: 7 }
        }
        default_model_filename: "net.onnx"
        cc_model_filenames { key: "7.5" value: "t4.plan" }
        parameters { key: "k" value { string_value: "v" } }
        optimization { graph { level: -1 } }
    """).require()
    assert replace(config, message=b"") == ModelConfig(
        name="m",
        backend="onnxruntime",
        platform="onnxruntime_onnx",
        max_batch_size=8,
        inputs=(
            TensorConfig("a", DataType.FP32, (4, -1), optional=True),
            TensorConfig("s", DataType.BYTES, (1,), reshape=()),
        ),
        outputs=(TensorConfig("b", DataType.INT64, (6,), (2, 3), label_filename="labels.txt"),),
        version_policy=VersionPolicy(latest=None, specific=(3, 1)),
        instance_groups=(
            InstanceGroup("g", Kind.GPU, 3, (0, 2)),
            InstanceGroup("", Kind.CPU, 0),
        ),
        dynamic_batching=DynamicBatching((4, 8), 100, True, QueuePolicy(5, True, 7)),
        default_model_filename="net.onnx",
        cc_model_filenames=MappingProxyType({"7.5": "t4.plan"}),
        parameters=MappingProxyType({"k": "v"}),
        graph_optimization_level=-1,
    )


def test_an_empty_config_takes_the_defaults() -> None:
    config = from_message(model_config_pb2.ModelConfig(), "m").require()
    assert config == ModelConfig(name="m", instance_groups=(InstanceGroup("m", Kind.AUTO, 0),))
    assert config.version_policy.select({1, 2, 3}) == (3,)


@pytest.mark.parametrize(
    ("text", "present", "served"),
    [
        ("version_policy { all { } }", {0, 3, 10}, (0, 3, 10)),
        ("version_policy { latest { num_versions: 2 } }", {2, 10, 9}, (9, 10)),
        ("version_policy { specific { versions: [ 2, 7 ] } }", {1, 2, 3}, (2,)),
        ("version_policy { }", {1, 2}, (2,)),
        ("", set(), ()),
    ],
)
def test_a_version_policy_says_what_is_served(text: str, present: set[int], served: tuple[int, ...]) -> None:
    assert read(text).require().version_policy.select(present) == served


DELAYING = "timeout_action: DELAY default_timeout_microseconds: 1"
LEVEL_1, LEVEL_4 = "priority_queue_policy { key: 1 }", "priority_queue_policy { key: 4 }"
TENSOR = 'name: "x" data_type: TYPE_FP32 dims: [ 4 ]'
MISTAKES = [
    ('name: "other"', "name",
     "unexpected directory name 'm' for model 'other', directory name must equal model name"),
    ("max_batch_size: -2", "max_batch_size", "'max_batch_size' must be non-negative value for m, got -2"),
    ("input { data_type: TYPE_FP32 dims: 4 }", "input[0]", "model input must specify 'name' for m"),
    ('output { name: "y" dims: 4 }', "output[0].data_type", "model output 'y' must specify 'data_type' for m"),
    ('output { name: "y" dims: 4 data_type: 99 }', "output[0].data_type", "must specify 'data_type' for m, got 99"),
    ('input { name: "x" data_type: TYPE_FP32 }', "input[0].dims", "model input 'x' must specify 'dims' for m"),
    ('input { name: "x" data_type: TYPE_FP32 dims: [ 4, 0 ] }', "input[0].dims[1]",
     "model input 'x' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m, got 0"),
    (f"input {{ {TENSOR} }} input {{ {TENSOR} }}", "input[1].name", "model input 'x' is specified twice for m"),
    (f"input {{ {TENSOR} reshape {{ shape: [ 2, 0 ] }} }}", "input[0].reshape.shape[1]",
     "model input 'x' reshape dimensions must be integer >= 1, or -1"),
    (f"input {{ {TENSOR} reshape {{ shape: [ 2, 3 ] }} }}", "input[0].reshape",
     "model input 'x' has different size for dims and reshape for m, got [4] and [2, 3]"),
    (f"input {{ {TENSOR} reshape {{ shape: -1 }} }}", "input[0].reshape",
     "model input 'x' has different number of variable-size dimensions for dims and reshape"),
    (f"input {{ {TENSOR} format: FORMAT_NCHW }}", "input[0].format",
     "model input NHWC/NCHW require 3 dims for m, got 1"),
    (f"input {{ {TENSOR} format: 9 }}", "input[0].format", "model input 'x' has unknown format 9 for m"),
    ("version_policy { latest { } }", "version_policy.latest", "'num_versions' >= 1 for m, got 0"),
    ("version_policy { specific { } }", "version_policy.specific", "must list at least one of 'versions' for m"),
    ("version_policy { specific { versions: [ 1, -1 ] } }", "version_policy.specific.versions[1]",
     "must list versions >= 0 for m, got -1"),
    ("dynamic_batching { preferred_batch_size: 0 }", "dynamic_batching.preferred_batch_size[0]",
     "dynamic batching preferred size must be positive for m, got 0"),
    ("max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 9 ] }",
     "dynamic_batching.preferred_batch_size[1]",
     "dynamic batching preferred size must be <= max batch size for m, got 9 and a maximum of 8"),
    ("dynamic_batching { priority_levels: 2 }", "dynamic_batching.default_priority_level",
     "default priority level must be in range [1, 2] for m, got 0"),
    ("dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 } }",
     "dynamic_batching.priority_queue_policy[3]",
     "priority queue policy must have priority level in range [1, 2] for m, got 3"),
    (f"dynamic_batching {{ priority_levels: 3 default_priority_level: 1 {LEVEL_1} {LEVEL_4} }}",
     "dynamic_batching.priority_queue_policy[4]", "in range [1, 3] for m, got 4"),
    ("dynamic_batching { preserve_ordering: true priority_levels: 2 default_priority_level: 1 }",
     "dynamic_batching.priority_levels", "Only one priority level is allowed when 'preserve_ordering' is true for m"),
    (f"dynamic_batching {{ preserve_ordering: true default_queue_policy {{ {DELAYING} }} }}",
     "dynamic_batching.default_queue_policy.timeout_action",
     "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m"),
    ("dynamic_batching { default_queue_policy { timeout_action: 5 } }",
     "dynamic_batching.default_queue_policy.timeout_action", "unknown timeout action 5 for m"),
    ('instance_group { name: "g" kind: KIND_CPU gpus: 0 }', "instance_group[0].gpus",
     "instance group g of model m has kind KIND_CPU but specifies one or more GPUs"),
    ("instance_group { } instance_group { kind: KIND_MODEL gpus: 0 }", "instance_group[1].gpus",
     "instance group m_1 of model m has kind KIND_MODEL but specifies one or more GPUs"),
    ("instance_group { kind: 8 }", "instance_group[0].kind", "instance group m_0 of model m has unknown kind 8"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field", "says"), MISTAKES)
def test_a_mistake_is_told_with_its_field_its_place_and_what_was_got(text: str, field: str, says: str) -> None:
    reading = read(text)
    assert reading.config is None
    (problem,) = [p for p in reading.problems if says in p.text]
    assert (problem.field, problem.place, problem.severity) == (field, f"config.pbtxt@{field}", Severity.ERROR)
    assert problem.found
    assert problem.expected
    assert problem.remedy


def test_all_mistakes_are_told_at_once() -> None:
    reading = read('max_batch_size: -1 input { name: "x" } version_policy { latest { } }')
    assert [problem.field for problem in reading.problems] == [
        "max_batch_size", "input[0].data_type", "input[0].dims", "version_policy.latest",
    ]  # fmt: skip
    with pytest.raises(InvalidConfig) as caught:
        reading.require()
    assert caught.value.problems == reading.problems
    assert str(caught.value).startswith("config.pbtxt@max_batch_size: 'max_batch_size' must be non-negative")


REFUSED = [
    ('runtime: "r"', "runtime"),
    ('platform: "ensemble"', "platform"),
    ("ensemble_scheduling { }", "ensemble_scheduling"),
    ("sequence_batching { }", "sequence_batching"),
    ("batch_input { }", "batch_input[0]"),
    ("batch_output { } batch_output { }", "batch_output[1]"),
    (f"input {{ {TENSOR} allow_ragged_batch: true }}", "input[0].allow_ragged_batch"),
    (f"input {{ {TENSOR} is_shape_tensor: true }}", "input[0].is_shape_tensor"),
    (f"input {{ {TENSOR} is_non_linear_format_io: true }}", "input[0].is_non_linear_format_io"),
    (f"output {{ {TENSOR} is_shape_tensor: true }}", "output[0].is_shape_tensor"),
    (f"output {{ {TENSOR} is_non_linear_format_io: true }}", "output[0].is_non_linear_format_io"),
    ("instance_group { } instance_group { kind: KIND_MODEL }", "instance_group[1].kind"),
    ("instance_group { secondary_devices { } }", "instance_group[0].secondary_devices"),
    ("instance_group { passive: true }", "instance_group[0].passive"),
    ("dynamic_batching { priority_levels: 1 default_priority_level: 1 }", "dynamic_batching.priority_levels"),
    ("dynamic_batching { priority_queue_policy { key: 1 } }", "dynamic_batching.priority_queue_policy"),
    ("dynamic_batching { default_queue_policy { timeout_action: DELAY } }",
     "dynamic_batching.default_queue_policy.timeout_action"),
    ('model_operations { op_library_filename: "l.so" }', "model_operations.op_library_filename"),
    ("model_transaction_policy { decoupled: true }", "model_transaction_policy.decoupled"),
    ('model_repository_agents { agents { name: "checksum" } }', "model_repository_agents.agents"),
]  # fmt: skip
IGNORED = [
    ("optimization { priority: PRIORITY_MAX }", "optimization.priority"),
    ("optimization { cuda { graphs: true } }", "optimization.cuda"),
    ("optimization { execution_accelerators { } }", "optimization.execution_accelerators"),
    ("optimization { input_pinned_memory { enable: true } }", "optimization.input_pinned_memory"),
    ("optimization { output_pinned_memory { } }", "optimization.output_pinned_memory"),
    ("optimization { gather_kernel_buffer_threshold: 1 }", "optimization.gather_kernel_buffer_threshold"),
    ("optimization { eager_batching: true }", "optimization.eager_batching"),
    ("instance_group { rate_limiter { } }", "instance_group[0].rate_limiter"),
    ('instance_group { host_policy: "p" }', "instance_group[0].host_policy"),
    ("dynamic_batching { default_priority_level: 1 }", "dynamic_batching.default_priority_level"),
    ('metric_tags { key: "k" value: "v" }', "metric_tags"),
    ("response_cache { enable: true }", "response_cache.enable"),
    ("model_metrics { }", "model_metrics"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field"), REFUSED)
def test_what_would_change_answers_and_is_not_served_yet_is_an_error_that_names_it(text: str, field: str) -> None:
    reading = read(text)
    assert reading.config is None
    wanted = " is not supported yet, and a model is not served without what it asks for"
    (problem,) = [problem for problem in reading.problems if problem.field == field and wanted in problem.text]
    assert (problem.field, problem.place, problem.severity) == (field, f"config.pbtxt@{field}", Severity.ERROR)
    assert problem.cause is Cause.NOT_YET
    if problem.text.startswith(f"'{field}' "):
        assert problem.remedy.startswith(f"Remove '{field}'")
    else:
        assert problem.text.startswith((f'{field}: "ensemble" ', f"{field}: KIND_MODEL "))
        assert "Remove" not in problem.remedy


@pytest.mark.parametrize(("text", "field"), IGNORED)
def test_what_only_tunes_and_is_not_served_yet_is_a_warning_that_names_it(text: str, field: str) -> None:
    reading = read(text)
    assert reading.require().name == "m"
    wanted = f"'{field}' is not supported yet and is ignored"
    remedy = f"Leave it for a server that knows it, or remove '{field}': it changes nothing here"
    assert [(p.text, p.field, p.place, p.severity, p.remedy) for p in reading.problems] == [
        (wanted, field, f"config.pbtxt@{field}", Severity.WARNING, remedy)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "response_cache { enable: false }",
        "model_transaction_policy { decoupled: false }",
        "model_operations { } model_repository_agents { }",
        "optimization { priority: PRIORITY_DEFAULT eager_batching: false }",
        "dynamic_batching { default_queue_policy { timeout_action: REJECT } }",
        f"input {{ {TENSOR} allow_ragged_batch: false }}",
    ],
)
def test_what_is_switched_off_is_no_problem(text: str) -> None:
    assert read(text).problems == ()


def test_a_negative_instance_count_is_the_default_with_a_warning() -> None:
    reading = read("instance_group { count: -1 }")
    assert reading.require().instance_groups[0].count == 0
    assert [(p.severity, p.field) for p in reading.problems] == [(Severity.WARNING, "instance_group[0].count")]


OUTPUT = TensorConfig("y", DataType.FP32, (4,))


@pytest.mark.parametrize(
    ("config", "field", "says"),
    [
        (ModelConfig("m", outputs=()), "output", "model m must specify 'output'"),
        (ModelConfig("m", max_batch_size=4, outputs=(OUTPUT,), dynamic_batching=DynamicBatching((4, 8))),
         "dynamic_batching.preferred_batch_size[1]", "preferred size must be <= max batch size for m, got 8"),
        (ModelConfig("m", outputs=(replace(OUTPUT, dims=(1,), reshape=()),)), "output[0].reshape",
         "model output 'y' cannot have empty reshape for non-batching model"),
        (ModelConfig("m", backend="onnxruntime", outputs=(OUTPUT,), cc_model_filenames={"7.5": "x"}),
         "cc_model_filenames", "'cc_model_filenames' is not supported yet for backend 'onnxruntime'"),
        (ModelConfig("m", outputs=(OUTPUT,), instance_groups=(InstanceGroup("g", profile=("0",)),)),
         "instance_group[0].profile", "specifies profile field which is only supported for TensorRT models"),
    ],
)  # fmt: skip
def test_a_mistake_that_only_a_completed_config_tells(config: ModelConfig, field: str, says: str) -> None:
    (problem,) = problems_of_completed(config)
    assert problem.field == field
    assert says in problem.text
    assert problem.severity is Severity.ERROR


def test_dynamic_batching_without_a_batch_dimension_is_only_warned_of() -> None:
    config = ModelConfig("m", outputs=(OUTPUT,), dynamic_batching=DynamicBatching((4,)))
    assert [(p.severity, p.field) for p in problems_of_completed(config)] == [(Severity.WARNING, "dynamic_batching")]


def test_a_tensorrt_config_may_name_profiles_and_files_by_compute_capability() -> None:
    group = InstanceGroup("g", profile=("0",))
    config = ModelConfig(
        "m", backend="tensorrt", outputs=(OUTPUT,), cc_model_filenames={"7.5": "x"}, instance_groups=(group,)
    )
    assert list(problems_of_completed(config)) == []


def test_what_was_completed_is_written_and_all_else_stays() -> None:
    written = 'input { name: "x" data_type: TYPE_FP32 dims: [ 3, 4, 5 ] format: FORMAT_NCHW } metric_tags { key: "k" }'
    config = replace(
        read(f"{written} instance_group {{ host_policy: 'p' }}").require(),
        backend="onnxruntime",
        platform="onnxruntime_onnx",
        max_batch_size=4,
        outputs=(TensorConfig("y", DataType.BYTES, (1,), reshape=()),),
        dynamic_batching=DynamicBatching(),
        instance_groups=(InstanceGroup("m_0", Kind.CPU, 2),),
        default_model_filename="model.onnx",
    )
    assert completed(config) == message(f"""
        name: "m" backend: "onnxruntime" platform: "onnxruntime_onnx" max_batch_size: 4 {written}
        output {{ name: "y" data_type: TYPE_STRING dims: 1 reshape {{ }} }}
        version_policy {{ latest {{ num_versions: 1 }} }}
        dynamic_batching {{ preferred_batch_size: 4 }}
        instance_group {{ name: "m_0" kind: KIND_CPU count: 2 host_policy: "p" }}
        default_model_filename: "model.onnx"
    """)


def test_no_dynamic_batching_is_written_where_there_is_none() -> None:
    assert not completed(ModelConfig("m", max_batch_size=4)).HasField("dynamic_batching")
    assert completed(ModelConfig("m", dynamic_batching=DynamicBatching())).HasField("dynamic_batching")


_names = st.text("abc", min_size=1, max_size=3)
_dims = st.lists(st.sampled_from([-1, 1, 2, 16]), min_size=1, max_size=3).map(tuple)
_tensors = st.builds(TensorConfig, name=_names, datatype=st.sampled_from(DataType), dims=_dims).flatmap(
    lambda tensor: st.sampled_from([tensor, replace(tensor, reshape=tuple(d for d in tensor.dims if d != 1))])
)
_unique = st.lists(_tensors, max_size=3, unique_by=lambda tensor: tensor.name).map(tuple)
_sizes = st.integers(0, 2**32 - 1)
_batching = st.builds(
    DynamicBatching,
    preferred_batch_size=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    max_queue_delay_microseconds=_sizes,
    preserve_ordering=st.booleans(),
    queue_policy=st.builds(QueuePolicy, _sizes, st.booleans(), _sizes),
)
_policies = st.one_of(
    st.builds(VersionPolicy, latest=st.integers(1, 9)),
    st.just(VersionPolicy(latest=None)),
    st.builds(
        lambda versions: VersionPolicy(None, tuple(versions)),
        st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
    ),
)
_groups = st.builds(
    InstanceGroup, name=_names, kind=st.sampled_from([Kind.AUTO, Kind.GPU]), count=st.integers(0, 9),
    gpus=st.lists(st.integers(0, 7), max_size=2).map(tuple),
)  # fmt: skip
_values = st.builds(
    ModelConfig,
    name=st.just("m"),
    backend=_names,
    platform=_names,
    max_batch_size=st.integers(4, 64),
    inputs=st.lists(st.builds(replace, _tensors, optional=st.booleans()), max_size=3, unique_by=lambda t: t.name).map(
        tuple
    ),
    outputs=_unique.map(lambda tensors: tuple(replace(t, label_filename=t.name) for t in tensors)),
    version_policy=_policies,
    instance_groups=st.lists(_groups, min_size=1, max_size=3).map(tuple),
    dynamic_batching=st.none() | _batching,
    default_model_filename=_names,
)


@patient
@given(_values)
def test_a_finished_config_is_read_back_the_same(config: ModelConfig) -> None:
    again = from_message(completed(config), "m").require()
    assert replace(again, message=b"") == config


@patient
@given(_values)
def test_finishing_twice_changes_nothing(config: ModelConfig) -> None:
    assert finish(finish(config)) == finish(config)


@patient
@given(configs())
def test_any_message_is_read_or_its_problems_are_told_each_with_a_field(config: model_config_pb2.ModelConfig) -> None:
    reading = from_message(config, "m", lambda path: f"here:{path}")
    assert (reading.config is None) == any(p.severity is Severity.ERROR for p in reading.problems)
    assert all(p.field and p.place == f"here:{p.field}" for p in reading.problems)


@patient
@given(configs())
def test_a_config_that_is_read_keeps_every_field_it_does_not_complete(config: model_config_pb2.ModelConfig) -> None:
    reading = from_message(config, "m")
    if reading.config is None:
        return
    written = completed(reading.config)
    for field in ("optimization", "metric_tags", "parameters", "model_warmup", "response_cache", "cc_model_filenames"):
        assert getattr(written, field) == getattr(config, field)

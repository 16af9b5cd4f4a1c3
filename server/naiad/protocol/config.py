"""A model's config between the `inference.ModelConfig` message and the value that the server acts on.

`from_message` checks and converts what a config says, before a backend completes it. `finish` writes what was
completed back into the message, where everything else stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from naiad.core.config import (
    DynamicBatching,
    InstanceGroup,
    Kind,
    ModelConfig,
    QueuePolicy,
    Source,
    TensorConfig,
    VersionPolicy,
    Warmup,
    WarmupInput,
)
from naiad.core.problems import InvalidConfig, Locate, Problem, errors
from naiad.protocol.config_rules import problems_of
from naiad.protocol.datatypes import FROM_CONFIG, TO_CONFIG
from naiad.protocol.generated import model_config_pb2 as pb
from naiad.protocol.unserved import unserved

_Tensor = TypeVar("_Tensor", pb.ModelInput, pb.ModelOutput)


class Reading(NamedTuple):
    """What became of a config: the value, unless there is an error among the problems, and all problems."""

    config: ModelConfig | None
    problems: tuple[Problem, ...]

    def require(self) -> ModelConfig:
        """The config; raises InvalidConfig with every error."""
        if self.config is None:
            raise InvalidConfig(errors(self.problems))
        return self.config


def from_message(message: pb.ModelConfig, name: str, locate: Locate = lambda _: "") -> Reading:
    """Read a config. `name` is the model's directory; `locate` gives a field's `file:line`.

    What a backend may complete (inputs, outputs, backend, max_batch_size) may be missing.
    """
    found = [
        problem.located(locate)
        for problem in (*_naming(message, name), *problems_of(message, name), *unserved(message))
    ]
    config = None if errors(found) else _value(message, name)
    return Reading(config, tuple(found))


def _naming(message: pb.ModelConfig, name: str) -> Iterator[Problem]:
    if message.name not in ("", name):
        yield Problem(
            f"unexpected directory name '{name}' for model '{message.name}', directory name must equal model name",
            "name",
            found=f"'{message.name}'",
            expected=f"'{name}'",
            remedy=f'Write name: "{name}", remove the line, or rename the directory',
        )


def _value(message: pb.ModelConfig, name: str) -> ModelConfig:
    optimization = message.optimization
    accelerators = optimization.execution_accelerators
    return ModelConfig(
        name=name,
        backend=message.backend,
        platform=message.platform,
        max_batch_size=message.max_batch_size,
        inputs=tuple(_input(tensor) for tensor in message.input),
        outputs=tuple(_output(tensor) for tensor in message.output),
        version_policy=version_policy(message.version_policy),
        instance_groups=tuple(map(_instance_group, message.instance_group)) or (InstanceGroup(name=name, count=0),),
        dynamic_batching=_dynamic_batching(message.dynamic_batching) if message.HasField("dynamic_batching") else None,
        default_model_filename=message.default_model_filename,
        cc_model_filenames=MappingProxyType(dict(message.cc_model_filenames)),
        parameters=MappingProxyType({key: value.string_value for key, value in message.parameters.items()}),
        graph_optimization_level=optimization.graph.level if optimization.HasField("graph") else None,
        accelerators=tuple(
            a.name for a in (*accelerators.gpu_execution_accelerator, *accelerators.cpu_execution_accelerator)
        ),
        warmups=tuple(map(_warmup, message.model_warmup)),
        message=message.SerializeToString(deterministic=True),
    )


def _warmup(sample: pb.ModelWarmup) -> Warmup:
    inputs = tuple(
        WarmupInput(
            name,
            FROM_CONFIG[tensor.data_type],
            tuple(tensor.dims),
            Source(tensor.WhichOneof("input_data_type")),
            tensor.input_data_file,
        )
        for name, tensor in sorted(sample.inputs.items())
    )
    return Warmup(sample.name, max(1, sample.batch_size), inputs, sample.count or 1)


def _input(tensor: pb.ModelInput) -> TensorConfig:
    reshape = tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None
    return TensorConfig(tensor.name, FROM_CONFIG[tensor.data_type], tuple(tensor.dims), reshape, tensor.optional)


def _output(tensor: pb.ModelOutput) -> TensorConfig:
    reshape = tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None
    return TensorConfig(
        tensor.name, FROM_CONFIG[tensor.data_type], tuple(tensor.dims), reshape, label_filename=tensor.label_filename
    )


def version_policy(policy: pb.ModelVersionPolicy) -> VersionPolicy:
    """Which versions are to be served; of a policy that is sound."""
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            return VersionPolicy(latest=None, specific=tuple(policy.specific.versions))
        case "latest":
            return VersionPolicy(latest=policy.latest.num_versions)
    return VersionPolicy()


def _instance_group(group: pb.ModelInstanceGroup) -> InstanceGroup:
    return InstanceGroup(
        name=group.name,
        kind=Kind(pb.ModelInstanceGroup.Kind.Name(group.kind)),
        count=max(group.count, 0),
        gpus=tuple(group.gpus),
        profile=tuple(group.profile),
    )


def _dynamic_batching(batching: pb.ModelDynamicBatching) -> DynamicBatching:
    policy = batching.default_queue_policy
    return DynamicBatching(
        preferred_batch_size=tuple(batching.preferred_batch_size),
        max_queue_delay_microseconds=batching.max_queue_delay_microseconds,
        preserve_ordering=batching.preserve_ordering,
        queue_policy=QueuePolicy(
            default_timeout_microseconds=policy.default_timeout_microseconds,
            allow_timeout_override=policy.allow_timeout_override,
            max_queue_size=policy.max_queue_size,
        ),
    )


def finish(config: ModelConfig) -> ModelConfig:
    """The config with its completed message. Its `message` must be that of `from_message`, or empty."""
    message = pb.ModelConfig.FromString(config.message)
    message.name = config.name
    message.backend = config.backend
    message.platform = config.platform
    message.max_batch_size = config.max_batch_size
    message.default_model_filename = config.default_model_filename
    _write_tensors(message, config)
    _write_version_policy(message.version_policy, config.version_policy)
    _write_instance_groups(message, config.instance_groups)
    if config.dynamic_batching is not None:
        _write_dynamic_batching(message.dynamic_batching, config.dynamic_batching, config.max_batch_size)
    return replace(config, message=message.SerializeToString(deterministic=True))


def _write_tensors(message: pb.ModelConfig, config: ModelConfig) -> None:
    inputs = {tensor.name: tensor for tensor in message.input}
    outputs = {tensor.name: tensor for tensor in message.output}
    del message.input[:], message.output[:]
    for tensor in config.inputs:
        _write_tensor(_copy(message.input.add(), inputs.get(tensor.name)), tensor).optional = tensor.optional
    for tensor in config.outputs:
        written = _write_tensor(_copy(message.output.add(), outputs.get(tensor.name)), tensor)
        written.label_filename = tensor.label_filename


def _copy(target: _Tensor, source: _Tensor | None) -> _Tensor:
    if source is not None:
        target.CopyFrom(source)
    return target


def _write_tensor(target: _Tensor, tensor: TensorConfig) -> _Tensor:
    target.name = tensor.name
    target.data_type = TO_CONFIG[tensor.datatype]
    target.dims[:] = tensor.dims
    target.ClearField("reshape")
    if tensor.reshape is not None:
        target.reshape.SetInParent()
        target.reshape.shape[:] = tensor.reshape
    return target


def _write_version_policy(target: pb.ModelVersionPolicy, policy: VersionPolicy) -> None:
    if policy.specific:
        target.specific.versions[:] = policy.specific
    elif policy.latest is None:
        target.all.SetInParent()
    else:
        target.latest.num_versions = policy.latest


def _write_instance_groups(message: pb.ModelConfig, groups: tuple[InstanceGroup, ...]) -> None:
    written = list(message.instance_group)
    del message.instance_group[:]
    for i, group in enumerate(groups):
        target = message.instance_group.add()
        if i < len(written):
            target.CopyFrom(written[i])
        target.name = group.name
        target.kind = pb.ModelInstanceGroup.Kind.Value(group.kind.value)
        target.count = group.count
        target.gpus[:] = group.gpus
        target.profile[:] = group.profile


def _write_dynamic_batching(target: pb.ModelDynamicBatching, batching: DynamicBatching, max_batch_size: int) -> None:
    """As Triton tells it, a batch is preferred as large as it may be where nothing else is said."""
    target.SetInParent()
    target.preferred_batch_size[:] = batching.preferred_batch_size or ((max_batch_size,) if max_batch_size else ())
    target.max_queue_delay_microseconds = batching.max_queue_delay_microseconds
    target.preserve_ordering = batching.preserve_ordering
    policy = batching.queue_policy
    if policy != QueuePolicy():
        target.default_queue_policy.default_timeout_microseconds = policy.default_timeout_microseconds
        target.default_queue_policy.allow_timeout_override = policy.allow_timeout_override
        target.default_queue_policy.max_queue_size = policy.max_queue_size

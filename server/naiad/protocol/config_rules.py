"""What makes a config wrong: rules on the message as it is written, and on the value once it is complete. Pure.

Every rule that is broken gives a problem with its field. The texts are those that Triton's users know; what was got
is added. "for NAME" at the end of a text names the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from naiad.core.config import ModelConfig
from naiad.core.problems import Problem, Severity
from naiad.protocol.datatypes import FROM_CONFIG
from naiad.protocol.generated import model_config_pb2 as pb


def problems_of(message: pb.ModelConfig, name: str) -> Iterator[Problem]:
    """What is wrong with the config of model `name`, whatever a backend may complete."""
    if message.max_batch_size < 0:
        text = f"'max_batch_size' must be non-negative value for {name}, got {message.max_batch_size}"
        yield Problem(text, "max_batch_size")
    yield from _tensors("input", message.input, name)
    yield from _tensors("output", message.output, name)
    yield from _formats(message.input, name)
    yield from _version_policy(message.version_policy, name)
    yield from _dynamic_batching(message.dynamic_batching, message.max_batch_size, name)
    for i, group in enumerate(message.instance_group):
        yield from _instance_group(group, i, name)


def _tensors(side: str, tensors: Sequence[pb.ModelInput | pb.ModelOutput], model: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, tensor in enumerate(tensors):
        path, subject = f"{side}[{i}]", f"model {side} '{tensor.name}'"
        if not tensor.name:
            yield Problem(f"model {side} must specify 'name' for {model}", path)
        elif tensor.name in seen:
            yield Problem(f"{subject} is specified twice for {model}", f"{path}.name")
        seen.add(tensor.name)
        if tensor.data_type not in FROM_CONFIG:
            got = f", got {tensor.data_type}" if tensor.data_type else ""
            yield Problem(f"{subject} must specify 'data_type' for {model}{got}", f"{path}.data_type")
        if not tensor.dims:
            yield Problem(f"{subject} must specify 'dims' for {model}", f"{path}.dims")
        yield from _sizes(tensor.dims, f"{subject} dimension", f"{path}.dims", model)
        if tensor.HasField("reshape"):
            yield from _sizes(tensor.reshape.shape, f"{subject} reshape dimensions", f"{path}.reshape.shape", model)
            yield from _reshape(tensor, subject, path, model)


def _sizes(dims: Sequence[int], subject: str, path: str, model: str) -> Iterator[Problem]:
    for i, dim in enumerate(dims):
        if dim < 1 and dim != -1:
            yield Problem(
                f"{subject} must be integer >= 1, or -1 to indicate a variable-size dimension for {model}, got {dim}",
                f"{path}[{i}]",
            )


def _reshape(tensor: pb.ModelInput | pb.ModelOutput, subject: str, path: str, model: str) -> Iterator[Problem]:
    """A reshape keeps the number of elements, in every stretch between variable-size dimensions.

    [2, 4, -1, 6] goes with [8, -1, 1, 6]: 2 x 4 = 8 before the -1, 6 = 1 x 6 after it.
    """
    dims, shape = _stretches(tensor.dims), _stretches(tensor.reshape.shape)
    got = f"got {list(tensor.dims)} and {list(tensor.reshape.shape)}"
    if len(dims) != len(shape):
        text = f"{subject} has different number of variable-size dimensions for dims and reshape for {model}, {got}"
        yield Problem(text, f"{path}.reshape")
    elif dims != shape:
        yield Problem(f"{subject} has different size for dims and reshape for {model}, {got}", f"{path}.reshape")


def _stretches(dims: Sequence[int]) -> list[int]:
    """The products of the dimensions between the variable ones."""
    products = [1]
    for dim in dims:
        if dim == -1:
            products.append(1)
        else:
            products[-1] *= dim
    return products


def _formats(tensors: Sequence[pb.ModelInput], model: str) -> Iterator[Problem]:
    for i, tensor in enumerate(tensors):
        if tensor.format not in pb.ModelInput.Format.values():
            yield Problem(
                f"model input '{tensor.name}' has unknown format {tensor.format} for {model}", f"input[{i}].format"
            )
        elif tensor.format != pb.ModelInput.FORMAT_NONE and len(tensor.dims) != 3:
            text = f"model input NHWC/NCHW require 3 dims for {model}, got {len(tensor.dims)}"
            yield Problem(text, f"input[{i}].format")


def _version_policy(policy: pb.ModelVersionPolicy, model: str) -> Iterator[Problem]:
    choice = policy.WhichOneof("policy_choice")
    if choice == "latest" and policy.latest.num_versions < 1:
        yield Problem(
            f"version policy 'latest' must have 'num_versions' >= 1 for {model}, got 0", "version_policy.latest"
        )
    if choice == "specific" and not policy.specific.versions:
        yield Problem(
            f"version policy 'specific' must list at least one of 'versions' for {model}", "version_policy.specific"
        )
    for i, version in enumerate(policy.specific.versions):
        if version < 0:
            path = f"version_policy.specific.versions[{i}]"
            yield Problem(f"version policy 'specific' must list versions >= 0 for {model}, got {version}", path)


def _dynamic_batching(batching: pb.ModelDynamicBatching, max_batch_size: int, model: str) -> Iterator[Problem]:
    for i, size in enumerate(batching.preferred_batch_size):
        path = f"dynamic_batching.preferred_batch_size[{i}]"
        if size <= 0:
            yield Problem(f"dynamic batching preferred size must be positive for {model}, got {size}", path)
        if 0 < max_batch_size < size:
            yield _too_large(model, size, max_batch_size, path)
    yield from _priorities(batching, model)
    policies = {"default_queue_policy": batching.default_queue_policy} | {
        f"priority_queue_policy[{level}]": policy for level, policy in batching.priority_queue_policy.items()
    }
    for path, policy in policies.items():
        if policy.timeout_action not in pb.ModelQueuePolicy.TimeoutAction.values():
            yield Problem(
                f"unknown timeout action {policy.timeout_action} for {model}", f"dynamic_batching.{path}.timeout_action"
            )
        delays = policy.timeout_action == pb.ModelQueuePolicy.DELAY and policy.default_timeout_microseconds
        if batching.preserve_ordering and delays:
            yield Problem(
                "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for " + model,
                f"dynamic_batching.{path}.timeout_action",
            )


def _too_large(model: str, size: int, limit: int, path: str) -> Problem:
    text = f"dynamic batching preferred size must be <= max batch size for {model}, got {size} and a maximum of {limit}"
    return Problem(text, path)


def _priorities(batching: pb.ModelDynamicBatching, model: str) -> Iterator[Problem]:
    levels = batching.priority_levels
    if not levels:
        return
    if not 1 <= batching.default_priority_level <= levels:
        yield Problem(
            f"default priority level must be in range [1, {levels}] for {model}, got {batching.default_priority_level}",
            "dynamic_batching.default_priority_level",
        )
    for level in batching.priority_queue_policy:
        if not 1 <= level <= levels:
            yield Problem(
                f"priority queue policy must have priority level in range [1, {levels}] for {model}, got {level}",
                f"dynamic_batching.priority_queue_policy[{level}]",
            )
    if batching.preserve_ordering and levels > 1:
        text = f"Only one priority level is allowed when 'preserve_ordering' is true for {model}, got {levels}"
        yield Problem(text, "dynamic_batching.priority_levels")


def _instance_group(group: pb.ModelInstanceGroup, index: int, model: str) -> Iterator[Problem]:
    path = f"instance_group[{index}]"
    subject = f"instance group {group.name or f'{model}_{index}'} of model {model}"
    if group.kind not in pb.ModelInstanceGroup.Kind.values():
        yield Problem(f"{subject} has unknown kind {group.kind}", f"{path}.kind")
    if group.kind in (pb.ModelInstanceGroup.KIND_CPU, pb.ModelInstanceGroup.KIND_MODEL) and group.gpus:
        kind = pb.ModelInstanceGroup.Kind.Name(group.kind)
        yield Problem(f"{subject} has kind {kind} but specifies one or more GPUs", f"{path}.gpus")
    if group.count < 0:
        text = f"{subject} has count {group.count}: it is taken for the default"
        yield Problem(text, f"{path}.count", severity=Severity.WARNING)


def problems_of_completed(config: ModelConfig) -> Iterator[Problem]:
    """What is wrong with a config that its backend has completed, as far as `problems_of` could not tell."""
    yield from _batching(config)
    yield from _scalars(config)
    yield from _only_for_tensorrt(config)
    if not config.outputs:
        yield Problem(f"model {config.name} must specify 'output': its backend cannot tell them", "output")


def _batching(config: ModelConfig) -> Iterator[Problem]:
    batching = config.dynamic_batching
    if batching is None:
        return
    if not config.batching:
        text = f"'dynamic_batching' has no effect for {config.name}, whose 'max_batch_size' is 0"
        yield Problem(text, "dynamic_batching", severity=Severity.WARNING)
        return
    for i, size in enumerate(batching.preferred_batch_size):
        if size > config.max_batch_size:
            path = f"dynamic_batching.preferred_batch_size[{i}]"
            yield _too_large(config.name, size, config.max_batch_size, path)


def _scalars(config: ModelConfig) -> Iterator[Problem]:
    for side, tensors in (("input", config.inputs), ("output", config.outputs)):
        for i, tensor in enumerate(tensors):
            if tensor.reshape == () and not config.batching:
                yield Problem(
                    f"model {side} '{tensor.name}' cannot have empty reshape for non-batching model as scalar tensors "
                    f"are not supported for {config.name}",
                    f"{side}[{i}].reshape",
                )


def _only_for_tensorrt(config: ModelConfig) -> Iterator[Problem]:
    if config.backend == "tensorrt":
        return
    if config.cc_model_filenames:
        text = f"'cc_model_filenames' is not supported yet for backend '{config.backend}' of {config.name}"
        yield Problem(text, "cc_model_filenames")
    for i, group in enumerate(config.instance_groups):
        if group.profile:
            yield Problem(
                f"instance group {group.name} of model {config.name} specifies profile field which is only supported "
                "for TensorRT models",
                f"instance_group[{i}].profile",
            )

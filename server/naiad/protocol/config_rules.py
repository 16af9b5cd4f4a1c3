"""What makes a config wrong: rules on the message as it is written, and on the value once it is complete. Pure.

Every rule that is broken gives a problem with its field and what to do. The texts are those that Triton's users know;
what was got is added. "for NAME" at the end of a text names the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from naiad.core.config import ModelConfig
from naiad.core.problems import Cause, Problem, Severity
from naiad.protocol.datatypes import FROM_CONFIG
from naiad.protocol.generated import model_config_pb2 as pb

MANY_INSTANCES = 256
"""More instances of a group than any machine has use for."""


def problems_of(message: pb.ModelConfig, name: str) -> Iterator[Problem]:
    """What is wrong with the config of model `name`, whatever a backend may complete."""
    if message.max_batch_size < 0:
        yield Problem(
            f"'max_batch_size' must be non-negative value for {name}, got {message.max_batch_size}",
            "max_batch_size",
            found=str(message.max_batch_size),
            expected="a number >= 0",
            remedy="Write the largest batch, or 0 for a model without a batch dimension",
        )
    yield from _tensors("input", message.input, name)
    yield from _tensors("output", message.output, name)
    yield from _formats(message.input, name)
    yield from _version_policy(message.version_policy, name)
    yield from _dynamic_batching(message.dynamic_batching, message.max_batch_size, name)
    for i, group in enumerate(message.instance_group):
        yield from _instance_group(group, i, name)
    for i, sample in enumerate(message.model_warmup):
        yield from _warmup(sample, f"model_warmup[{i}]", name)


def _tensors(side: str, tensors: Sequence[pb.ModelInput | pb.ModelOutput], model: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, tensor in enumerate(tensors):
        path, subject = f"{side}[{i}]", f"model {side} '{tensor.name}'"
        if not tensor.name:
            yield _missing(f"model {side} must specify 'name' for {model}", path, 'name: "..."')
        elif tensor.name in seen:
            yield Problem(
                f"{subject} is specified twice for {model}",
                f"{path}.name",
                found=f"'{tensor.name}'",
                expected=f"each {side} once",
                remedy=f"Remove one of the two, or name it as another {side}",
            )
        seen.add(tensor.name)
        if tensor.data_type not in FROM_CONFIG:
            yield _no_datatype(tensor, subject, path, model)
        if not tensor.dims:
            yield _missing(f"{subject} must specify 'dims' for {model}", f"{path}.dims", "dims: [ ... ]")
        yield from _sizes(tensor.dims, f"{subject} dimension", f"{path}.dims", model)
        if tensor.HasField("reshape"):
            yield from _sizes(tensor.reshape.shape, f"{subject} reshape dimensions", f"{path}.reshape.shape", model)
            yield from _reshape(tensor, subject, path, model)


def _missing(text: str, path: str, example: str) -> Problem:
    return Problem(text, path, found="nothing", expected=f"`{example}`", remedy=f"Add `{example}`")


def _no_datatype(tensor: pb.ModelInput | pb.ModelOutput, subject: str, path: str, model: str) -> Problem:
    got = f", got {tensor.data_type}" if tensor.data_type else ""
    return Problem(
        f"{subject} must specify 'data_type' for {model}{got}",
        f"{path}.data_type",
        found=str(tensor.data_type) if got else "nothing",
        expected="one of TYPE_BOOL, TYPE_UINT8, ..., TYPE_FP32, ..., TYPE_STRING",
        remedy="Add the datatype, such as `data_type: TYPE_FP32`",
    )


def _sizes(dims: Sequence[int], subject: str, path: str, model: str) -> Iterator[Problem]:
    expected = "integer >= 1, or -1 to indicate a variable-size dimension"
    for i, dim in enumerate(dims):
        if dim < 1 and dim != -1:
            text = f"{subject} must be {expected} for {model}, got {dim}"
            remedy = (
                "Write -1 where any size goes, else the size; the batch dimension is left out where max_batch_size > 0"
            )
            yield Problem(text, f"{path}[{i}]", found=str(dim), expected=expected, remedy=remedy)


def _reshape(tensor: pb.ModelInput | pb.ModelOutput, subject: str, path: str, model: str) -> Iterator[Problem]:
    """A reshape keeps the number of elements, in every stretch between variable-size dimensions.

    [2, 4, -1, 6] goes with [8, -1, 1, 6]: 2 x 4 = 8 before the -1, 6 = 1 x 6 after it.
    """
    dims, shape = _stretches(tensor.dims), _stretches(tensor.reshape.shape)
    found = f"{list(tensor.dims)} and {list(tensor.reshape.shape)}"
    if len(dims) != len(shape):
        what, expected = "number of variable-size dimensions", "as many -1 in both"
    elif dims != shape:
        what, expected = "size", "as many elements in both"
    else:
        return
    yield Problem(
        f"{subject} has different {what} for dims and reshape for {model}, got {found}",
        f"{path}.reshape",
        found=found,
        expected=expected,
        remedy="Write the clients' shape into dims and the model's own into reshape, or remove reshape",
    )


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
        path = f"input[{i}].format"
        if tensor.format not in pb.ModelInput.Format.values():
            text = f"model input '{tensor.name}' has unknown format {tensor.format} for {model}"
            yield _unknown(text, path, tensor.format, pb.ModelInput.Format.keys())
        elif tensor.format != pb.ModelInput.FORMAT_NONE and len(tensor.dims) != 3:
            text = f"model input NHWC/NCHW require 3 dims for {model}, got {len(tensor.dims)}"
            remedy = "Write height, width and channels into dims without the batch, or remove 'format'"
            yield Problem(text, path, found=str(len(tensor.dims)), expected="3 dims", remedy=remedy)


def _unknown(text: str, path: str, got: int, names: Iterable[str]) -> Problem:
    expected = f"one of {', '.join(names)}"
    return Problem(text, path, found=str(got), expected=expected, remedy=f"Write {expected}")


def _version_policy(policy: pb.ModelVersionPolicy, model: str) -> Iterator[Problem]:
    choice = policy.WhichOneof("policy_choice")
    if choice == "latest" and policy.latest.num_versions < 1:
        yield Problem(
            f"version policy 'latest' must have 'num_versions' >= 1 for {model}, got 0",
            "version_policy.latest",
            found="0",
            expected=">= 1",
            remedy="Write latest { num_versions: 1 }",
        )
    if choice == "specific" and not policy.specific.versions:
        yield Problem(
            f"version policy 'specific' must list at least one of 'versions' for {model}",
            "version_policy.specific",
            found="no version",
            expected="at least one",
            remedy="List them, such as specific { versions: [ 1 ] }",
        )
    for i, version in enumerate(policy.specific.versions):
        if version < 0:
            yield Problem(
                f"version policy 'specific' must list versions >= 0 for {model}, got {version}",
                f"version_policy.specific.versions[{i}]",
                found=str(version),
                expected="versions >= 0",
                remedy="Write the name of a version's directory",
            )


def _dynamic_batching(batching: pb.ModelDynamicBatching, max_batch_size: int, model: str) -> Iterator[Problem]:
    for i, size in enumerate(batching.preferred_batch_size):
        path = f"dynamic_batching.preferred_batch_size[{i}]"
        if size <= 0:
            text = f"dynamic batching preferred size must be positive for {model}, got {size}"
            yield Problem(
                text, path, found=str(size), expected="a number >= 1", remedy="Remove it, or write a batch size"
            )
        if 0 < max_batch_size < size:
            yield _too_large(model, size, max_batch_size, path)
    yield from _priorities(batching, model)
    policies = {"default_queue_policy": batching.default_queue_policy} | {
        f"priority_queue_policy[{level}]": policy for level, policy in batching.priority_queue_policy.items()
    }
    for name, policy in policies.items():
        path = f"dynamic_batching.{name}.timeout_action"
        if policy.timeout_action not in pb.ModelQueuePolicy.TimeoutAction.values():
            text = f"unknown timeout action {policy.timeout_action} for {model}"
            yield _unknown(text, path, policy.timeout_action, pb.ModelQueuePolicy.TimeoutAction.keys())
        delays = policy.timeout_action == pb.ModelQueuePolicy.DELAY and policy.default_timeout_microseconds
        if batching.preserve_ordering and delays:
            text = f"Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for {model}"
            remedy = "Write timeout_action: REJECT, or remove preserve_ordering"
            yield Problem(text, path, found="DELAY", expected="REJECT", remedy=remedy)


def _too_large(model: str, size: int, limit: int, path: str) -> Problem:
    return Problem(
        f"dynamic batching preferred size must be <= max batch size for {model}, got {size} and a maximum of {limit}",
        path,
        found=str(size),
        expected=f"at most {limit}",
        remedy=f"Remove it, or raise max_batch_size to {size}",
    )


def _priorities(batching: pb.ModelDynamicBatching, model: str) -> Iterator[Problem]:
    levels = batching.priority_levels
    if not levels:
        return
    default = batching.default_priority_level
    if not 1 <= default <= levels:
        text = f"default priority level must be in range [1, {levels}] for {model}, got {default}"
        yield _out_of_range(text, "dynamic_batching.default_priority_level", default, levels)
    for level in batching.priority_queue_policy:
        if not 1 <= level <= levels:
            text = f"priority queue policy must have priority level in range [1, {levels}] for {model}, got {level}"
            yield _out_of_range(text, f"dynamic_batching.priority_queue_policy[{level}]", level, levels)
    if batching.preserve_ordering and levels > 1:
        text = f"Only one priority level is allowed when 'preserve_ordering' is true for {model}, got {levels}"
        path, remedy = "dynamic_batching.priority_levels", "Remove priority_levels or preserve_ordering"
        yield Problem(text, path, found=str(levels), expected="one priority level", remedy=remedy)


def _out_of_range(text: str, path: str, level: int, levels: int) -> Problem:
    expected = f"in range [1, {levels}]"
    return Problem(text, path, found=str(level), expected=expected, remedy=f"Write a level {expected}")


def _instance_group(group: pb.ModelInstanceGroup, index: int, model: str) -> Iterator[Problem]:
    path = f"instance_group[{index}]"
    subject = f"instance group {group.name or f'{model}_{index}'} of model {model}"
    if group.kind not in pb.ModelInstanceGroup.Kind.values():
        text = f"{subject} has unknown kind {group.kind}"
        yield _unknown(text, f"{path}.kind", group.kind, pb.ModelInstanceGroup.Kind.keys())
    if group.kind in (pb.ModelInstanceGroup.KIND_CPU, pb.ModelInstanceGroup.KIND_MODEL) and group.gpus:
        kind = pb.ModelInstanceGroup.Kind.Name(group.kind)
        text, remedy = f"{subject} has kind {kind} but specifies one or more GPUs", "Remove 'gpus', or write KIND_GPU"
        yield Problem(text, f"{path}.gpus", found=f"gpus: {list(group.gpus)}", expected="no 'gpus'", remedy=remedy)
    if group.count > MANY_INSTANCES:
        yield Problem(
            f"{subject} has count {group.count}: so many batches would run at the same time",
            f"{path}.count",
            severity=Severity.WARNING,
            found=str(group.count),
            expected=f"at most {MANY_INSTANCES}",
            remedy="Write about as many as there are cores, or fewer: more of them only wait for each other",
        )
    if group.count < 0:
        yield Problem(
            f"{subject} has count {group.count}: it is taken for the default",
            f"{path}.count",
            severity=Severity.WARNING,
            found=str(group.count),
            expected="a number >= 1",
            remedy="Remove 'count', or write how many instances there are to be",
        )


def _warmup(sample: pb.ModelWarmup, path: str, model: str) -> Iterator[Problem]:
    for name, tensor in sorted(sample.inputs.items()):
        subject = f"warmup sample '{sample.name}' input '{name}'"
        if tensor.data_type not in FROM_CONFIG:
            yield Problem(f"{subject} must specify 'data_type' for {model}", f"{path}.inputs")
        if tensor.WhichOneof("input_data_type") is None:
            yield Problem(
                f"{subject} must specify its data for {model}",
                f"{path}.inputs",
                found="no data",
                expected="zero_data, random_data or input_data_file",
                remedy="Write 'zero_data: true' into it",
            )


def problems_of_completed(config: ModelConfig) -> Iterator[Problem]:
    """What is wrong with a config that its backend has completed, as far as `problems_of` could not tell."""
    yield from _batching(config)
    yield from _scalars(config)
    yield from _only_for_tensorrt(config)
    if not config.outputs:
        text = f"model {config.name} must specify 'output': its backend cannot tell them"
        yield _missing(text, "output", "output { name: ... data_type: ... dims: ... }")


def _batching(config: ModelConfig) -> Iterator[Problem]:
    batching = config.dynamic_batching
    if batching is None:
        return
    if not config.batching:
        yield Problem(
            f"'dynamic_batching' has no effect for {config.name}, whose 'max_batch_size' is 0",
            "dynamic_batching",
            severity=Severity.WARNING,
            found="a 'max_batch_size' of 0",
            expected="max_batch_size > 0",
            remedy="Set max_batch_size if the model has a batch dimension, else remove dynamic_batching",
        )
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
                    found="an empty reshape",
                    expected="a shape of one dimension or more",
                    remedy="Remove reshape, or set max_batch_size if the model has a batch dimension",
                )


def _only_for_tensorrt(config: ModelConfig) -> Iterator[Problem]:
    if config.backend == "tensorrt":
        return
    if config.cc_model_filenames:
        yield Problem(
            f"'cc_model_filenames' is not supported yet for backend '{config.backend}' of {config.name}",
            "cc_model_filenames",
            found="'cc_model_filenames'",
            expected="default_model_filename",
            remedy="Name the one file with default_model_filename",
            cause=Cause.NOT_YET,
        )
    for i, group in enumerate(config.instance_groups):
        if group.profile:
            yield Problem(
                f"instance group {group.name} of model {config.name} specifies profile field which is only supported "
                "for TensorRT models",
                f"instance_group[{i}].profile",
                found=f"profile {list(group.profile)}",
                expected="no 'profile'",
                remedy="Remove 'profile'",
            )

"""What a config may ask for and this server does not do yet.

What protects or would change answers is an error, so that no model is served as its config does not mean it; what
only tunes is a warning. Each names its field. When one of them is served, it leaves this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.message import Message

from naiad.core.problems import Cause, Problem, Severity
from naiad.protocol.generated.model_config_pb2 import ModelInstanceGroup


class _Unserved(NamedTuple):
    """A field, `[]` for every element on the way; it asks for something when it is set, or when it is `value`.

    remedy: what else to do than to remove the field; of a `value`, which `written` tells, all that there is to do.
    """

    path: str
    value: object = None
    remedy: str = ""
    written: str = ""


_ENSEMBLE = "call its models one after the other from the client, or join their graphs into one ONNX model"


_CHANGES_ANSWERS = (
    _Unserved("runtime"),
    _Unserved("platform", "ensemble", f"C{_ENSEMBLE[1:]}", '"ensemble"'),
    _Unserved("ensemble_scheduling", remedy=_ENSEMBLE),
    _Unserved("sequence_batching", remedy="pass the state from answer to request, as inputs and outputs"),
    _Unserved("batch_input[]"),
    _Unserved("batch_output[]"),
    _Unserved("input[].allow_ragged_batch", remedy="requests of one shape are put together without it"),
    _Unserved("input[].is_shape_tensor"),
    _Unserved("input[].is_non_linear_format_io"),
    _Unserved("output[].is_shape_tensor"),
    _Unserved("output[].is_non_linear_format_io"),
    _Unserved(
        "instance_group[].kind", ModelInstanceGroup.KIND_MODEL, "Write KIND_CPU, KIND_GPU or KIND_AUTO", "KIND_MODEL"
    ),
    _Unserved("instance_group[].secondary_devices"),
    _Unserved("instance_group[].passive"),
    _Unserved("dynamic_batching.priority_levels"),
    _Unserved("dynamic_batching.priority_queue_policy"),
    _Unserved("dynamic_batching.default_queue_policy.timeout_action"),
    _Unserved("model_operations.op_library_filename"),
    _Unserved("model_transaction_policy.decoupled"),
    _Unserved("model_repository_agents.agents"),
)

_ONLY_TUNES = (
    _Unserved("optimization.priority"),
    _Unserved("optimization.cuda"),
    _Unserved("optimization.execution_accelerators"),
    _Unserved("optimization.input_pinned_memory"),
    _Unserved("optimization.output_pinned_memory"),
    _Unserved("optimization.gather_kernel_buffer_threshold"),
    _Unserved("optimization.eager_batching"),
    _Unserved("instance_group[].rate_limiter"),
    _Unserved("instance_group[].host_policy"),
    _Unserved("dynamic_batching.default_priority_level"),
    _Unserved("metric_tags"),
    _Unserved("response_cache.enable"),
    _Unserved("model_metrics"),
)


def unserved(message: Message) -> Iterator[Problem]:
    """A problem for every field of a ModelConfig that is set and not served."""
    for entry in _CHANGES_ANSWERS:
        yield from (_refused(entry, path) for path in _set(message, entry))
    for entry in _ONLY_TUNES:
        yield from map(_ignored, _set(message, entry))


def _refused(entry: _Unserved, path: str) -> Problem:
    found = f"'{path}'" if entry.value is None else f"{path}: {entry.written}"
    remedy = f"Remove '{path}' if the model does without" if entry.value is None else ""
    return Problem(
        f"{found} is not supported yet, and a model is not served without what it asks for",
        path,
        found=found,
        remedy=", or ".join(filter(None, [remedy, entry.remedy])),
        cause=Cause.NOT_YET,
        topic="" if entry.value is None else f"{entry.path.replace('[]', '')}: {entry.written}",
    )


def _ignored(path: str) -> Problem:
    return Problem(
        f"'{path}' is not supported yet and is ignored",
        path,
        severity=Severity.WARNING,
        found=f"'{path}'",
        remedy=f"Leave it for a server that knows it, or remove '{path}': it changes nothing here",
        cause=Cause.NOT_YET,
    )


def _set(message: Message, entry: _Unserved) -> Iterator[str]:
    for path, value in _values(message, entry.path.split("."), ""):
        if value == entry.value if entry.value is not None else value:
            yield path


def _values(message: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    """What stands at a path: of a message that is set (even if it is empty) True, of another field its value."""
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    value, path = getattr(message, name), f"{path}.{name}" if path else name
    if step != name:
        for i, element in enumerate(value):
            yield from _values(element, rest, f"{path}[{i}]") if rest else iter([(f"{path}[{i}]", True)])
    elif rest:
        yield from _values(value, rest, path)
    else:
        yield path, message.HasField(name) if isinstance(value, Message) else value

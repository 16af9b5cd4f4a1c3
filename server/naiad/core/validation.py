"""Does a request fit a model? Pure; done once per signature and remembered as a Plan.

The order of the checks decides which of several mistakes a client is told of, and clients match on the texts:
both are the protocol's (number of inputs, requested outputs, then per input its name, batch dimension,
datatype and shape; last, per request, the sizes of the data).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

from naiad.core import strings
from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.errors import InvalidArgument
from naiad.core.spelling import closest
from naiad.core.types import DataType, InferRequest, Parameter, ResponseHead, Shape, Signature, TensorSpec

LARGE_STRINGS = 64 * 1024
"""Bytes of a BYTES tensor up to which its elements are looked at before the request is queued (some milliseconds)."""

NAMES_TOLD = 8
"""Names that an error about an unknown input or output lists."""

LONGEST_GUESSED = 64
"""Characters of an unknown name up to which it is compared with the known ones."""

_BATCH_HINT = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to "
    "each input shape. If you want to specify the full shape including the batch dim in your input dims config, "
    "try setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


class Expected(NamedTuple):
    """What one input's data must be: `nbytes` for a fixed-size datatype, `elements` for BYTES (nbytes is -1)."""

    name: str
    nbytes: int
    elements: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BatchKey:
    """What requests must have in common to share a batch: which inputs they carry, and their shapes without rows.

    Compared by identity: one version hands out one object per content.
    """

    shapes: tuple[Shape | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How requests of one signature run on one version.

    rows: batch rows (1 for a model without batch dimension).
    order: for each input of the config, its index in `InferRequest.data`, or -1 where the request has none.
    picks: indexes of the outputs to answer with, in the config's order; None means all.
    timeout_ns: the queue timeout, 0 for none. nbytes: what the only input's data must have, if there is just one and
    it is of a fixed-size datatype; else -1.
    """

    rows: int
    key: BatchKey
    order: tuple[int, ...]
    expected: tuple[Expected, ...]
    head: ResponseHead
    picks: tuple[int, ...] | None
    parameters: Mapping[str, Parameter]
    timeout_ns: int
    nbytes: int


def prefix(request_id: str) -> str:
    """How error texts name the request they are about."""
    return f"[request id: {request_id or '<id_unknown>'}] "


class Keys:
    """Hands out one BatchKey per content for as long as anybody holds it."""

    def __init__(self) -> None:
        self._keys: WeakValueDictionary[tuple[Shape | None, ...], BatchKey] = WeakValueDictionary()

    def of(self, shapes: tuple[Shape | None, ...]) -> BatchKey:
        return self._keys.setdefault(shapes, BatchKey(shapes))


def make_plan(config: ModelConfig, version: int, signature: Signature, request_id: str, keys: Keys) -> Plan:
    """Check a signature against a config; `request_id` only names the request in errors (InvalidArgument)."""
    tag = prefix(request_id)
    _check_count(config, signature, tag)
    picks = _pick_outputs(config, signature)
    order = _order(config, signature, tag)
    rows = _check_rows(config, signature.inputs, tag)
    for wanted, index in zip(config.inputs, order, strict=True):
        if index >= 0:
            _check_tensor(config, wanted, signature.inputs[index], tag)
    skip = 1 if config.batching else 0
    outputs = config.outputs if picks is None else [config.outputs[i] for i in picks]
    expected = tuple(_expected(spec) for spec in signature.inputs)
    return Plan(
        rows=rows,
        key=keys.of(tuple(signature.inputs[i].shape[skip:] if i >= 0 else None for i in order)),
        order=order,
        expected=expected,
        head=ResponseHead(config.name, str(version), tuple((o.name, o.datatype) for o in outputs)),
        picks=picks,
        parameters=signature.parameters,
        timeout_ns=_timeout_ns(config, signature.parameters),
        nbytes=expected[0].nbytes if len(expected) == 1 else -1,
    )


def check_data(plan: Plan, model: str, request: InferRequest) -> bool:
    """Check that each tensor has the bytes that its shape promises; InvalidArgument otherwise.

    Gives whether `check_strings` is left to do: looking at every element of a large BYTES tensor takes too long for a
    thread that serves a wire.
    """
    if plan.nbytes >= 0 and request.data[0].nbytes == plan.nbytes:
        return False
    late = False
    for want, array in zip(plan.expected, request.data, strict=True):
        if want.nbytes < 0:
            late = late or array.nbytes > LARGE_STRINGS
        elif array.nbytes != want.nbytes:
            raise InvalidArgument(
                f"{prefix(request.id)}input byte size mismatch for input '{want.name}' for model '{model}'. "
                f"Expected {want.nbytes}, got {array.nbytes}"
            )
    if not late:
        check_strings(plan, model, request)
    return late


def check_strings(plan: Plan, model: str, request: InferRequest) -> None:
    """Check that each BYTES tensor has the elements that its shape promises; InvalidArgument otherwise."""
    for want, array in zip(plan.expected, request.data, strict=True):
        fault = strings.fault(array, want.elements, want.name, model) if want.nbytes < 0 else None
        if fault is not None:
            raise InvalidArgument(prefix(request.id) + fault)


def _check_count(config: ModelConfig, signature: Signature, tag: str) -> None:
    required = sum(not tensor.optional for tensor in config.inputs)
    if not required <= len(signature.inputs) <= len(config.inputs):
        raise _wrong_inputs(config, signature, tag)


def _wrong_inputs(config: ModelConfig, signature: Signature, tag: str) -> InvalidArgument:
    required = [tensor.name for tensor in config.inputs if not tensor.optional]
    given = [spec.name for spec in signature.inputs]
    number = "{} inputs" if len(required) == len(config.inputs) else "number of inputs between {} and {}"
    missing = [name for name in required if name not in given]
    return InvalidArgument(
        f"{tag}expected {number.format(len(required), len(config.inputs))} but got {len(given)} inputs for model "
        f"'{config.name}'. Got input(s) {_quoted(given)}, but missing required input(s) {_quoted(missing)}. "
        f"Please provide all required input(s).{_left_out(config, given) if not missing else ''}"
    )


def _left_out(config: ModelConfig, given: Sequence[str]) -> str:
    """What to do about inputs that the model does not have."""
    known = {tensor.name for tensor in config.inputs}
    unknown = [name for name in given if name not in known]
    more = ", ..." if len(unknown) > NAMES_TOLD else ""
    return f" Leave out {_quoted(unknown[:NAMES_TOLD])}{more}." if unknown else ""


def _quoted(names: Iterable[str]) -> str:
    return "[" + ",".join(f"'{name}'" for name in names) + "]"


def _unexpected(side: str, name: str, config: ModelConfig, tensors: Sequence[TensorConfig]) -> InvalidArgument:
    known = ", ".join(f"'{tensor.name}'" for tensor in tensors[:NAMES_TOLD])
    more = f" or {len(tensors) - NAMES_TOLD} others" if len(tensors) > NAMES_TOLD else ""
    short = len(name) <= LONGEST_GUESSED
    guess = closest(name, [tensor.name for tensor in tensors[:NAMES_TOLD]]) if short else None
    return InvalidArgument(
        f"unexpected inference {side} '{name}' for model '{config.name}', expected one of {known}{more}"
        + (f". Did you mean '{guess}'?" if guess else "")
    )


def _pick_outputs(config: ModelConfig, signature: Signature) -> tuple[int, ...] | None:
    if not signature.outputs:
        return None
    known = {output.name: i for i, output in enumerate(config.outputs)}
    for output in signature.outputs:
        if output.name not in known:
            raise _unexpected("output", output.name, config, config.outputs)
    picks = tuple(sorted({known[output.name] for output in signature.outputs}))
    return None if len(picks) == len(config.outputs) else picks


def _order(config: ModelConfig, signature: Signature, tag: str) -> tuple[int, ...]:
    given = {spec.name: i for i, spec in enumerate(signature.inputs)}
    known = {tensor.name for tensor in config.inputs}
    for name in given:
        if name not in known:
            raise _unexpected("input", name, config, config.inputs)
    if any(tensor.name not in given and not tensor.optional for tensor in config.inputs):
        raise _wrong_inputs(config, signature, tag)
    return tuple(given.get(tensor.name, -1) for tensor in config.inputs)


def _check_rows(config: ModelConfig, inputs: tuple[TensorSpec, ...], tag: str) -> int:
    """The batch size that all inputs agree on, 1 for a model without batch dimension."""
    for spec in inputs:
        if any(dim < 0 for dim in spec.shape):
            raise InvalidArgument(
                f"{tag}All input dimensions should be specified for input '{spec.name}' for model "
                f"'{config.name}', got {_shape(spec.shape)}"
            )
    if not config.batching:
        return 1
    for spec in inputs:
        if not spec.shape:
            raise InvalidArgument(
                f"{tag}input '{spec.name}' has no shape but model requires batch dimension for '{config.name}'"
            )
        if spec.shape[0] != inputs[0].shape[0]:
            raise InvalidArgument(
                f"{tag}input '{spec.name}' batch size does not match other inputs for '{config.name}'"
            )
    rows = inputs[0].shape[0] if inputs else 1
    if rows > config.max_batch_size:
        raise InvalidArgument(
            f"{tag}inference request batch-size must be <= {config.max_batch_size} for '{config.name}', got {rows}. "
            "Split the batch into several requests"
        )
    if rows == 0:
        raise InvalidArgument(
            f"{tag}inference request batch-size must be >= 1 for '{config.name}', got 0. Send no request for no rows"
        )
    return rows


def _check_tensor(config: ModelConfig, wanted: TensorConfig, spec: TensorSpec, tag: str) -> None:
    if spec.datatype is not wanted.datatype:
        raise InvalidArgument(
            f"{tag}inference input '{spec.name}' data-type is '{spec.datatype.value}', but model "
            f"'{config.name}' expects '{wanted.datatype.value}'"
        )
    shape = config.shape(wanted)
    if len(shape) == len(spec.shape) and all(w in (-1, got) for w, got in zip(shape, spec.shape, strict=True)):
        return
    raise InvalidArgument(
        f"{tag}unexpected shape for input '{spec.name}' for model '{config.name}'. Expected {_shape(shape)}, "
        f"got {_shape(spec.shape)}. " + (_BATCH_HINT if config.batching else "")
    )


def _shape(shape: Shape) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _expected(spec: TensorSpec) -> Expected:
    elements = 1
    for dim in spec.shape:
        elements *= dim
    nbytes = -1 if spec.datatype is DataType.BYTES else elements * spec.datatype.itemsize
    return Expected(spec.name, nbytes, elements)


def _timeout_ns(config: ModelConfig, parameters: Mapping[str, Parameter]) -> int:
    """The queue's timeout; a request may shorten it, or set one where there is none, if the config allows."""
    if config.dynamic_batching is None:
        return 0
    policy = config.dynamic_batching.queue_policy
    timeout = policy.default_timeout_microseconds
    own = parameters.get("timeout", 0)
    if policy.allow_timeout_override and type(own) is int and own > 0 and (timeout == 0 or own < timeout):
        timeout = own
    return timeout * 1000

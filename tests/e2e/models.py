"""Models for tests of a server: written where a test wants them, and called as the wire has it.

Requests sent one after the other, even on one connection, may arrive in any order: `busy` is how a test knows that a
model runs one and has others waiting.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.conformance.messages import Given, fp32, request
from tests.e2e.server import PATIENCE, Server

BATCHING = "dynamic_batching { }"


def identity(
    directory: Path, name: str, delay_ms: int = 0, max_batch_size: int = 1, more: str = BATCHING, dims: int = 1
) -> Path:
    """Write a model of one instance that returns FP32 [dims] after `delay_ms`; return the repository."""
    (directory / name / "1").mkdir(parents=True)
    tensor = f"data_type: TYPE_FP32 dims: [{dims}]"
    config = [
        f'name: "{name}"',
        'backend: "identity"',
        f"max_batch_size: {max_batch_size}",
        f'input {{ name: "INPUT0" {tensor} }}',
        f'output {{ name: "OUTPUT0" {tensor} }}',
        "instance_group { kind: KIND_CPU count: 1 }",
        more,
    ]
    if delay_ms:
        config.append(f'parameters {{ key: "execute_delay_ms" value: {{ string_value: "{delay_ms}" }} }}')
        config.append('parameters { key: "warmup" value: { string_value: "none" } }')
    (directory / name / "config.pbtxt").write_text("\n".join([*config, ""]))
    return directory


def ask(model: str, *values: float, request_id: str = "", width: int = 1) -> Any:
    """Return the request of as many rows as there are values, each `width` times; other widths, other batches."""
    repeated = [value for value in values for _ in range(width)]
    return request(model, Given("INPUT0", "FP32", [len(values), width], fp32(repeated)), request_id=request_id)


def send(server: Server, model: str, *values: float) -> list[Any]:
    """Send a request of one row for each value, and return the calls."""
    return [server.stub.ModelInfer.future(ask(model, value), timeout=PATIENCE) for value in values]


def ended(calls: Iterable[Any]) -> Iterator[Any]:
    """Return the calls in the order in which they end."""
    queue: SimpleQueue[Any] = SimpleQueue()
    waiting = list(calls)
    for call in waiting:
        call.add_done_callback(queue.put)
    for _ in waiting:
        yield queue.get(timeout=PATIENCE)


def busy(server: Server, model: str, *values: float) -> list[Any]:
    """Send a request for each value and wait for the first answer; return the others.

    All of them have arrived by then, if they do so within the time of one run: from now on the model is busy for as
    many runs as they need.
    """
    calls = send(server, model, *values)
    first = next(ended(calls))
    first.result()
    return [call for call in calls if call is not first]

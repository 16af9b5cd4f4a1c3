"""One run: gather, compute, split. The boundary to a backend, where whatever it raises becomes an error value."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic_ns
from typing import NamedTuple

from naiad.core.backend import Result
from naiad.core.batch import Shaper
from naiad.core.errors import BackendError, ExecutableLost, InvalidArgument, NaiadError
from naiad.core.pending import Pending
from naiad.core.strategy import Outcome, Run
from naiad.core.types import Array, InferResponse
from naiad.core.validation import check_strings

IDS_LOGGED = 8

log = logging.getLogger(__name__)


class Computed(NamedTuple):
    """What became of a run: an outcome per request, and when its phases ended (`time.monotonic_ns`).

    rows: rows that ran, 0 when all requests failed. failed: some or all did. lost: the instance is gone with its
    executable.
    """

    outcomes: list[Outcome]
    gathered_ns: int
    computed_ns: int
    rows: int
    failed: bool = False
    lost: bool = False


def compute(shaper: Shaper, run: Run) -> Computed:
    """Run a batch. Never raises for anything that a backend does."""
    faults = {i: fault for i, entry in enumerate(run.entries) if entry.unchecked and (fault := _fault(shaper, entry))}
    if not faults:
        return _compute(shaper, run)
    sound = [entry for i, entry in enumerate(run.entries) if i not in faults]
    computed = _compute(shaper, run._replace(entries=sound)) if sound else _all_failed(run, faults[0], run.taken_ns)
    rest = iter(computed.outcomes)
    outcomes = [faults.get(i) or next(rest) for i in range(len(run.entries))]
    return computed._replace(outcomes=outcomes, failed=True)


def _fault(shaper: Shaper, entry: Pending) -> InvalidArgument | None:
    """What is wrong with BYTES tensors that were too large to look at before."""
    try:
        check_strings(entry.plan, shaper.model, entry.request)
    except InvalidArgument as error:
        return error
    return None


def _compute(shaper: Shaper, run: Run) -> Computed:
    gathered = computed = run.taken_ns
    try:
        batch = shaper.gather(run.entries)
        gathered = monotonic_ns()
        result = run.instance.executable.run(batch)
        computed = monotonic_ns()
        arrays = shaper.outputs(result, batch.rows)
        outcomes = _outcomes(run.entries, arrays, batch.starts, result)
    except NaiadError as error:
        return _all_failed(run, error, gathered)
    except BaseException as error:  # a thread is not to end because a backend wants to exit
        log.exception("instance %s failed in a run of %d requests: %s", run.instance.name, len(run.entries), _ids(run))
        return _all_failed(run, BackendError(f"{type(error).__name__}: {error}"), gathered)
    rows = batch.rows if len(result.failures) < len(outcomes) else 0
    return Computed(outcomes, gathered, computed, rows, bool(result.failures))


def _ids(run: Run) -> str:
    """The ids of a run's requests for a log line, with their traces: the first few."""
    named = [f"{e.request.id or '<id_unknown>'} {e.request.trace_id}".strip() for e in run.entries[:IDS_LOGGED]]
    return ", ".join(named) + (", ..." if len(run.entries) > IDS_LOGGED else "")


def _all_failed(run: Run, error: NaiadError, gathered_ns: int) -> Computed:
    outcomes: list[Outcome] = [error] * len(run.entries)
    return Computed(outcomes, gathered_ns, monotonic_ns(), 0, failed=True, lost=isinstance(error, ExecutableLost))


def _outcomes(
    entries: Sequence[Pending], arrays: Sequence[Array], starts: Sequence[int], result: Result
) -> list[Outcome]:
    outcomes: list[Outcome]
    if len(entries) == 1:
        outcomes = [_response(entries[0], arrays)]
    elif len(arrays) == 1:
        array = arrays[0]
        outcomes = [
            InferResponse(entry.plan.head, entry.request.id, (array[start:stop],))
            for entry, start, stop in zip(entries, starts, starts[1:], strict=False)
        ]
    else:
        outcomes = [
            _response(entry, [array[start:stop] for array in arrays])
            for entry, start, stop in zip(entries, starts, starts[1:], strict=False)
        ]
    for index, error in result.failures.items():
        outcomes[index] = error
    return outcomes


def _response(entry: Pending, arrays: Sequence[Array]) -> InferResponse:
    picks = entry.plan.picks
    return InferResponse(
        entry.plan.head, entry.request.id, tuple(arrays if picks is None else [arrays[i] for i in picks])
    )

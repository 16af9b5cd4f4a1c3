"""What has become of every model and version of the repositories, whether it is served or not.

A model of which nothing can be served, since its config is wrong, has no version: it stands as failed under an empty
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from naiad.core.engine import ModelHistory
from naiad.core.lifecycle import Phase
from naiad.observability.exposition import Block, Family, labels

STATE = Family("naiad_model_state", "gauge", "How a version stands: 1 for its present state, 0 for the others.")
LOAD_SECONDS = Family("naiad_model_load_duration_seconds", "gauge", "How long a version's last load took.")
TRITON_LOAD_SECONDS = Family("nv_model_load_duration_secs", "gauge", "Model load time in seconds")
LOADS = Family("naiad_model_loads_total", "counter", "Loads of a model's versions that have ended, by outcome.")
SWAPS = Family(
    "naiad_model_swaps_total", "counter", "How often requests that name no version went to another one than before."
)


def blocks(histories: Iterable[ModelHistory]) -> list[Block]:
    histories = tuple({of.name: of for of in histories}.values())  # two names may differ by what text cannot show
    states = (line for of in histories for line in _states(of))
    loads = [
        LOADS.sample(labels({"model": of.name, "outcome": outcome}), count)
        for of in histories
        for outcome, count in (("success", of.loads), ("failure", of.load_failures))
    ]
    return [
        (STATE, states),
        (LOAD_SECONDS, [line for of in histories for line in _load_seconds(LOAD_SECONDS, of)]),
        (TRITON_LOAD_SECONDS, [line for of in histories for line in _load_seconds(TRITON_LOAD_SECONDS, of)]),
        (LOADS, loads),
        (SWAPS, [SWAPS.sample(labels({"model": of.name}), of.swaps) for of in histories]),
    ]


def _states(of: ModelHistory) -> Iterator[str]:
    stands: list[tuple[int | None, Phase]] = [*sorted(of.phases.items())]
    if not stands and of.load_failures:
        stands = [(None, Phase.FAILED)]
    for number, present in stands:
        base = _version(of, number)
        for phase in Phase:
            yield STATE.sample(f'{base},state="{phase.value}"', int(phase is present))


def _load_seconds(family: Family, of: ModelHistory) -> Iterator[str]:
    for number, seconds in sorted(of.load_seconds.items()):
        yield family.sample(_version(of, number), seconds)


def _version(of: ModelHistory, number: int | None) -> str:
    return labels({"model": of.name, "version": "" if number is None else str(number)})

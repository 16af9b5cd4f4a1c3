"""What has become of every model and version of the repositories, whether it is served or not.

A model of which nothing can be served, since its config is wrong, has no version: it stands as failed under an empty
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from naiad.core.history import LIFE_NS, ModelHistory
from naiad.core.lifecycle import Phase
from naiad.observability.exposition import Block, Buckets, Family, labels
from naiad.observability.version_metrics import NS_PER_S

STATE = Family("naiad_model_state", "gauge", "How a version stands: 1 for its present state, 0 for the others.")
LOAD_SECONDS = Family("naiad_model_load_duration_seconds", "gauge", "How long a version's last load took.")
TRITON_LOAD_SECONDS = Family("nv_model_load_duration_secs", "gauge", "Model load time in seconds")
LOADS = Family("naiad_model_loads_total", "counter", "Loads of a model's versions that have ended, by outcome.")
SWAPS = Family(
    "naiad_model_swaps_total", "counter", "How often requests that name no version went to another one than before."
)
ROLLBACKS = Family(
    "naiad_model_rollbacks_total",
    "counter",
    "How often a version failed so many requests after it was swapped in that the one before came back.",
)
COMING = Family(
    "naiad_model_coming",
    "gauge",
    "1 while a version serves and newer files of the same number are in this state, to take its place or failing to.",
)
RETRY = Family("naiad_model_next_load_timestamp_seconds", "gauge", "When a version that failed to load is tried again.")
LOADED = Buckets(
    Family("naiad_model_load_seconds", "histogram", "From the beginning of a version's load to its serving."),
    LIFE_NS,
    NS_PER_S,
)
DRAINED = Buckets(
    Family("naiad_model_drain_seconds", "histogram", "From a version's end to the last answer that it gave."),
    LIFE_NS,
    NS_PER_S,
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
        (ROLLBACKS, [ROLLBACKS.sample(labels({"model": of.name}), of.rollbacks) for of in histories]),
        (COMING, [line for of in histories for line in _coming(of)]),
        (RETRY, [line for of in histories for line in _retries(of)]),
        (LOADED.family, [LOADED.samples(labels({"model": of.name}), of.load_ns) for of in histories if of.loads]),
        (DRAINED.family, _drains(histories)),
    ]


def _states(of: ModelHistory) -> Iterator[str]:
    stands: list[tuple[int | None, Phase]] = [
        (number, standing.phase) for number, standing in sorted(of.versions.items())
    ]
    if not stands and of.load_failures:
        stands = [(None, Phase.FAILED)]
    for number, present in stands:
        base = _version(of, number)
        for phase in Phase:
            yield STATE.sample(f'{base},state="{phase.value}"', int(phase is present))


def _load_seconds(family: Family, of: ModelHistory) -> Iterator[str]:
    for number, standing in sorted(of.versions.items()):
        if standing.load_seconds is not None:
            yield family.sample(_version(of, number), standing.load_seconds)


def _coming(of: ModelHistory) -> Iterator[str]:
    for number, standing in sorted(of.versions.items()):
        if standing.coming is not None:
            yield COMING.sample(f'{_version(of, number)},state="{standing.coming.phase.value}"', 1)


def _retries(of: ModelHistory) -> Iterator[str]:
    for number, standing in sorted(of.versions.items()):
        retry_at = standing.retry_at if standing.coming is None else standing.coming.retry_at
        if retry_at is not None:
            yield RETRY.sample(_version(of, number), retry_at)


def _drains(histories: Iterable[ModelHistory]) -> Iterator[str]:
    for of in histories:
        if any(of.drain_ns.counts):
            yield DRAINED.samples(labels({"model": of.name}), of.drain_ns)


def _version(of: ModelHistory, number: int | None) -> str:
    return labels({"model": of.name, "version": "" if number is None else str(number)})

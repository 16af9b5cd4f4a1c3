"""What becomes of a model that runs under Triton today: one word for each model, with the reasons. Pure.

A model runs *better* where its config asks for something that Triton is known to do worse, of the list below. What
is better for every model alike, such as queues that are bounded without being told, makes none of them special and
does not count. A model that would be served with a warning is that, whatever else it is. One that Triton does not
load at all *runs only here*: it is neither the same nor better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from naiad.core.config import ModelConfig
from naiad.core.problems import Cause, Problem, Severity
from naiad.repository import formats


class Verdict(Enum):
    """Best first.

    NO_GPU: it is for a GPU that the host of the check does not have. TO_FIX: somebody's mistake keeps it, or one of
    its versions, from being served.
    """

    SAME = "runs the same"
    BETTER = "runs better"
    ONLY_HERE = "runs only here"
    WARNING = "runs with a warning"
    NO_GPU = "needs a GPU"
    TO_FIX = "to fix"
    NOT_YET = "not yet"
    NEVER = "never"


SHAPES = "requests, which may differ in shape, do not break up each other's batches"
TIMEOUT = "a timeout in the queue is answered when it passes"
OVERRIDE = "a request's own timeout is honoured without a default in the config"
FULL = "a full queue refuses at once and slows nothing that it has accepted"
SIBLINGS = "a version that fails leaves its siblings serving"
BETTER = (SHAPES, TIMEOUT, OVERRIDE, FULL, SIBLINGS)
"""What makes a model run better."""
FOUND = "the model's file is found by its ending, where Triton knows only the usual name"

_CAUSES = {
    Cause.NEVER: Verdict.NEVER,
    Cause.NOT_YET: Verdict.NOT_YET,
    Cause.MISTAKE: Verdict.TO_FIX,
    Cause.NO_GPU: Verdict.NO_GPU,
}


class Judgement(NamedTuple):
    """A model's verdict; `reasons` are short, the same for all models that have them."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


class Group(NamedTuple):
    """The models that one verdict has for one reason."""

    verdict: Verdict
    reason: str
    models: tuple[str, ...]


def improvements(written: ModelConfig | None, completed: ModelConfig, versions: int) -> Iterator[str]:
    """What Triton is known to do worse, of what a config asks for. `versions`: how many of the model are served."""
    batching = written.dynamic_batching if written else None
    if batching is not None and completed.max_batch_size > 1 and any(-1 in tensor.dims for tensor in completed.inputs):
        yield SHAPES
    if batching is not None:
        policy = batching.queue_policy
        if policy.default_timeout_microseconds:
            yield TIMEOUT
        elif policy.allow_timeout_override:
            yield OVERRIDE
        if policy.max_queue_size:
            yield FULL
    if versions > 1:
        yield SIBLINGS


def only_here(written: ModelConfig | None, completed: ModelConfig) -> Iterator[str]:
    """Why Triton would not load a version that is served here."""
    usual = {f.filename for f in formats.of_backend(completed.backend)}
    if not (written and written.default_model_filename) and completed.default_model_filename not in usual:
        yield FOUND


def judge(problems: Sequence[Problem], better: Iterable[str], new: Iterable[str] = ()) -> Judgement:
    """The verdict on a model with these problems; `better` are its improvements, `new` why it runs only here."""
    for cause, verdict in _CAUSES.items():
        if found := [p for p in problems if p.severity is Severity.ERROR and p.cause is cause]:
            return Judgement(verdict, _distinct(map(label, found)))
    if problems:
        return Judgement(Verdict.WARNING, _distinct(map(label, problems)))
    if alone := _distinct(new):
        return Judgement(Verdict.ONLY_HERE, alone)
    reasons = _distinct(better)
    return Judgement(Verdict.BETTER if reasons else Verdict.SAME, reasons)


def label(problem: Problem) -> str:
    """What a problem is about, without what is special to one model."""
    return problem.topic or re.sub(r"\[[^]]*\]", "", problem.field) or f"found {problem.found}"


def groups(judgements: Mapping[str, Judgement]) -> tuple[Group, ...]:
    """The models for each reason, by verdict and then the most frequent first. judgements: by model."""
    found: dict[tuple[Verdict, str], list[str]] = {}
    for model, (verdict, reasons) in judgements.items():
        for reason in reasons:
            found.setdefault((verdict, reason), []).append(model)
    order = list(Verdict)
    listed = [Group(verdict, reason, tuple(models)) for (verdict, reason), models in found.items()]
    return tuple(sorted(listed, key=lambda group: (order.index(group.verdict), -len(group.models), group.reason)))


def count(judged: Iterable[tuple[str, Verdict]]) -> dict[str, dict[Verdict, int]]:
    """How many models of each backend have each verdict, all verdicts named; the largest backend first."""
    pairs = Counter(judged)
    sizes = Counter(backend for backend, _ in pairs.elements())
    return {
        backend: {verdict: pairs[backend, verdict] for verdict in Verdict}
        for backend, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    }


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))

"""An inspection as text, for a terminal. What is served comes first in each model, then what is wrong with it.

Of a large fleet only the models with findings are shown, unless more or less is asked for. The last lines count the
models by backend and verdict, with the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from naiad.core.problems import Severity
from naiad.repository.check import Finding, Inspection, ModelReport, TensorReport, VersionReport
from naiad.repository.verdicts import Group, Verdict

FEW = 20
"""So many models are shown whole without being asked for."""
NAMES_SHOWN = 5
_TITLES = {
    Verdict.SAME: "the same",
    Verdict.BETTER: "better",
    Verdict.ONLY_HERE: "only here",
    Verdict.WARNING: "with a warning",
}


class Detail(Enum):
    """What is shown of each model. AUTO: all of up to FEW models, of more those with findings."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


def render(inspection: Inspection, detail: Detail = Detail.AUTO) -> str:
    """Lines for models and findings, the count by backend, and a summary as the last line."""
    whole = detail is Detail.ALL or len(inspection.models) <= FEW
    lines = [line for model in _shown(inspection, detail) for line in _model(model, whole=whole)]
    lines += [line for finding in inspection.findings for line in _finding(finding)]
    if inspection.findings:
        lines.append("")
    if inspection.models:
        lines += [*_table(inspection), *_reasons(inspection.groups()), ""]
    return "\n".join([*lines, _summary(inspection)])


def _shown(inspection: Inspection, detail: Detail) -> Sequence[ModelReport]:
    if detail is Detail.NONE:
        return ()
    if detail is Detail.ALL or len(inspection.models) <= FEW:
        return inspection.models
    return [model for model in inspection.models if model.findings]


def _model(model: ModelReport, *, whole: bool) -> Iterator[str]:
    yield f"{model.name}  {model.path}"
    for version in model.versions if whole else ():
        yield from (f"  {line}" for line in _version(version))
    for finding in model.findings:
        yield from (f"  {line}" for line in _finding(finding))
    yield ""


def _version(version: VersionReport) -> Iterator[str]:
    yield f"version {version.version}: {version.backend} {version.file}".rstrip()
    yield f"  in   {_tensors(version.inputs)}"
    yield f"  out  {_tensors(version.outputs)}"
    yield f"  {_batches(version)}; instances: {', '.join(version.instances)}"
    if version.completed:
        yield f"  completed: {', '.join(version.completed)}"


def _tensors(tensors: Iterable[TensorReport]) -> str:
    return ", ".join(f"{t.name} {t.datatype} [{','.join(map(str, t.shape))}]" for t in tensors)


def _batches(version: VersionReport) -> str:
    if not version.max_batch_size:
        return "no batch dimension"
    how = "requests are put together" if version.dynamic_batching else "each request runs alone"
    return f"batches of up to {version.max_batch_size}, {how}"


def _finding(finding: Finding) -> Iterator[str]:
    problem = finding.problem
    version = "" if finding.version is None else f"version {finding.version}: "
    place = f"{problem.place}: " if problem.place else ""
    yield f"{problem.severity.value}: {place}{version}{problem.message}"
    if problem.remedy:
        yield f"  to do: {problem.remedy}"


def _table(inspection: Inspection) -> Iterator[str]:
    """The models of each backend by verdict; a total where there are several backends."""
    counts = inspection.backends()
    rows = [(backend, list(of.values())) for backend, of in counts.items()]
    if len(rows) > 1:
        rows.append(("all", [sum(column) for column in zip(*(of.values() for of in counts.values()), strict=True)]))
    head = [_TITLES.get(verdict, verdict.value) for verdict in Verdict]
    first = max(len(title) for title in ("runs", *(name for name, _ in rows)))
    yield "  ".join(["runs".ljust(first), *head])
    for name, numbers in rows:
        cells = [str(number or "-").rjust(len(title)) for number, title in zip(numbers, head, strict=True)]
        yield "  ".join([name.ljust(first), *cells])


def _reasons(groups: Sequence[Group]) -> Iterator[str]:
    for verdict in Verdict:
        of_verdict = [group for group in groups if group.verdict is verdict]
        if of_verdict:
            yield f"{verdict.value}:"
        for _, reason, models in of_verdict:
            more = f", and {len(models) - NAMES_SHOWN} more" if len(models) > NAMES_SHOWN else ""
            yield f"  {len(models):4}  {reason}: {', '.join(models[:NAMES_SHOWN])}{more}"


def _summary(inspection: Inspection) -> str:
    versions = sum(len(model.versions) for model in inspection.models)
    parts = [
        _count(len(inspection.models), "model"),
        f"{_count(versions, 'version')} to serve",
        _count(inspection.count(Severity.ERROR), "error"),
        _count(inspection.count(Severity.WARNING), "warning"),
    ]
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

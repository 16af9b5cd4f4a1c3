"""An inspection as text, for a terminal. What is served comes first in each model, then what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from naiad.core.problems import Severity
from naiad.repository.check import Finding, Inspection, ModelReport, TensorReport, VersionReport


def render(inspection: Inspection) -> str:
    """Lines for every model and finding, and a summary as the last one."""
    lines = [line for model in inspection.models for line in _model(model)]
    lines += [_finding(finding) for finding in inspection.findings]
    return "\n".join([*lines, _summary(inspection)])


def _model(model: ModelReport) -> Iterator[str]:
    yield f"{model.name}  {model.path}"
    for version in model.versions:
        yield from (f"  {line}" for line in _version(version))
    for finding in model.findings:
        yield f"  {_finding(finding)}"
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


def _finding(finding: Finding) -> str:
    version = "" if finding.version is None else f"version {finding.version}: "
    place = f"{finding.place}: " if finding.place else ""
    return f"{finding.severity}: {place}{version}{finding.text}"


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

"""What a server would serve from repositories, and everything that is wrong with them, without serving.

Each version that would be served is opened by its backend, so that broken files are found too; nothing is loaded
onto a device. One model after the other, so that no more than one is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig, Problem, Severity
from naiad.protocol.config_rules import problems_of_completed
from naiad.repository.loading import Backends, complete, create
from naiad.repository.reading import ModelReading, read
from naiad.repository.resolve import Resolved
from naiad.repository.scan import scan
from naiad.repository.source import LocalDirectory


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem; `version` is the one it concerns, None for the whole model."""

    severity: str
    place: str
    field: str
    text: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class TensorReport:
    """An input or output as clients see it: `shape` with the batch dimension, -1 for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VersionReport:
    """A version that would be served. `file` is relative to the model; `instances` reads like `2 on cpu`.

    completed: the config's fields that were not written but found out.
    """

    version: int
    backend: str
    file: str
    max_batch_size: int
    dynamic_batching: bool
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]
    instances: tuple[str, ...]
    completed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelReport:
    name: str
    path: str
    versions: tuple[VersionReport, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """All models by name, and what concerns none of them."""

    models: tuple[ModelReport, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings there are of a severity."""
        every = [*self.findings, *(finding for model in self.models for finding in model.findings)]
        return sum(finding.severity == severity.value for finding in every)

    @property
    def healthy(self) -> bool:
        """Whether everything would be served; warnings do not count."""
        return self.count(Severity.ERROR) == 0

    def as_json(self) -> dict[str, Any]:
        """The inspection as JSON knows it."""
        return {"healthy": self.healthy, **asdict(self)}


def inspect(roots: Sequence[Path], backends: Backends) -> Inspection:
    """Look at repositories, or single models' directories, as a server with these backends would."""
    snapshot = scan(map(LocalDirectory, roots))
    findings = [
        _finding(Problem(f"the repository cannot be read: {why}", place=str(path)))
        for path, why in snapshot.unreadable.items()
    ]
    if not snapshot.models and not findings:
        where = ", ".join(map(str, roots))
        findings.append(_finding(Problem("there are no models", place=where, severity=Severity.WARNING)))
    return Inspection(tuple(_model(read(model), backends) for model in snapshot.models.values()), tuple(findings))


def _finding(problem: Problem, version: int | None = None) -> Finding:
    return Finding(problem.severity.value, problem.place, problem.field, problem.text, version)


def _model(reading: ModelReading, backends: Backends) -> ModelReport:
    findings = [_finding(problem) for problem in reading.problems]
    versions = []
    for number, resolved in sorted(reading.versions.items()):
        problems: list[Problem] = []
        report = _version(number, resolved, reading, backends, problems)
        if report is not None:
            versions.append(report)
        findings += [_finding(problem, number) for problem in problems]
    model = reading.model
    return ModelReport(model.name, str(model.path), tuple(versions), tuple(findings))


def _version(
    number: int, resolved: Resolved | InvalidConfig, reading: ModelReading, backends: Backends, problems: list[Problem]
) -> VersionReport | None:
    """A report on one version, or None when it would not be served; adds to `problems`."""
    if isinstance(resolved, InvalidConfig):
        problems += resolved.problems
        return None
    try:
        completed = _complete(resolved, reading, backends)
    except InvalidConfig as error:
        problems += error.problems
        return None
    problems += [problem.located(reading.locate) for problem in problems_of_completed(completed)]
    return _report(number, resolved, reading.config, completed)


def _complete(resolved: Resolved, reading: ModelReading, backends: Backends) -> ModelConfig:
    """The config as a server would complete it, without loading anything. Raises InvalidConfig, with places."""
    backend = create(backends, resolved, reading.locate)
    try:
        return complete(backend, backends, resolved, reading.locate)
    finally:
        backend.close()


def _report(number: int, resolved: Resolved, written: ModelConfig | None, completed: ModelConfig) -> VersionReport:
    file = resolved.files.model_file
    return VersionReport(
        version=number,
        backend=completed.backend,
        file="" if file is None else str(file.relative_to(resolved.files.model_directory)),
        max_batch_size=completed.max_batch_size,
        dynamic_batching=completed.dynamic_batching is not None,
        inputs=_tensors(completed, completed.inputs),
        outputs=_tensors(completed, completed.outputs),
        instances=tuple(_instances(completed)),
        completed=tuple(_completed(written, completed)),
    )


def _tensors(config: ModelConfig, tensors: Iterable[TensorConfig]) -> tuple[TensorReport, ...]:
    return tuple(TensorReport(tensor.name, tensor.datatype.value, config.shape(tensor)) for tensor in tensors)


def _instances(config: ModelConfig) -> Iterator[str]:
    for group in config.instance_groups:
        for device in [f"gpu {gpu}" for gpu in group.gpus] or ["cpu"]:
            yield f"{group.count} on {device}"


_COMPLETED = {
    "backend": "backend",
    "platform": "platform",
    "max_batch_size": "max_batch_size",
    "inputs": "input",
    "outputs": "output",
    "dynamic_batching": "dynamic_batching",
    "instance_groups": "instance_group",
    "default_model_filename": "default_model_filename",
}
"""The fields that may be completed, and what they are called in a config."""


def _completed(written: ModelConfig | None, completed: ModelConfig) -> Iterator[str]:
    for field, name in _COMPLETED.items():
        if getattr(written, field, None) != getattr(completed, field):
            yield name

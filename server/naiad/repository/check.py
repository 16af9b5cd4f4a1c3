"""What a server would serve from repositories, and everything that is wrong with them, without serving.

Each version that would be served is opened by its backend, so that broken files are found too; nothing is loaded
onto a device. One model after the other, so that no more than one is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from naiad.core.config import ModelConfig, TensorConfig
from naiad.core.problems import InvalidConfig, Problem, Severity
from naiad.repository import repositories, verdicts
from naiad.repository.asked import Asked, left_out
from naiad.repository.loading import Backends, complete, create, problems_of_version
from naiad.repository.reading import ModelReading, read
from naiad.repository.resolve import Resolved
from naiad.repository.scan import scan
from naiad.repository.source import LocalDirectory
from naiad.repository.verdicts import Group, Judgement, Verdict

UNKNOWN = "(unknown)"
"""The backend of a model that tells none."""
_EVERYTHING = Asked()


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem; `version` is the one it concerns, None for the whole model."""

    problem: Problem
    version: int | None = None

    def as_json(self) -> dict[str, Any]:
        problem = self.problem
        return {
            "severity": problem.severity.value,
            "place": problem.place,
            "field": problem.field,
            "text": problem.message,
            "found": problem.found,
            "expected": problem.expected,
            "remedy": problem.remedy,
            "cause": problem.cause.value,
            "topic": verdicts.label(problem),
            "version": self.version,
        }


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
    """A model. `backend` is UNKNOWN where nothing tells it."""

    name: str
    path: str
    backend: str
    judgement: Judgement
    versions: tuple[VersionReport, ...]
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": self.path,
            "backend": self.backend,
            "verdict": self.judgement.verdict.value,
            "reasons": list(self.judgement.reasons),
            "versions": [asdict(version) for version in self.versions],
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """All models by name, and what concerns none of them."""

    models: tuple[ModelReport, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings there are of a severity."""
        every = [*self.findings, *(finding for model in self.models for finding in model.findings)]
        return sum(finding.problem.severity is severity for finding in every)

    @property
    def healthy(self) -> bool:
        """Whether everything would be served; warnings do not count."""
        return self.count(Severity.ERROR) == 0

    def backends(self) -> dict[str, dict[Verdict, int]]:
        """How many models of each backend have each verdict."""
        return verdicts.count((model.backend, model.judgement.verdict) for model in self.models)

    def groups(self) -> tuple[Group, ...]:
        """The models for each reason of a verdict."""
        return verdicts.groups({model.name: model.judgement for model in self.models})

    def as_json(self) -> dict[str, Any]:
        """The inspection as JSON knows it."""
        return {
            "healthy": self.healthy,
            "models": [model.as_json() for model in self.models],
            "findings": [finding.as_json() for finding in self.findings],
            "backends": {
                backend: {verdict.value: number for verdict, number in counts.items()}
                for backend, counts in self.backends().items()
            },
            "reasons": [
                {"verdict": verdict.value, "reason": reason, "models": list(models)}
                for verdict, reason, models in self.groups()
            ],
        }


def inspect(roots: Sequence[Path], backends: Backends, asked: Asked = _EVERYTHING) -> Inspection:
    """Look at repositories, or single models' directories, as a server with these backends would.

    asked: how configs are found and whether they are completed; all models are looked at, whatever it says.
    """
    snapshot = scan(map(LocalDirectory, roots), asked.config_name)
    findings = repositories.problems(roots, snapshot)
    models = (_model(_demanding(read(model), asked), backends) for model in snapshot.models.values())
    return Inspection(tuple(models), tuple(map(Finding, findings)))


def _demanding(reading: ModelReading, asked: Asked) -> ModelReading:
    """The reading without its versions where the config is not to be completed and says too little."""
    if asked.complete or reading.config is None or not (missing := [*left_out(reading.config, reading.locate)]):
        return reading
    return replace(reading, config=None, versions={}, problems=(*reading.problems, *missing))


def _model(reading: ModelReading, backends: Backends) -> ModelReport:
    findings = [Finding(problem) for problem in reading.problems]
    versions: list[VersionReport] = []
    better: list[str] = []
    new: list[str] = []
    for number, resolved in sorted(reading.versions.items()):
        problems: list[Problem] = []
        completed = _version(resolved, reading, backends, problems)
        if completed is not None and not isinstance(resolved, InvalidConfig):
            versions.append(_report(number, resolved, reading.config, completed))
            better += verdicts.improvements(reading.config, completed, len(reading.versions))
            new += verdicts.only_here(reading.config, completed)
        findings += [Finding(problem, number) for problem in problems]
    name, path = reading.model.name, str(reading.model.path)
    judgement = verdicts.judge([finding.problem for finding in findings], better, new)
    return ModelReport(name, path, _backend(reading), judgement, tuple(versions), tuple(findings))


def _backend(reading: ModelReading) -> str:
    """The backend that the config asks for, else the one of the newest version that tells."""
    told = [v.config.backend for _, v in sorted(reading.versions.items()) if not isinstance(v, InvalidConfig)]
    return reading.backend or (told[-1] if told else UNKNOWN)


def _version(
    resolved: Resolved | InvalidConfig, reading: ModelReading, backends: Backends, problems: list[Problem]
) -> ModelConfig | None:
    """The completed config of one version, or None when it would not be served; adds to `problems`."""
    if isinstance(resolved, InvalidConfig):
        problems += resolved.problems
        return None
    try:
        completed = _complete(resolved, reading, backends)
    except InvalidConfig as error:
        problems += error.problems
        return None
    problems += problems_of_version(completed, reading.locate)
    return completed


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

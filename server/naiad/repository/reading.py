"""From a model's directory to what is wanted of it: its config, and each version to serve with its files.

A mistake in the config keeps the whole model from being served; one in a version's files only that version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from naiad.core.config import ModelConfig
from naiad.core.problems import InvalidConfig, Locate, Problem, Severity, errors
from naiad.protocol import model_config_pb2
from naiad.protocol.config import from_message
from naiad.repository import formats
from naiad.repository.pbtxt import ConfigError, parse
from naiad.repository.resolve import Resolved, resolve
from naiad.repository.snapshot import ModelSnapshot


@dataclass(frozen=True, slots=True)
class ModelReading:
    """What a model's directory asks for.

    config: as written; None when an error among `problems` keeps the model from being served, and then `versions` is
        empty. Each version has a config of its own, with its backend and file.
    versions: those that the version policy selects, or why one of them cannot be loaded.
    locate: from a config's field to its place, for what a backend finds out later.
    """

    model: ModelSnapshot
    config: ModelConfig | None
    versions: Mapping[int, Resolved | InvalidConfig]
    problems: tuple[Problem, ...]
    locate: Locate

    @property
    def error(self) -> InvalidConfig | None:
        """Why nothing of the model can be served."""
        found = errors(self.problems)
        return InvalidConfig(found) if found else None


def read(model: ModelSnapshot) -> ModelReading:
    """Read a model's config and find out how to load the versions that it selects. Raises nothing."""
    if errors(model.problems):
        return ModelReading(model, None, {}, model.problems, _directory(model))
    try:
        message, locate = _message(model)
    except ConfigError as error:
        return ModelReading(model, None, {}, (*error.problems, *model.problems), _directory(model))
    config, problems = from_message(message, model.name, locate)
    found = [*problems, *model.problems]
    if config is None:
        return ModelReading(model, None, {}, tuple(found), locate)
    selected = config.version_policy.select(frozenset(model.versions))
    found += [problem.located(locate) for problem in _selection(model, config, selected)]
    if errors(found):
        return ModelReading(model, None, {}, tuple(found), locate)
    versions = {number: _resolved(model, number, config, locate) for number in selected}
    return ModelReading(model, config, versions, tuple(found), locate)


def _message(model: ModelSnapshot) -> tuple[model_config_pb2.ModelConfig, Locate]:
    if model.config is None:
        return model_config_pb2.ModelConfig(), _directory(model)
    parsed = parse(model.config, str(model.config_path))
    return parsed.message, parsed.locate


def _directory(model: ModelSnapshot) -> Locate:
    """Where to look for a field of a config that is not there: in the model's directory."""
    return lambda _: str(model.path)


def _selection(model: ModelSnapshot, config: ModelConfig, selected: tuple[int, ...]) -> list[Problem]:
    """What is wrong with the versions that a policy selects."""
    absent = [v for v in config.version_policy.specific if v not in model.versions]
    problems = [
        Problem(
            f"version {v} is specified for model '{model.name}', but the version directory is not present",
            "version_policy.specific",
            severity=Severity.WARNING,
        )
        for v in absent
    ]
    if not selected:
        present = ", ".join(map(str, sorted(model.versions))) or "none"
        problems.append(
            Problem(
                f"at least one version must be available under the version policy of model '{model.name}', there are "
                f"{present}{_misplaced(model)}",
                "version_policy",
                "" if model.versions else str(model.path),
            )
        )
    return problems


def _misplaced(model: ModelSnapshot) -> str:
    files = [name for name in model.files if formats.of_file(name)]
    return f"; '{files[0]}' belongs into a version directory: '{model.path / '1' / files[0]}'" if files else ""


def _resolved(model: ModelSnapshot, number: int, config: ModelConfig, locate: Locate) -> Resolved | InvalidConfig:
    try:
        return resolve(model, number, config)
    except InvalidConfig as error:
        return error.located(locate)

"""From a model's directory to what is wanted of it: its config, and each version to serve with its files.

A mistake in the config keeps the whole model from being served; one in a version's files only that version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from naiad import backends
from naiad.backends import plans
from naiad.core.config import ModelConfig, VersionPolicy
from naiad.core.problems import InvalidConfig, Locate, Problem, Severity, errors
from naiad.protocol import model_config_pb2
from naiad.protocol.config import from_message, version_policy
from naiad.repository import formats
from naiad.repository.names import CONFIG, meant_version, resembles_config
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
    backend: the one that the config asks for, as far as it could be read; empty where it says nothing.
    """

    model: ModelSnapshot
    config: ModelConfig | None
    versions: Mapping[int, Resolved | InvalidConfig]
    problems: tuple[Problem, ...]
    locate: Locate
    backend: str = ""

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
    backend = _backend(message)
    config, problems = from_message(message, model.name, locate)
    found = [*problems, *model.problems, *_unread_configs(model)]
    found += [problem.located(locate) for problem in _refused(message)]
    if not any(problem.field.startswith("version_policy") for problem in errors(found)):
        policy = version_policy(message.version_policy)
        selected = policy.select(frozenset(model.versions))
        found += [problem.located(locate) for problem in _selection(model, policy, selected)]
        if config is not None and not errors(found):
            versions = {number: _resolved(model, number, config, locate) for number in selected}
            return ModelReading(model, config, versions, tuple(found), locate, backend)
    return ModelReading(model, None, {}, tuple(found), locate, backend)


def _backend(message: model_config_pb2.ModelConfig) -> str:
    """The backend that a config asks for, by name or by platform, whether it is served or not."""
    known = formats.of_platform(message.platform)
    return message.backend or (known.backend if known else message.platform.partition("_")[0])


def _refused(message: model_config_pb2.ModelConfig) -> Iterator[Problem]:
    """Why a backend that is known and not served keeps a model from being served."""
    name = _backend(message)
    if name in plans.NEVER or (name in plans.NOT_YET and message.platform != "ensemble"):
        yield plans.refusal(name, backends.SERVED, "backend" if message.backend else "platform")


def _message(model: ModelSnapshot) -> tuple[model_config_pb2.ModelConfig, Locate]:
    if model.config is None:
        return model_config_pb2.ModelConfig(), _directory(model)
    parsed = parse(model.config, str(model.config_path))
    return parsed.message, parsed.locate


def _directory(model: ModelSnapshot) -> Locate:
    """Where to look for a field of a config that is not there: in the model's directory."""
    return lambda _: str(model.path)


def _unread_configs(model: ModelSnapshot) -> Iterator[Problem]:
    """What was probably meant as the config of a model that has none."""
    if model.config is not None:
        return
    for name in filter(resembles_config, model.files):
        yield _unread(model.path / name, f"'{name}'", model.config_path)
    for version in model.versions.values():
        if CONFIG in version.files:
            yield _unread(version.path / CONFIG, f"'{CONFIG}' in a version's directory", model.config_path)


def _unread(path: Path, found: str, config: Path) -> Problem:
    other = path.suffix in (".json", ".yaml", ".yml", ".toml")
    remedy = f"Write it as protobuf text into '{config}'" if other else f"Move it to '{config}'"
    return Problem(
        f"{found} is not read, and the model has no {CONFIG}",
        place=str(path),
        severity=Severity.WARNING,
        found=found,
        expected=f"'{config}'",
        remedy=remedy,
        topic="a config of another name or in another place",
    )


def _selection(model: ModelSnapshot, policy: VersionPolicy, selected: tuple[int, ...]) -> Iterator[Problem]:
    """What is wrong with the versions that a policy selects."""
    present = ", ".join(map(str, sorted(model.versions))) or "none"
    for version in policy.specific:
        if version not in model.versions:
            yield Problem(
                f"version {version} is specified for model '{model.name}', but the version directory is not present",
                "version_policy.specific",
                severity=Severity.WARNING,
                found=f"versions {present}" if model.versions else "no versions",
                expected=f"a directory '{model.path / str(version)}'",
                remedy="Add the directory, or remove the version from the policy",
            )
    if not selected:
        yield Problem(
            f"at least one version must be available under the version policy of model '{model.name}', there are "
            f"{present}",
            "version_policy",
            "" if model.versions else str(model.path),
            found=present,
            expected="a version that the policy selects" if model.versions else f"a directory '{model.path / '1'}'",
            remedy=_find_versions(model),
            topic="no version that the policy selects" if model.versions else "no version's directory",
        )


def _find_versions(model: ModelSnapshot) -> str:
    """How to get a version out of what there is."""
    if model.versions:
        return f"List one of {', '.join(map(str, sorted(model.versions)))} in the policy"
    if model.models:
        return f"'{model.path}' is a repository itself, of {_some(model.models)}: give it as one"
    if files := [name for name in model.files if formats.of_file(name)]:
        return f"'{files[0]}' belongs into a version directory: '{model.path / '1' / files[0]}'"
    for stray in model.strays:
        if number := meant_version(stray):
            return f"Rename '{stray}' to '{number}'"
    first = f"Put the model's file into '{model.path / '1'}'"
    return formats.advice([*model.files, *model.strays]) or first


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _resolved(model: ModelSnapshot, number: int, config: ModelConfig, locate: Locate) -> Resolved | InvalidConfig:
    try:
        return resolve(model, number, config)
    except InvalidConfig as error:
        return error.located(locate)

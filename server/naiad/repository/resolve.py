"""Which backend runs a version, and which of its files is the model. Pure but for one look at each label file.

A config may name the backend, the platform or the file; what it leaves open the version's files tell, when exactly
one of them is a model, or has a model's usual name (`model.onnx`). A model without any of that may be called
`name.backend`. Errors are InvalidConfig, with the field that was to blame; one error of a version says nothing
against the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from naiad import backends
from naiad.backends import plans
from naiad.core.backend import ModelFiles
from naiad.core.config import ModelConfig
from naiad.core.problems import InvalidConfig, Problem, raise_errors
from naiad.core.spelling import SURE, closest
from naiad.repository import formats
from naiad.repository.formats import Format
from naiad.repository.names import stays_inside
from naiad.repository.snapshot import ModelSnapshot, VersionFiles


class Resolved(NamedTuple):
    """A version that a backend can be asked to load; the config names its backend and its file."""

    config: ModelConfig
    files: ModelFiles


def resolve(model: ModelSnapshot, number: int, config: ModelConfig) -> Resolved:
    """Find out how to load version `number` of a model that has it. Raises InvalidConfig."""
    version = model.versions[number]
    if version.problem:
        raise InvalidConfig([version.problem])
    raise_errors(_unsafe_paths(config))
    raise_errors(_missing_labels(model, config))
    if foreign := _foreign(version, config):
        return _of_another_backend(model, version, config, *foreign)
    chosen = _format(model, version, config)
    backend = config.backend or (chosen.backend if chosen else "")
    name, path = _file(model.name, version, config, chosen)
    resolved = replace(
        config,
        backend=backend,
        platform=config.platform or (chosen.platform if chosen else ""),
        default_model_filename=name,
    )
    return Resolved(resolved, ModelFiles(model.path, version.path, version.path / path if path else None))


def _foreign(version: VersionFiles, config: ModelConfig) -> tuple[str, Format] | None:
    """The model of another backend that a version holds, where neither the config nor another file tells one."""
    if config.backend or config.platform or _model_files(version, formats.FORMATS):
        return None
    return formats.foreign([config.default_model_filename] if config.default_model_filename else _tops(version))


def _of_another_backend(
    model: ModelSnapshot, version: VersionFiles, config: ModelConfig, name: str, form: Format
) -> Resolved:
    resolved = replace(config, backend=form.backend, platform=form.platform, default_model_filename=name)
    return Resolved(resolved, ModelFiles(model.path, version.path, version.path / name))


def _unsafe_paths(config: ModelConfig) -> Iterator[Problem]:
    """Every path of a config that leads out of the directory that it belongs to."""
    paths = {"default_model_filename": config.default_model_filename}
    paths |= {f'cc_model_filenames["{key}"]': path for key, path in config.cc_model_filenames.items()}
    paths |= {f"output[{i}].label_filename": output.label_filename for i, output in enumerate(config.outputs)}
    for field, path in paths.items():
        if path and not stays_inside(path):
            text = f"'{path}' leads out of the directory of model '{config.name}', expected a file in it"
            remedy = "Copy the file into the model's directory and give its path there"
            yield Problem(text, field, found=f"'{path}'", expected="a file in it", remedy=remedy)


def _missing_labels(model: ModelSnapshot, config: ModelConfig) -> Iterator[Problem]:
    for i, output in enumerate(config.outputs):
        name = output.label_filename
        if name and not (model.path / name).is_file():
            guess = closest(name, model.files)
            yield Problem(
                f"unable to find the label file '{name}' in '{model.path}' for model '{model.name}'",
                f"output[{i}].label_filename",
                found=f"the files {', '.join(sorted(model.files))}" if model.files else "no file",
                expected=f"'{model.path / name}'",
                remedy=f"Write '{guess}'" if guess else "Put it beside the config, or remove label_filename",
            )


def _format(model: ModelSnapshot, version: VersionFiles, config: ModelConfig) -> Format | None:
    """The format that the config or the files tell; None for a backend that is not known here."""
    by_platform = formats.of_platform(config.platform)
    if config.backend:
        of_backend = formats.of_backend(config.backend)
        if config.platform and of_backend and by_platform not in of_backend:
            raise InvalidConfig([_pair(config, of_backend)])
        return by_platform or _of_backend(of_backend, version, config)
    if config.platform:
        if by_platform is None:
            raise InvalidConfig([_unknown_platform(config)])
        return by_platform
    return _of_files(model, version, config)


def _pair(config: ModelConfig, of_backend: tuple[Format, ...]) -> Problem:
    expected = " or ".join(f"'{f.platform}'" for f in of_backend if f.platform) or "no platform"
    return Problem(
        f"unexpected 'platform' and 'backend' pair, got:{config.platform}, {config.backend}",
        "platform",
        found=f"'{config.platform}'",
        expected=expected,
        remedy="Remove 'platform': 'backend' says enough",
    )


def _unknown_platform(config: ModelConfig) -> Problem:
    known = {f.platform: f.backend for f in (*formats.FORMATS, *formats.FOREIGN) if f.platform}
    expected = f"one of {', '.join(f.platform for f in formats.FORMATS if f.platform)}"
    text = f"unexpected platform type '{config.platform}' for {config.name}, expected {expected}"
    guess = closest(config.platform, known, SURE)
    if guess is None:
        return plans.own_platform(config.platform, text, expected)
    if known[guess] not in backends.SERVED:
        return replace(
            plans.refusal(known[guess], backends.SERVED, "platform"), text=text, found=f"'{config.platform}'"
        )
    return Problem(text, "platform", found=f"'{config.platform}'", expected=expected, remedy=f"Write '{guess}'")


def _of_backend(candidates: tuple[Format, ...], version: VersionFiles, config: ModelConfig) -> Format | None:
    """Of the formats of a backend the one that there is a file of."""
    names = [config.default_model_filename] if config.default_model_filename else _model_files(version, candidates)
    return next((f for f in candidates for name in names if formats.of_file(name) == f), next(iter(candidates), None))


def _of_files(model: ModelSnapshot, version: VersionFiles, config: ModelConfig) -> Format:
    if config.default_model_filename:
        found = formats.of_file(config.default_model_filename)
        if found is None:
            raise InvalidConfig([_no_ending(model.name, config.default_model_filename)])
        return found
    names = _model_files(version, formats.FORMATS)
    usual = [f for f in formats.FORMATS if f.filename in names]
    if len(usual) == 1:
        return usual[0]
    alone = formats.of_file(names[0]) if len(names) == 1 else None
    if alone is not None:
        return alone
    suffix = formats.of_backend(model.name.rpartition(".")[2]) if "." in model.name else ()
    if suffix:
        return suffix[0]
    raise InvalidConfig([_undetermined(model.name, version, names)])


def _no_ending(model: str, name: str) -> Problem:
    expected = f"one of {_endings(formats.FORMATS)}"
    return Problem(
        f"could not determine backend for model '{model}' from '{name}', expected {expected}, or a 'backend'",
        "default_model_filename",
        found=f"'{name}'",
        expected=expected,
        remedy="Add a 'backend', such as backend: \"onnxruntime\"",
    )


def _undetermined(model: str, version: VersionFiles, names: list[str]) -> Problem:
    text = f"Could not determine backend for model '{model}'"
    if names:
        found, expected = f"several model files ({', '.join(names)})", "one, or a 'default_model_filename'"
        text = f"{text}: '{version.path}' has {found}, expected {expected}"
        remedy = f'Write default_model_filename: "{names[0]}", or another of them, into the config'
        place, topic = str(version.path), "several model files"
        return Problem(text, "backend", place, found=found, expected=expected, remedy=remedy, topic=topic)
    expected = f"a model file ({_endings(formats.FORMATS)})"
    text = (
        f"Invalid model name: {text} with no backend in model configuration. Expected model name of the form "
        f"'model.<backend_name>', or {expected} in '{version.path}', which has {_listing(version)}"
    )
    found, remedy = _listing(version), _bring(version) or f"Put the model there, as '{version.path / 'model.onnx'}'"
    topic = "no model file in a version's directory"
    return Problem(text, "backend", str(version.path), found=found, expected=expected, remedy=remedy, topic=topic)


def _bring(version: VersionFiles) -> str:
    """How to get a model file out of what is there, or nothing."""
    if version.passed_over:
        name = version.passed_over[0]
        return f"Rename '{name}' once it is complete: its name is that of a copy that goes on"
    below = sorted((name.count("/"), name) for name in version.files if "/" in name and formats.of_file(name))
    if below:
        _, path = below[0]
        return f"Move '{path}' up into '{version.path}', or write default_model_filename: \"{path}\" into the config"
    return formats.advice(_tops(version))


def _endings(candidates: Iterable[Format]) -> str:
    return ", ".join(f"*{ending}" for f in candidates for ending in f.endings)


def _listing(version: VersionFiles) -> str:
    names = _tops(version)
    if not names:
        return f"no files but {', '.join(version.passed_over[:8])}" if version.passed_over else "no files"
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _tops(version: VersionFiles) -> list[str]:
    """The files and directories at the top."""
    return sorted({name.partition("/")[0] for name in version.files})


def _model_files(version: VersionFiles, candidates: Iterable[Format]) -> list[str]:
    """The files, and directories at the top, whose names end like models of these formats."""
    endings = tuple(ending for f in candidates for ending in f.endings)
    return [top for top in _tops(version) if top.endswith(endings)] if endings else []


def _file(model: str, version: VersionFiles, config: ModelConfig, chosen: Format | None) -> tuple[str, str]:
    """What to call the model's file, and its path in the version; both empty for a backend that needs none.

    They differ for a directory that holds the file under its usual name: `model.onnx/model.onnx`.
    """
    name = config.default_model_filename
    if chosen is None or not chosen.filename:
        return name, name
    name = name or _only_file(model, version, chosen)
    for path in (name, f"{name}/{chosen.filename}"):
        if path in version.files:
            return name, path
    raise InvalidConfig([_missing_file(model, version, config, name)])


def _missing_file(model: str, version: VersionFiles, config: ModelConfig, name: str) -> Problem:
    there = _listing(version)
    guess = closest(name, [top for top in _tops(version) if top in version.files])
    remedy = _bring(version) or f"Put the model there, as '{version.path / name}'"
    first, _, rest = name.partition("/")
    if first == version.path.name and rest in version.files:
        remedy = f'Write default_model_filename: "{rest}": the path begins in the version\'s directory'
    elif guess:
        remedy = f"Rename '{guess}' to '{name}', or write default_model_filename: \"{guess}\" into the config"
    return Problem(
        f"unable to find '{version.path / name}' for model '{model}': the directory has {there}",
        "default_model_filename",
        "" if config.default_model_filename else str(version.path),
        found=there,
        expected=f"'{version.path / name}'",
        remedy=remedy,
        topic="a model file of another name than the config's or the usual one",
    )


def _only_file(model: str, version: VersionFiles, chosen: Format) -> str:
    """The default name where it is there, else the one file with an ending of the format."""
    names = _model_files(version, [chosen])
    if chosen.filename in names or not names:
        return chosen.filename
    if len(names) > 1:
        found = f"several model files ({', '.join(names)})"
        expected = f"one, or '{chosen.filename}' among them, or a 'default_model_filename'"
        text = f"'{version.path}' has {found} for model '{model}', expected {expected}"
        remedy = f'Write default_model_filename: "{names[0]}", or another of them, into the config'
        place = str(version.path)
        raise InvalidConfig(
            [
                Problem(
                    text,
                    "default_model_filename",
                    place,
                    found=found,
                    expected=expected,
                    remedy=remedy,
                    topic="several model files",
                )
            ]
        )
    return names[0]

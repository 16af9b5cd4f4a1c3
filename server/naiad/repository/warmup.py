"""Runs a version before it serves, so that nobody's first request pays for what a framework does only once.

What the config's `model_warmup` asks for is run on every instance, and a failure there fails the load. Where it asks
for nothing, a request of zeros in the declared shapes is tried, unless the config says otherwise; what comes of that
changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from naiad.core import strings
from naiad.core.backend import Batch, Executable
from naiad.core.batch import Shaper
from naiad.core.config import ModelConfig, Source, Warmup, WarmupInput
from naiad.core.errors import InvalidArgument, NaiadError
from naiad.core.instance import Instance
from naiad.core.problems import InvalidConfig, Problem
from naiad.core.types import Array, DataType, Shape

log = logging.getLogger(__name__)

DIRECTORY = "warmup"
"""Of a model, for the files that its warm-ups name."""
WARMUP, NONE = "warmup", "none"
"""The parameter of a config by which nothing is made up, and its value."""
LARGEST = 16 * 2**20
"""Bytes of an input of zeros that is made up."""
_SEED = 1
_STRING = b"warmup"

Arrays = Mapping[str, tuple[Shape, Array]]


def warm_up(config: ModelConfig, instances: Sequence[Instance], model: Path) -> None:
    """Run what the config asks for on each instance; raises InvalidConfig with the place in it."""
    executables = list({id(i.executable): i.executable for i in instances}.values())
    shaper = Shaper(config)
    if not config.warmups and config.parameters.get(WARMUP) != NONE:
        _try(shaper, config, executables)
    for index, sample in enumerate(config.warmups):
        field = f"model_warmup[{index}]"
        batch = _batch(shaper, config, sample, field, model)
        try:
            _run(shaper, batch, [e for e in executables for _ in range(sample.count)])
        except Exception as error:
            text = f"failed to run warmup sample '{sample.name}': {_said(error)}"
            raise InvalidConfig([Problem(text, field)]) from error


def _run(shaper: Shaper, batch: Batch, executables: Iterable[Executable]) -> None:
    for executable in executables:
        answers(shaper, executable, batch)


def answers(shaper: Shaper, executable: Executable, batch: Batch) -> Sequence[Array]:
    """What a batch of one request comes to, as its client would see it; raises whatever the backend does."""
    result = executable.run(batch)
    for failure in result.failures.values():
        raise failure
    return shaper.outputs(result, batch.rows)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, NaiadError) else f"{type(error).__name__}: {error}"


# What a config asks for.


def _batch(shaper: Shaper, config: ModelConfig, sample: Warmup, field: str, model: Path) -> Batch:
    problems = [problem.located(lambda _: "") for problem in _mismatches(config, sample, field)]
    if problems:
        raise InvalidConfig(problems)
    random = np.random.default_rng(_SEED)
    arrays = {}
    for wanted in sample.inputs:
        shape = (sample.batch_size, *wanted.dims) if config.batching else wanted.dims
        place = f"{field}.inputs[{wanted.name}]"
        arrays[wanted.name] = shape, _data(wanted, shape, random, model / DIRECTORY, place)
    return shaper.batch_of(arrays)


def _mismatches(config: ModelConfig, sample: Warmup, field: str) -> Iterator[Problem]:
    """What of a sample does not fit the model's inputs."""
    declared = {tensor.name: tensor for tensor in config.inputs}
    given = {tensor.name for tensor in sample.inputs}
    if sample.batch_size > max(1, config.max_batch_size):
        text = f"warmup sample '{sample.name}' has batch_size {sample.batch_size}, the model takes"
        yield Problem(f"{text} {max(1, config.max_batch_size)} at most", f"{field}.batch_size")
    for name in sorted(given - declared.keys()):
        text = f"warmup sample '{sample.name}' has an input '{name}', the model has {', '.join(declared)}"
        yield Problem(text, f"{field}.inputs")
    for name, tensor in declared.items():
        if name not in given and not tensor.optional:
            yield Problem(f"warmup sample '{sample.name}' lacks input '{name}'", f"{field}.inputs")
    for wanted in sample.inputs:
        if wanted.name in declared and wanted.datatype is not declared[wanted.name].datatype:
            text = f"warmup sample '{sample.name}' has {wanted.datatype.value} for input '{wanted.name}', which is"
            yield Problem(f"{text} {declared[wanted.name].datatype.value}", f"{field}.inputs")
        if any(dim < 0 for dim in wanted.dims):
            text = f"warmup sample '{sample.name}' has shape {list(wanted.dims)} for input '{wanted.name}'"
            yield Problem(f"{text}, expected every dimension to be given", f"{field}.inputs")


def _data(wanted: WarmupInput, shape: Shape, random: np.random.Generator, directory: Path, field: str) -> Array:
    if wanted.source is Source.FILE:
        return _from_file(wanted, shape, directory, field)
    return _made(wanted.datatype, shape, random if wanted.source is Source.RANDOM else None)


def _made(datatype: DataType, shape: Shape, random: np.random.Generator | None) -> Array:
    """Zeros, or numbers that are small in every datatype; for BYTES elements in wire form."""
    count = int(np.prod(shape, dtype=np.int64))
    if datatype is DataType.BYTES:
        element = b"" if random is None else _STRING
        return np.frombuffer(strings.encode([element] * count), np.uint8)
    if random is None:
        return np.zeros(shape, datatype.dtype)
    if datatype is DataType.BF16:
        return (random.random(shape, np.float32).view(np.uint32) >> 16).astype(datatype.dtype)
    if datatype.dtype.kind == "f":
        return random.random(shape).astype(datatype.dtype)
    return random.integers(0, 2, shape).astype(datatype.dtype)


def _from_file(wanted: WarmupInput, shape: Shape, directory: Path, field: str) -> Array:
    path = directory / wanted.file
    if directory.resolve() not in path.resolve().parents:
        raise InvalidConfig([Problem(f"'{wanted.file}' is not in '{directory}'", field)])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidConfig([Problem(f"'{path}' cannot be read: {error.strerror}", field)]) from error
    raw = np.frombuffer(content, np.uint8)
    count = int(np.prod(shape, dtype=np.int64))
    if wanted.datatype is DataType.BYTES:
        if fault := strings.fault(raw, count, wanted.name, str(path)):
            raise InvalidConfig([Problem(f"'{path}': {fault}", field)])
        return raw
    expected = count * wanted.datatype.itemsize
    if len(content) != expected:
        text = f"'{path}' has {len(content)} bytes, expected {expected} for {wanted.datatype.value} {list(shape)}"
        raise InvalidConfig([Problem(text, field)])
    return raw.view(wanted.datatype.dtype).reshape(shape)


# What is made up.


def _try(shaper: Shaper, config: ModelConfig, executables: Sequence[Executable]) -> None:
    """Run a request of zeros; a model may refuse one, and is served all the same."""
    try:
        _run(shaper, shaper.batch_of(dict(_zeros(config))), executables)
    except InvalidArgument as error:
        log.debug("model %s is not warmed up: %s", config.name, error)
    except Exception as error:  # noqa: BLE001 - what is made up may be nothing that the model can work with
        log.debug("model %s is not warmed up: %s: %s", config.name, type(error).__name__, error)


def _zeros(config: ModelConfig) -> Iterator[tuple[str, tuple[Shape, Array]]]:
    """One row of each input that must be there, of size 1 where any goes."""
    for tensor in config.inputs:
        if tensor.optional:
            continue
        shape = tuple(1 if dim < 0 else dim for dim in config.shape(tensor))
        if int(np.prod(shape, dtype=np.int64)) * max(1, tensor.datatype.itemsize) > LARGEST:
            raise InvalidArgument(f"input '{tensor.name}' of shape {list(shape)} is larger than {LARGEST} bytes")
        yield tensor.name, (shape, _made(tensor.datatype, shape, None))

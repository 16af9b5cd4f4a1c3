"""From a version's files to a version that can serve. Runs on loader threads; holds no state of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from naiad import backends as known_backends
from naiad.core.backend import Backend, Executable
from naiad.core.budget import Budget
from naiad.core.config import Device, InstanceGroup, Kind, ModelConfig
from naiad.core.dedicated import DedicatedRunners
from naiad.core.errors import NaiadError
from naiad.core.instance import Instance
from naiad.core.observer import Observer
from naiad.core.problems import Cause, InvalidConfig, Locate, Problem, raise_errors
from naiad.core.runners import RunnerPool
from naiad.core.strategy import Batcher
from naiad.core.timer import Timer
from naiad.core.version import Shared, Version
from naiad.protocol.config import finish
from naiad.protocol.config_rules import problems_of_completed
from naiad.repository.resolve import Resolved

log = logging.getLogger(__name__)

LEAST_QUEUE = 1024
BATCHES_QUEUED = 32
_NO_GPU = (
    "Serve it where a GPU and its driver are (pip install 'naiad[gpu]'), and check it there; only where there will "
    "never be one write KIND_CPU or KIND_AUTO"
)
NO_GPU = "KIND_GPU, and no GPU on this host"
NO_SUCH_GPU = "a GPU that this host does not have"
CPU_INSTANCES = {"onnxruntime": 2}
"""How many instances a backend's models get on the CPU when their config does not say; others get one, as on GPUs."""


class Threads(NamedTuple):
    """What versions run on and are bounded by; shared by all of them."""

    pool: RunnerPool
    dedicated: DedicatedRunners
    timer: Timer
    budget: Budget
    observer: Observer | None = None


@dataclass(frozen=True, slots=True)
class Backends:
    """How to get a backend for a config's `backend`, and which GPUs it could use."""

    create: Callable[[str], Backend]
    gpus: Callable[[str], tuple[int, ...]]


class Loaded(NamedTuple):
    """A version that is ready to serve, and what to close after it."""

    version: Version
    backend: Backend

    def close(self) -> None:
        """Give everything back, whatever raises on the way; the version must be idle."""
        try:
            self.version.close()
        finally:
            self.backend.close()


class Loader:
    """max_queue_size: how many requests may wait for one version whose config does not say; 0 for the rule of thumb."""

    def __init__(self, backends: Backends, threads: Threads, max_queue_size: int = 0) -> None:
        self._backends = backends
        self._threads = threads
        self._max_queue_size = max_queue_size

    def load(self, resolved: Resolved, number: int, locate: Locate) -> Loaded:
        """Complete a version's config and load it onto every device that it asks for.

        Raises InvalidConfig, with the place of each problem; what fails leaves nothing behind.
        """
        with ExitStack() as undo:
            backend = create(self._backends, resolved, locate)
            undo.callback(backend.close)
            completed = finish(complete(backend, self._backends, resolved, locate))
            _warn(completed, number, locate)
            with blaming(locate, _place(resolved)):
                instances = _load_instances(backend, completed.instance_groups, undo)
            version = self._version(completed, number, instances)
            undo.pop_all()
            return Loaded(version, backend)

    def _version(self, config: ModelConfig, number: int, instances: Sequence[Instance]) -> Version:
        own_threads = any(instance.executable.own_threads for instance in instances)
        threads = self._threads
        return Version(
            config,
            number,
            instances,
            Batcher(config, instances, self._queue_limit(config, len(instances))),
            Shared(threads.dedicated if own_threads else threads.pool, threads.timer, threads.budget, threads.observer),
        )

    def _queue_limit(self, config: ModelConfig, instances: int) -> int:
        own = config.dynamic_batching.queue_policy.max_queue_size if config.dynamic_batching else 0
        rule = max(LEAST_QUEUE, BATCHES_QUEUED * max(1, config.max_batch_size) * instances)
        return own or self._max_queue_size or rule


def problems_of_version(config: ModelConfig, locate: Locate) -> tuple[Problem, ...]:
    """What is wrong with a completed config, with places: what its protocol and its backend have to say."""
    every = (*problems_of_completed(config), *known_backends.doubts(config))
    return tuple(problem.located(locate) for problem in every)


def _warn(config: ModelConfig, number: int, locate: Locate) -> None:
    for problem in problems_of_version(config, locate):
        log.warning("model %s version %d: %s", config.name, number, problem)


def create(backends: Backends, resolved: Resolved, locate: Locate) -> Backend:
    """Get the backend that a version's config names; raises InvalidConfig where there is no such thing."""
    with blaming(locate, locate("backend")):
        return backends.create(resolved.config.backend)


def complete(backend: Backend, backends: Backends, resolved: Resolved, locate: Locate) -> ModelConfig:
    """The config as its backend completes it, with its instance groups; raises InvalidConfig with every place."""
    with blaming(locate, _place(resolved)):
        completed = backend.complete(resolved.config, resolved.files)
    raise_errors(problems_of_version(completed, locate))
    with blaming(locate, locate("instance_group")):
        return replace(completed, instance_groups=resolve_groups(completed, backends.gpus(completed.backend)))


def _place(resolved: Resolved) -> str:
    return str(resolved.files.model_file or resolved.files.version_directory)


@contextmanager
def blaming(locate: Locate, place: str) -> Iterator[None]:
    """Turn what goes wrong inside into InvalidConfig at `place`, or at the fields that it names itself.

    The boundary to a backend, whose framework may raise anything.
    """
    try:
        yield
    except InvalidConfig as error:
        raise error.located(locate) from error
    except NaiadError as error:
        raise InvalidConfig([Problem(str(error), place=place)]) from error
    except Exception as error:
        raise InvalidConfig([Problem(f"{type(error).__name__}: {error}", place=place)]) from error


def resolve_groups(config: ModelConfig, gpus: tuple[int, ...]) -> tuple[InstanceGroup, ...]:
    """Instance groups with names, kinds, counts (0: the default) and GPUs filled in.

    Raises InvalidConfig where there is no such device.
    """
    groups = config.instance_groups or (InstanceGroup(config.name, count=0),)
    return tuple(
        _resolve_group(config, replace(group, name=group.name or f"{config.name}_{i}"), gpus, f"instance_group[{i}]")
        for i, group in enumerate(groups)
    )


def _resolve_group(config: ModelConfig, group: InstanceGroup, gpus: tuple[int, ...], path: str) -> InstanceGroup:
    kind = group.kind
    if kind is Kind.AUTO:
        kind = Kind.GPU if gpus else Kind.CPU
    if kind is Kind.CPU:
        return replace(group, kind=kind, count=group.count or CPU_INSTANCES.get(config.backend, 1), gpus=())
    raise_errors(_device_problems(config, group, gpus, path))
    return replace(group, kind=kind, count=group.count or 1, gpus=group.gpus or gpus)


def _device_problems(config: ModelConfig, group: InstanceGroup, gpus: tuple[int, ...], path: str) -> Iterator[Problem]:
    """Why a group that is not for the CPU has no device."""
    subject = f"instance group {group.name} of model {config.name}"
    if group.kind not in (Kind.GPU, Kind.AUTO):
        expected = "KIND_AUTO, KIND_CPU or KIND_GPU"
        text, remedy = f"{subject} has kind {group.kind.value}, expected {expected}", f"Write {expected}"
        yield Problem(text, f"{path}.kind", found=group.kind.value, expected=expected, remedy=remedy)
        return
    if not gpus:
        text, remedy = f"{subject} has kind KIND_GPU but no GPUs are available", _NO_GPU
        field = f"{path}.kind"
        yield Problem(text, field, found="no GPUs", expected="a GPU", remedy=remedy, cause=Cause.NO_GPU, topic=NO_GPU)
        return
    known = ", ".join(map(str, gpus))
    for i, gpu in enumerate(group.gpus):
        if gpu not in gpus:
            text = f"{subject} specifies invalid or unsupported gpu id {gpu}. GPUs that can be used are: {known}"
            remedy = "Serve it where there is such a GPU, write one of these, or remove 'gpus' for all of them"
            field = f"{path}.gpus[{i}]"
            yield Problem(
                text, field, found=f"gpu id {gpu}", expected=known, remedy=remedy, cause=Cause.NO_GPU, topic=NO_SUCH_GPU
            )


def _load_instances(backend: Backend, groups: Sequence[InstanceGroup], undo: ExitStack) -> list[Instance]:
    executables: dict[Device, Executable] = {}
    instances: list[Instance] = []
    for group in groups:
        devices = [Device(Kind.GPU, gpu) for gpu in group.gpus] or [Device(Kind.CPU)]
        for device in (device for device in devices for _ in range(group.count)):
            executable = executables.get(device)
            if executable is None or not executable.shared:
                executable = executables[device] = backend.load(device)
                undo.callback(executable.close)
            instances.append(Instance(f"{group.name}_{len(instances)}", device, executable))
    return instances

"""From a version's files to a version that can serve. Runs on loader threads; holds no state of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import NamedTuple

from naiad import backends as known_backends
from naiad.core.backend import Backend
from naiad.core.budget import Budget
from naiad.core.config import Device, InstanceGroup, Kind, ModelConfig
from naiad.core.dedicated import DedicatedRunners
from naiad.core.errors import NaiadError, Unavailable
from naiad.core.instance import Instance
from naiad.core.lifecycle import Phase
from naiad.core.observer import Observer
from naiad.core.problems import Cause, InvalidConfig, Locate, Problem, raise_errors
from naiad.core.runners import RunnerPool
from naiad.core.strategy import Batcher
from naiad.core.timer import Timer
from naiad.core.version import Shared, Version
from naiad.protocol.config import finish
from naiad.protocol.config_rules import problems_of_completed
from naiad.repository import gate
from naiad.repository.heap import HEAP
from naiad.repository.memory import GIVEN_BACK, Free, check_room, size_of
from naiad.repository.resolve import Resolved
from naiad.repository.wanted import Progress
from naiad.repository.warmup import warm_up

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


def _as_it_is(groups: tuple[InstanceGroup, ...]) -> None:
    raise Unavailable(f"it cannot get other instances while it serves, and is asked for {len(groups)} groups of them")


def _nothing() -> None:
    pass


class Loaded(NamedTuple):
    """A version that is ready to serve, and what to close after it.

    resize: gives it other instances while it serves; blocks until those that it had before have ended their runs, and
    raises, with nothing changed, what keeps others from being loaded. One thread at a time. closed: called after
    all is given back.
    """

    version: Version
    backend: Backend
    resize: Callable[[tuple[InstanceGroup, ...]], None] = _as_it_is
    closed: Callable[[], None] = _nothing

    def close(self) -> None:
        """Give everything back, whatever raises on the way; the version must be idle."""
        with ExitStack() as stack:
            stack.callback(self.closed)
            stack.callback(self.backend.close)
            stack.callback(self.version.close)


class Loader:
    """max_queue_size: how many requests may wait for one version whose config does not say; 0 for the rule of thumb.

    free: how much memory is left.
    """

    def __init__(
        self, backends: Backends, threads: Threads, max_queue_size: int = 0, free: Free = lambda _: None
    ) -> None:
        self._backends = backends
        self._free = free
        self._threads = threads
        self._max_queue_size = max_queue_size

    def load(self, resolved: Resolved, number: int, locate: Locate, progress: Progress = lambda _: None) -> Loaded:
        """Complete a version's config, load it onto every device that it asks for, warm it up, and try its cases.

        Raises InvalidConfig, with the place of each problem; what fails leaves nothing behind. progress: hears when
        it is loaded, and warms up.
        """
        size = size_of(resolved.files.version_directory)
        with ExitStack() as undo:
            if size >= GIVEN_BACK:
                undo.callback(_give_back)
            backend = create(self._backends, resolved, locate)
            undo.callback(backend.close)
            completed = finish(complete(backend, self._backends, resolved, locate))
            _warn(completed, number, locate)
            with blaming(locate, _place(resolved)):
                check_room(size, completed.instance_groups, self._free)
                instances = _load_instances(backend, completed.instance_groups, undo)
                progress(Phase.WARMING)
                warm_up(completed, instances, resolved.files.model_directory)
                gate.check(completed, instances, resolved.files.version_directory)
            version = self._version(completed, number, instances)
            undo.pop_all()
            resize = partial(self._resize, version, backend, locate)
            return Loaded(version, backend, resize, _giving_back() if size >= GIVEN_BACK else _nothing)

    def _resize(self, version: Version, backend: Backend, locate: Locate, groups: tuple[InstanceGroup, ...]) -> None:
        """See Loaded.resize."""
        config = version.config
        with blaming(locate, locate("instance_group")):
            wanted = replace(config, instance_groups=groups)
            groups = resolve_groups(wanted, self._backends.gpus(config.backend))
        wanted = finish(replace(config, instance_groups=groups))
        with ExitStack() as undo:
            with blaming(locate, locate("instance_group")):
                instances = _load_instances(backend, wanted.instance_groups, undo, version.instances)
            undo.pop_all()
        retired = Event()
        unused = {id(i.executable): i.executable for i in version.instances}
        version.resize(wanted, instances, self._queue_limit(wanted, len(instances)), retired.set)
        retired.wait()
        with ExitStack() as closing:
            for executable in unused.keys() - {id(i.executable) for i in instances}:
                closing.callback(unused[executable].close)

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


def _give_back() -> None:
    """Give back the memory that loading took on the way, on the thread that loaded."""
    HEAP.give_back(HEAP.pin())


def _giving_back() -> Callable[[], None]:
    """What gives back the memory of a version that this thread has loaded, once it is closed."""
    _give_back()
    return partial(HEAP.give_back, HEAP.pin())


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


def _load_instances(
    backend: Backend, groups: Sequence[InstanceGroup], undo: ExitStack, before: Sequence[Instance] = ()
) -> list[Instance]:
    """One instance after the other; those of `before` that are as wanted stay, and their executables are shared."""
    executables = {instance.device: instance.executable for instance in before}
    kept = {(instance.name, instance.device): instance for instance in before}
    instances: list[Instance] = []
    for group in groups:
        devices = [Device(Kind.GPU, gpu) for gpu in group.gpus] or [Device(Kind.CPU)]
        for device in (device for device in devices for _ in range(group.count)):
            name = f"{group.name}_{len(instances)}"
            executable = executables.get(device)
            if (name, device) in kept:
                instances.append(kept[name, device])
                continue
            if executable is None or not executable.shared:
                executable = executables[device] = backend.load(device)
                undo.callback(executable.close)
            instances.append(Instance(name, device, executable))
    return instances

"""What a start needs of its surroundings: repositories, backends with their options, certificates, a wire, ports.

Each check says all that is in the way. origin: where what is wrong was asked for, as a message begins with it.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from naiad import backends
from naiad.core.backend import Backend
from naiad.core.errors import InvalidArgument
from naiad.core.problems import InvalidConfig
from naiad.frontends.grpc.tls import problems as tls_problems
from naiad.frontends.grpc.transport import Tls
from naiad.observability import cgroup
from naiad.repository import unreadable
from naiad.repository.heap import HEAP
from naiad.repository.loading import Backends

Options = Mapping[str, Mapping[str, str]]
"""Backend -> key -> value; what is for all backends stands under the empty name."""


KEPT = 2**27
"""Bytes of freed memory that are kept, but a sixteenth of what the process may have where that is less."""


class CannotStart(Exception):
    """The surroundings do not allow a start; the text has one line for each thing that is in the way."""


def backends_with(options: Options) -> Backends:
    """The backends, each with its options."""
    common = backends.BackendOptions(cgroup.cpu_count())
    if for_all := options.get(""):
        common = replace(common, default_max_batch_size=int(for_all["default-max-batch-size"]))

    def create(name: str) -> Backend:
        return backends.create(name, replace(common, settings=options.get(name, {})))

    return Backends(create, backends.gpus)


def unused(options: Options) -> Iterator[str]:
    """Say which options are for no backend that there is."""
    for name in options.keys() - {"", *backends.SERVED}:
        served = ", ".join(backends.SERVED)
        yield f"--backend-config={name},... has no effect: got a backend '{name}', expected one of {served}"


def bad_options(options: Options, origin: str) -> Iterator[str]:
    """What backends have to say against their options. One whose framework is missing says nothing yet."""
    created = backends_with(options)
    for name in sorted(options.keys() & set(backends.SERVED)):
        try:
            created.create(name).close()
        except InvalidArgument as error:
            yield f"{origin}: {error}"
        except InvalidConfig:
            continue


def bad_repositories(roots: Sequence[Path], origin: str) -> Iterator[str]:
    """What cannot be read of the repositories, or that there is none."""
    if not roots:
        yield "no repository is given, expected --model-repository DIRECTORY"
    for root in roots:
        try:
            os.scandir(root).close()
        except OSError as error:
            yield f"{origin}: {_several(root, error) or unreadable.of_repository(root, error)}"


def _several(root: Path, error: OSError) -> str:
    """Why a path is none, where it is several of them in one."""
    for separator in (",", ";", os.pathsep):
        parts = str(root).split(separator)
        paths = all(map(os.path.isabs, parts)) or all(map(os.path.isdir, parts))
        if error.errno == errno.ENOENT and len(parts) > 1 and paths:
            found = f"{len(parts)} paths with '{separator}' between them"
            return f"{root}: found {found}, expected one directory: repeat the flag"
    return ""


def bad_certificates(tls: Tls | None, origins: Mapping[Path | None, str]) -> Iterator[str]:
    """What is wrong with the files of a TLS server. origins: by file."""
    for error in [] if tls is None else tls_problems(tls):
        yield f"{origins[error.path]}: {error}"


def bad_transport(asked: str | None, origin: str) -> Iterator[str]:
    """Why gRPC cannot be served by what was asked for."""
    if asked == "native" and (missing := why_not_native()):
        yield f"{origin}: got 'native', which {missing}; 'aio' always works"


def why_not_native() -> str:
    """Why the native transport cannot be used, as the end of a sentence; empty where it can."""
    try:
        importlib.import_module("naiad._native")
    except ModuleNotFoundError:
        return "is not built: it comes with Naiad's wheels, or is built where pip finds cargo (https://rustup.rs)"
    except ImportError as error:
        return f"cannot be loaded: {error}"
    return ""


def keep_memory() -> None:
    """Have the C library keep freed memory for the next request, some at the end of each of its arenas.

    By default it gives what large messages and tensors took back to the system at once, and gets it again, page by
    page, for the next: most of what a message of 600 KB costs. Who sets MALLOC_TRIM_THRESHOLD_ or
    MALLOC_MMAP_THRESHOLD_ decides for himself. Elsewhere than on glibc this does nothing.
    """
    if any(name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")):
        return
    HEAP.keep(min(KEPT, cgroup.memory_limit() // 16))


def listening(wire: str, host: str, port: int, start: Callable[[], int]) -> int:
    """Have a server listen; gives its port. wire: what its flags begin with. Raises CannotStart."""
    try:
        return start()
    except OSError as error:
        flags = f"--{wire}-address" if host.startswith("unix:") else f"--{wire}-address, --{wire}-port"
        raise CannotStart(f"cannot listen on {place(host, port)} ({flags}): {_reason(error)}") from None
    except ValueError as error:
        raise CannotStart(f"cannot listen on {place(host, port)}: {error}") from None


def place(host: str, port: int) -> str:
    """Where somebody listens, as it is shown. A Unix socket has no port."""
    return host if host.startswith("unix:") else f"{host}:{port}"


def _reason(error: OSError) -> str:
    """What the system says, without the address that servers add to it."""
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return (error.strerror or str(error)).partition(" (while attempting")[0].rpartition(": ")[2]

"""What a backend is to the server: the seam between serving and an ML framework.

A `Backend` object belongs to one version of one model. The manager calls, on a loader thread:
`complete` once, `load` once per device, `close` once at the end; a runner calls `Executable.run`. A backend
is synchronous, imports its framework late (in `complete`, not on import), and never writes to its inputs.
What it raises is told to the client as BackendError unless it is a NaiadError already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from naiad.core.config import Device, ModelConfig
from naiad.core.errors import NaiadError
from naiad.core.types import Array, Parameter, Tensor


class ModelFiles(NamedTuple):
    """Where a version's files are. `model_file` is None for backends that need no file."""

    model_directory: Path
    version_directory: Path
    model_file: Path | None


class Batch(NamedTuple):
    """Requests that run together.

    inputs: the gathered tensors by name, in the model's own shapes (a `reshape` is applied); an optional input
        that these requests do not carry is absent.
    starts: the first row of each request, and at the end the number of rows: request i has the rows
        starts[i] to starts[i + 1]. A model without a batch dimension gets batches of one request and (0, 1).
    parameters: each request's own parameters.
    """

    inputs: Mapping[str, Tensor]
    starts: Sequence[int]
    parameters: Sequence[Mapping[str, Parameter]]

    @property
    def rows(self) -> int:
        return self.starts[-1]


class Result(NamedTuple):
    """What a run gives: one array per output of the config, in its order, holding all rows of the batch.

    BYTES outputs are object arrays of bytes or str. `failures` names the requests (by index) that failed alone;
    their rows are ignored and their mates succeed.
    """

    arrays: Sequence[Array]
    failures: Mapping[int, NaiadError] = MappingProxyType({})


class Executable(Protocol):
    """A model loaded on one device."""

    @property
    def shared(self) -> bool:
        """Whether several instances may run it at the same time; if not, `load` is called once per instance."""

    @property
    def own_threads(self) -> bool:
        """Whether each instance needs a thread of its own (GPU streams, worker processes)."""

    def run(self, batch: Batch) -> Result:
        """Run one batch. Raising fails all of its requests; ExecutableLost says that the place is gone."""

    def close(self) -> None:
        """Give everything back. Called once, when nothing runs any more."""


class Backend(Protocol):
    """One version of one model, from its files to executables."""

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        """Fill in what the config leaves open and the files tell; raise InvalidArgument where they disagree.

        What is opened for this is kept for `load`, so that nothing is read twice.
        """

    def load(self, device: Device) -> Executable:
        """Load onto a device. Raises NaiadError with the reason in words that help."""

    def close(self) -> None:
        """Let go of what `complete` opened and no executable owns."""

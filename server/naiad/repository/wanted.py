"""What repositories want served, as values: the seam between those who look at the disk and the manager.

Who makes a Candidate knows files, configs and fingerprints; the manager compares identities, and never looks at a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from naiad.core.config import InstanceGroup
from naiad.core.lifecycle import Phase

if TYPE_CHECKING:
    from naiad.repository.loading import Loaded

Progress = Callable[[Phase], None]
"""Hears from a load, on its loader thread, that it came to another phase (WARMING; a load begins as LOADING)."""

Load = Callable[[Progress], "Loaded"]
"""Loads a version, once. Called on a loader thread; raises why it cannot."""


class Wish(NamedTuple):
    """One version that is to be served.

    identity: equal for equal content, of the version's files and of what its config says beyond instance counts and
    version policy. load: how to load it, or why it cannot be loaded. instances: as its config asks for them; a change
    of these alone is applied in place. replace: what serves is unloaded before this is loaded.
    """

    identity: str
    load: Load | str
    instances: tuple[InstanceGroup, ...] = ()
    replace: bool = False


class Candidate(NamedTuple):
    """What a repository says of one model.

    wanted: the versions to serve. problem: why nothing of the model can be served; then none is wanted. idle: why
    nothing of it is to be served, without anything being wrong. waiting: versions that are on the disk and have not
    settled, and what they wait for. present: the versions that are on the disk, whether they are wanted or not.
    """

    name: str
    wanted: Mapping[int, Wish]
    problem: str = ""
    idle: str = ""
    waiting: Mapping[int, str] = MappingProxyType({})
    present: frozenset[int] = frozenset()

    @property
    def identities(self) -> Mapping[int, str]:
        """The identity of each version that is to be served."""
        return {number: wish.identity for number, wish in self.wanted.items()}

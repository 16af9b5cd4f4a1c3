"""Versions that serve get the instances that their configs ask for by now. Runs on the manager's thread.

One change of a version's instances is under way at a time; a config that has changed meanwhile is looked at after it.
A version that leaves is closed when neither requests nor a change of its instances use it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from naiad.core.config import InstanceGroup
from naiad.repository.agenda import Agenda
from naiad.repository.generations import Generation, Model
from naiad.repository.loaders import GIVEN_UP, Loaders
from naiad.repository.loading import Loaded

log = logging.getLogger(__name__)

Close = Callable[[Model, Generation, Loaded], None]


class Resizing:
    """close: closes a version that leaves, and was kept open for a change of its instances."""

    def __init__(self, agenda: Agenda, loaders: Loaders, close: Close) -> None:
        self._agenda = agenda
        self._loaders = loaders
        self._close = close

    def review(self, model: Model) -> None:
        """Begin what is to be changed."""
        for generation in model.serving:
            wish = model.candidate.wanted.get(generation.number)
            if wish is not None and wish.identity == generation.wish.identity:
                changed = wish.instances != generation.wish.instances
                generation.wish = wish
                if changed and not generation.resizing:
                    self._begin(model, generation)

    def _begin(self, model: Model, generation: Generation) -> None:
        if generation.loaded is not None:
            generation.resizing, groups = True, generation.wish.instances
            self._loaders.run(
                subject(model, generation),
                partial(generation.loaded.resize, groups),
                lambda problem: self._agenda.put(partial(self._ended, model, generation, groups, problem)),
            )

    def _ended(self, model: Model, generation: Generation, groups: tuple[InstanceGroup, ...], problem: str) -> None:
        generation.resizing = problem.startswith(GIVEN_UP)
        if problem:
            log.error("%s keeps the instances that it has: %s", subject(model, generation), problem)
        else:
            log.info("%s has the instances that its config asks for now", subject(model, generation))
        if generation in model.leaving and generation.loaded is not None and not generation.loaded.version.leases:
            self._close(model, generation, generation.loaded)
        elif model.serves(generation) and not generation.resizing and groups != generation.wish.instances:
            self._begin(model, generation)


def subject(model: Model, generation: Generation) -> str:
    """A version as the log names it."""
    return f"model {model.name} version {generation.number}"

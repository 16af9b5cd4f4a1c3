"""What keeps the manager told of what repositories hold, in each control mode.

none: they are looked at once, at the start. poll: they are watched, and changes are applied when they have settled.
explicit: what is asked for at the start is loaded, and then what clients ask for.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from naiad.repository.commands import Commands
from naiad.repository.manager import Manager
from naiad.repository.survey import Survey
from naiad.repository.surveyor import Surveyor
from naiad.repository.watching import Watcher

WATCHED_AGAIN_SECS = 15.0
"""How often it is tried anew to hear of changes, where everything is never looked at again."""


class Mode(Enum):
    """How models come and go while the server runs."""

    NONE = "none"
    POLL = "poll"
    EXPLICIT = "explicit"


class Pace(NamedTuple):
    """settle_secs: how long files must have stayed as they are. poll_secs: how often all is looked at, 0 for never."""

    settle_secs: float
    poll_secs: float


class Keeper:
    """`start` and `stop` once each. code: see Commands; there are none but in explicit mode."""

    def __init__(self, survey: Survey, manager: Manager, mode: Mode, pace: Pace, *, code: bool = False) -> None:
        self._manager = manager
        self._survey = survey
        self._surveyor: Surveyor | None = None
        self._watcher: Watcher | None = None
        self.commands = Commands(self._survey, manager, code=code) if mode is Mode.EXPLICIT else None
        if mode is Mode.POLL:
            self._surveyor = Surveyor(self._survey, manager, pace.settle_secs, pace.poll_secs)
            self._watcher = Watcher(survey.roots, self._surveyor.changed, pace.poll_secs or WATCHED_AGAIN_SECS)

    def start(self) -> None:
        """Begin to tell the manager; the first pass is complete, whatever it finds."""
        if self._watcher is not None:
            self._watcher.start()
        if self._surveyor is not None:
            self._surveyor.start()
        else:
            candidates = self._survey.once()
            self._manager.want(candidates, first=True)
            if self.commands is not None:
                self.commands.start(candidates)

    def stop(self) -> None:
        """Tell it nothing any more."""
        if self._watcher is not None:
            self._watcher.stop()
        if self._surveyor is not None:
            self._surveyor.stop()
        if self.commands is not None:
            self.commands.stop()

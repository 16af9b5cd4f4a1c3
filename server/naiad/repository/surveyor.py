"""The thread that looks at repositories, so that the server serves what they hold.

It looks when it is told that something changed, when something may have settled, and now and then at everything. A
look that fails is told in the log and changes nothing. In idle time it learns what is in the files.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from threading import Condition, Thread
from typing import TypeVar

from naiad.repository.manager import Manager
from naiad.repository.survey import Findings, Survey
from naiad.repository.wanted import Candidate

log = logging.getLogger(__name__)

LEARNING_PAUSE = 0.1
"""Seconds between two steps of learning: it takes the disk and a core for less than half of the time."""
AFTER_FAILURE = 5.0
"""Seconds from a look that failed to the next one."""
LONGEST_WAIT = 3600.0


T = TypeVar("T")


class Surveyor:
    """`start` and `stop` once each.

    settle_secs: how long the first pass waits for what still changes. poll_secs: how often everything is looked at, 0
    for never again.
    """

    def __init__(self, survey: Survey, manager: Manager, settle_secs: float, poll_secs: float) -> None:
        self._survey = survey
        self._manager = manager
        self._settle_secs = settle_secs
        self._poll_secs = poll_secs
        self._news = Condition()
        self._changed: set[str] = set()
        self._everything = False
        self._stopping = False
        self._learning = True
        self._thread = Thread(target=self._work, name="naiad-surveyor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look at nothing any more; what was found is still told to the manager."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self._thread.join()

    def changed(self, names: Collection[str] | None) -> None:
        """Have models looked at, None for all of them. Any thread, never blocks."""
        with self._news:
            self._everything = self._everything or names is None
            self._changed.update(names or ())
            self._news.notify()

    # The surveyor's thread.

    def _work(self) -> None:
        self._manager.want(self._first_look().candidates, first=True)
        self._go_on()
        self._survey.close()

    def _first_look(self) -> Findings:
        """What there is, after waiting once for what settles in that time."""
        candidates: dict[str, Candidate] = {}
        until = time.monotonic() + self._settle_secs
        while True:
            findings = _tried(self._survey.look) or Findings()
            candidates |= {candidate.name: candidate for candidate in findings.candidates}
            due = self._survey.due
            if not self._survey.unsettled or due is None or due > until or self._stopping:
                return Findings([*candidates.values()])
            self._wait(due)

    def _go_on(self) -> None:
        rescan_at = self._next_rescan()
        while not self._stopping:
            learning = self._learn()
            self._wait(min(filter(None, (rescan_at, self._survey.due, learning)), default=None))
            names = self._to_look_at(rescan_at)
            if names is None:
                rescan_at = self._next_rescan()
            if names is None or names:
                self._look(names)

    def _next_rescan(self) -> float | None:
        return time.monotonic() + self._poll_secs if self._poll_secs else None

    def _learn(self) -> float | None:
        """Learn a little; gives when to go on with that."""
        if self._learning and not _tried(self._survey.learn):
            self._learning = False
            log.debug("the content of all files is known")
            self.changed([*self._survey.unsure()])
        return time.monotonic() + LEARNING_PAUSE if self._learning else None

    def _wait(self, until: float | None) -> None:
        """Wait until then, or until there is news."""
        with self._news:
            if not (self._changed or self._everything or self._stopping):
                left = LONGEST_WAIT if until is None else until - time.monotonic()
                if left > 0:
                    self._news.wait(min(left, LONGEST_WAIT))

    def _to_look_at(self, rescan_at: float | None) -> set[str] | None:
        """The models to look at now; None for all of them."""
        with self._news:
            changed, self._changed = self._changed, set()
            everything, self._everything = self._everything, False
        if everything or (rescan_at is not None and time.monotonic() >= rescan_at):
            return None
        return changed | self._survey.due_models()

    def _look(self, names: Collection[str] | None) -> None:
        findings = _tried(lambda: self._survey.look(names))
        if findings is None:
            self._wait(time.monotonic() + AFTER_FAILURE)
            self.changed(names)
        elif findings.candidates or findings.gone:
            self._learning = True
            self._manager.want(findings.candidates, gone=findings.gone)


def _tried(look: Callable[[], T]) -> T | None:
    """What a look comes to; None, and it is in the log, where it failed."""
    try:
        return look()
    except Exception:
        log.exception("looking at the repositories failed; it is tried again")
        return None

"""Those who wait until their command is carried out: each hears once, also when the server stops before."""

from __future__ import annotations

from threading import Lock

from naiad.core.engine import Done
from naiad.core.errors import NaiadError, Unavailable


class Answers:
    """Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: set[_Answer] = set()
        self._closed = False

    def awaited(self, done: Done) -> Done:
        """What to call in place of `done`: only the first call counts. Raises Unavailable when all is closed."""
        answer = _Answer(self, done)
        with self._lock:
            if self._closed:
                raise Unavailable("Server exiting")
            self._waiting.add(answer)
        return answer

    def close(self) -> None:
        """Tell everyone who waits, and whoever comes, that it is too late."""
        with self._lock:
            self._closed = True
            waiting = [*self._waiting]
        for answer in waiting:
            answer(Unavailable("Server exiting"))

    def take(self, answer: _Answer) -> bool:
        """Whether this is its first call."""
        with self._lock:
            first = answer in self._waiting
            self._waiting.discard(answer)
            return first


class _Answer:
    def __init__(self, answers: Answers, done: Done) -> None:
        self._answers = answers
        self._done = done

    def __call__(self, error: NaiadError | None) -> None:
        if self._answers.take(self):
            self._done(error)

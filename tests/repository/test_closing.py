"""The thread that closes: everything once, whatever one of them raises."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from threading import Event
from typing import cast

import pytest

from naiad.repository.closing import Closer
from naiad.repository.loading import Loaded
from tests.core.scripted import PATIENCE, eventually


class Closeable:
    """Records that it was closed; raises after that what it is given."""

    def __init__(self, trouble: BaseException | None = None, gate: Event | None = None) -> None:
        self.closed = 0
        self._trouble = trouble
        self._gate = gate

    def close(self) -> None:
        if self._gate is not None:
            assert self._gate.wait(PATIENCE)
        self.closed += 1
        if self._trouble is not None:
            raise self._trouble


def loaded(of: Closeable) -> Loaded:
    return cast(Loaded, of)


@pytest.fixture
def closer() -> Iterator[Closer]:
    closer = Closer()
    closer.start()
    yield closer
    closer.stop()


@pytest.mark.parametrize("trouble", [RuntimeError("the driver is gone"), SystemExit("enough")])
def test_one_that_cannot_be_closed_ends_and_is_told_like_the_others(
    closer: Closer, trouble: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    ended = [Event(), Event()]
    bad, good = Closeable(trouble), Closeable()
    closer.close(loaded(bad), "model bad version 1", ended[0].set)
    closer.close(loaded(good), "model good version 1", ended[1].set)
    assert all(event.wait(PATIENCE) for event in ended)
    assert (bad.closed, good.closed) == (1, 1)
    assert "closing model bad version 1" in caplog.text
    assert "good" not in caplog.text


def test_stopping_waits_for_all_that_is_to_be_closed() -> None:
    closer, gate = Closer(), Event()
    closer.start()
    all_of_them = [Closeable(gate=gate) for _ in range(5)]
    for each in all_of_them:
        closer.close(loaded(each), "model m version 1")
    gate.set()
    closer.stop()
    assert [each.closed for each in all_of_them] == [1] * 5


def test_what_was_closed_is_not_held_while_the_thread_waits(closer: Closer) -> None:
    closed = Event()
    closeable = Closeable()
    left = weakref.ref(closeable)
    closer.close(loaded(closeable), "model m version 1", closed.set)
    assert closed.wait(PATIENCE)
    del closeable

    def gone() -> bool:
        gc.collect()
        return left() is None

    eventually(gone)

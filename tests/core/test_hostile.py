"""What a client or a machine can do on purpose or by accident, and what must not come of it."""

from __future__ import annotations

import struct
import threading
from threading import Event, Thread, get_ident

import numpy as np
import pytest

from naiad.core import runners
from naiad.core.backend import Batch, Result
from naiad.core.config import DynamicBatching, ModelConfig, QueuePolicy, TensorConfig
from naiad.core.errors import InvalidArgument, NaiadError
from naiad.core.types import DataType, InferRequest, InferResponse, Signature, TensorSpec
from naiad.core.validation import LARGE_STRINGS
from naiad.core.waiter import LONGEST_WAIT
from tests.core.house import ByHand, House
from tests.core.reference_queue import queue_of, waiting
from tests.core.scripted import PATIENCE, Scripted, config, eventually, request

FOR_EVER = 1e11
"""Seconds: more than a lock can be asked to wait."""


def test_a_deadline_of_centuries_stops_no_other_deadline() -> None:
    with House() as house:
        scripted = Scripted()
        house.serve(config(), [scripted])
        scripted.hold()
        running = house.infer(request(1.0))
        scripted.await_run()
        patient = house.infer(request(2.0, deadline=FOR_EVER))
        hasty = house.infer(request(3.0, deadline=0.01))
        assert "Deadline" in str(hasty.error())
        scripted.let_go()
        assert (running.value(), patient.value()) == (2.0, 4.0)


def test_a_queue_timeout_of_centuries_stops_no_other_deadline() -> None:
    policy = QueuePolicy(allow_timeout_override=True)
    with House() as house:
        scripted = Scripted()
        house.serve(config(policy=policy), [scripted])
        scripted.hold()
        house.infer(request(1.0))
        scripted.await_run()
        patient = house.infer(request(2.0, parameters={"timeout": 2**62}))
        hasty = house.infer(request(3.0, parameters={"timeout": 1000}))
        assert str(hasty.error()) == "Request timeout expired"
        scripted.let_go()
        assert patient.value() == 4.0


def test_a_queue_delay_of_centuries_stops_no_other_model() -> None:
    with House() as house:
        house.serve(config("slow", delay_us=2**63), [Scripted()])
        house.serve(config("quick"), [Scripted()])
        waits = house.infer(request(1.0, model="slow"))
        assert house.infer(request(2.0, model="quick")).value() == 4.0
        assert not waits.answered
        waits.cancel()


def test_nobody_is_asked_to_wait_longer_than_a_waiter_promises() -> None:
    assert LONGEST_WAIT < threading.TIMEOUT_MAX


def test_a_thread_that_cannot_be_started_costs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with House() as house:
        house.serve(config("a"), [Scripted()])
        house.serve(config("b"), [Scripted()])
        with monkeypatch.context() as patched:
            patched.setattr(runners, "Thread", Refused)
            assert house.infer(request(1.0, model="a")).value() == 2.0
            assert house.infer(request(1.0, model="b")).value() == 2.0
            assert house.pool.threads == 1
        assert house.infer(request(2.0, model="a")).value() == 4.0


def test_a_model_without_history_does_not_wait_for_other_models_long_runs() -> None:
    with House(most_threads=1) as house:
        long, new = Scripted(), Scripted()
        house.serve(config("long"), [long], average_ns=1e9)
        house.serve(config("new"), [new])
        long.hold()
        running = house.infer(request(1.0, model="long"))
        long.await_run()
        assert house.infer(request(2.0, model="new")).value() == 4.0
        assert not running.answered
        long.let_go()
        assert running.value() == 2.0


def test_the_first_run_says_nothing_about_those_that_follow() -> None:
    by_hand = ByHand(config(), [Scripted()])
    for expected in (False, True):
        by_hand.infer(request(1.0))
        by_hand.run()
        assert (by_hand.version.average_ns is not None) is expected


def test_delays_of_batches_that_left_early_leave_nothing_in_the_pool() -> None:
    with House() as house:
        house.serve(config(max_batch_size=2, delay_us=3_600_000_000), [Scripted()])
        for _ in range(200):
            for caller in [house.infer(request(1.0)) for _ in range(2)]:
                assert caller.value() == 2.0
        assert len(house.pool._delayed) <= 2


def test_cancelling_one_can_make_a_preferred_size_of_the_others() -> None:
    queue = queue_of(preferred=(4, 8), delay_us=1_000_000)
    odd, *others = [waiting(1), waiting(2), waiting(2)]
    for entry in (odd, *others):
        queue.push(entry)
    assert queue.take(1) is None
    queue.remove(odd)
    taken = queue.take(1)
    assert taken is not None
    assert taken.batch == others


@pytest.mark.parametrize("how", ["cancel", "expire"])
def test_the_runners_are_told_when_a_request_that_ends_makes_a_batch_due(how: str) -> None:
    by_hand = ByHand(config(preferred=(4, 8), delay_us=3_600_000_000), [Scripted()])
    odd, *others = [by_hand.infer(request(float(rows), rows=rows)) for rows in (1, 2, 2)]
    by_hand.look()
    listed = by_hand.listed
    getattr(odd.pending, how)()
    assert by_hand.listed == listed + 1
    by_hand.run()
    assert [caller.value() for caller in others] == [4.0, 4.0]


class PerThread:
    """A Responder and a Sink that collect for each thread, as a transport may; the first flush waits for the test."""

    def __init__(self) -> None:
        self.sink = self
        self.wire: list[str] = []
        self.entered = Event()
        self.proceed = Event()
        self._held: dict[int, list[str]] = {}

    def send(self, outcome: InferResponse | NaiadError, final: bool) -> None:
        assert isinstance(outcome, InferResponse)
        self._held.setdefault(get_ident(), []).append(outcome.id)

    def flush(self) -> None:
        if not self.entered.is_set():
            self.entered.set()
            assert self.proceed.wait(PATIENCE)
        self.wire += self._held.pop(get_ident(), [])


def test_ordered_replies_leave_in_order_from_whichever_thread() -> None:
    by_hand = ByHand(config(max_batch_size=1, ordered=True), [Scripted(), Scripted()])
    transport = PerThread()
    by_hand.submit(request(1.0), transport)
    by_hand.submit(request(2.0), transport)
    first, second = by_hand.take(), by_hand.take()
    other = Thread(target=by_hand.version.execute, args=(first,))
    other.start()
    assert transport.entered.wait(PATIENCE)
    by_hand.version.execute(second)
    transport.proceed.set()
    other.join()
    assert transport.wire == ["1.0", "2.0"]


class Strings:
    """An executable for BYTES that counts the elements it gets."""

    shared = True
    own_threads = False

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, batch: Batch) -> Result:
        self.rows.append(batch.rows)
        return Result([np.ones((batch.rows, 1), np.float32)])

    def close(self) -> None:
        pass


def text(element: bytes, claimed: int | None = None) -> InferRequest:
    raw = struct.pack("<I", len(element) if claimed is None else claimed) + element
    signature = Signature("m", None, (TensorSpec("x", DataType.BYTES, (1, 1)),))
    return InferRequest(signature, "id", (np.frombuffer(raw, np.uint8),), 0, len(raw))


def test_a_large_text_is_checked_by_the_runner_and_its_fault_is_its_own() -> None:
    model = ModelConfig(
        "m",
        max_batch_size=4,
        inputs=(TensorConfig("x", DataType.BYTES, (1,)),),
        outputs=(TensorConfig("y", DataType.FP32, (1,)),),
        dynamic_batching=DynamicBatching(),
    )
    strings = Strings()
    by_hand = ByHand(model, [strings])  # type: ignore[list-item]
    large = b"x" * LARGE_STRINGS
    sound, lying, small = by_hand.infer(text(large)), by_hand.infer(text(large, 2**31)), by_hand.infer(text(b"x"))
    with pytest.raises(InvalidArgument, match="incomplete string data"):
        by_hand.infer(text(b"x", 2))
    by_hand.run()
    assert "incomplete string data" in str(lying.error())
    assert sound.value() == small.value() == 1.0
    assert strings.rows == [2]
    alone = by_hand.infer(text(large, 2**31))
    by_hand.run()
    assert "incomplete string data" in str(alone.error())
    assert strings.rows == [2]
    assert by_hand.clean


def test_a_backend_that_wants_to_exit_fails_its_batch_only() -> None:
    with House() as house:
        scripted = Scripted()
        scripted.raises = SystemExit(1)  # type: ignore[assignment]
        house.serve(config(), [scripted])
        assert "SystemExit" in str(house.infer(request(1.0)).error())
        scripted.raises = None
        eventually(lambda: house.infer(request(2.0)).value() == 4.0)

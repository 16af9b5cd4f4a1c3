"""Which requests go together, when, and what becomes of those that leave early. Times are handed in."""

from __future__ import annotations

from collections import Counter

import pytest

from naiad.core.config import DynamicBatching
from naiad.core.errors import Rejected
from naiad.core.pending import State
from naiad.core.queue import _MARGIN, BatchQueue, Taken
from tests.core.reference_queue import KEYS, Waiting, queue_of, waiting


def filled(queue: BatchQueue[Waiting], *entries: Waiting) -> list[Waiting]:
    for entry in entries:
        queue.push(entry)
    return list(entries)


def taken(queue: BatchQueue[Waiting], now: int = 0) -> list[Waiting]:
    found = queue.take(now)
    return [] if found is None else found.batch


def held(queue: BatchQueue[Waiting]) -> int:
    """How many entries the queue's deques hold, dead ones included."""
    return len(queue._fifo) + sum(len(bucket.entries) for bucket in queue._buckets.values())


def test_a_queue_gives_nothing_while_it_is_empty() -> None:
    queue = queue_of()
    assert queue.take(10) is None
    assert queue.due_ns() is None


def test_requests_of_one_shape_form_a_batch_up_to_the_largest_size_in_order_of_arrival() -> None:
    queue = queue_of(4)
    entries = filled(queue, *(waiting() for _ in range(6)))
    assert taken(queue) == entries[:4]
    assert taken(queue) == entries[4:]


def test_a_request_that_does_not_fit_closes_the_batch_and_is_not_overtaken() -> None:
    queue = queue_of(4)
    first, large, small = filled(queue, waiting(3), waiting(2), waiting(1))
    assert taken(queue) == [first]
    assert taken(queue) == [large, small]


def test_a_batch_is_no_larger_than_the_largest_preferred_size() -> None:
    queue = queue_of(8, preferred=(2, 3))
    entries = filled(queue, *(waiting() for _ in range(5)))
    assert taken(queue) == entries[:3]


def test_a_request_larger_than_every_preferred_size_runs_alone() -> None:
    queue = queue_of(8, preferred=(2,))
    large, small = filled(queue, waiting(6), waiting(1))
    assert taken(queue) == [large]
    assert taken(queue) == [small]


@pytest.mark.parametrize("batching", [None, DynamicBatching()])
@pytest.mark.parametrize("max_batch_size", [0, 1])
def test_without_batching_every_request_runs_alone(max_batch_size: int, batching: DynamicBatching | None) -> None:
    queue: BatchQueue[Waiting] = BatchQueue(max_batch_size, batching, 10)
    first, second = filled(queue, waiting(), waiting())
    assert taken(queue) == [first]
    assert taken(queue) == [second]


def test_a_config_without_dynamic_batching_never_joins_requests_nor_delays_them() -> None:
    queue: BatchQueue[Waiting] = BatchQueue(8, None, 10)
    first, second = filled(queue, waiting(), waiting())
    assert queue.due_ns() == 0
    assert [taken(queue), taken(queue)] == [[first], [second]]


def test_alternating_shapes_are_batched_by_shape_the_oldest_first() -> None:
    queue = queue_of(8)
    entries = filled(queue, *(waiting(key=KEYS[i % 2]) for i in range(8)))
    assert taken(queue) == entries[::2]
    assert taken(queue) == entries[1::2]


def test_nothing_is_due_before_the_delay_of_the_oldest_request_is_over() -> None:
    queue = queue_of(8, delay_us=10)
    first, second = filled(queue, waiting(at=0), waiting(at=5_000))
    assert queue.due_ns() == 10_000
    assert queue.take(9_999) is None
    assert taken(queue, 10_000) == [first, second]


def test_a_preferred_size_goes_before_the_delay_is_over() -> None:
    queue = queue_of(8, preferred=(2, 4), delay_us=10)
    first, second = filled(queue, waiting(at=1), waiting(at=2))
    assert queue.due_ns() == 1
    assert taken(queue, 3) == [first, second]


def test_the_largest_preferred_size_that_stands_in_the_queue_goes() -> None:
    queue = queue_of(8, preferred=(2, 4), delay_us=10)
    entries = filled(queue, *(waiting(at=1) for _ in range(5)))
    assert taken(queue, 3) == entries[:4]
    assert queue.take(3) is None


def test_what_a_next_request_would_overfill_goes_before_the_delay_is_over() -> None:
    queue = queue_of(4, delay_us=10)
    first, second = filled(queue, waiting(3), waiting(2))
    assert taken(queue, 1) == [first]
    assert queue.take(1) is None
    assert taken(queue, 10_000) == [second]


def test_a_ripe_shape_does_not_wait_for_an_older_one_that_is_not_late() -> None:
    queue = queue_of(2, delay_us=10)
    old, *ripe = filled(queue, waiting(at=0), waiting(key=KEYS[1], at=1), waiting(key=KEYS[1], at=2))
    assert taken(queue, 3) == ripe
    assert taken(queue, 3) == []
    assert taken(queue, 10_000) == [old]


def test_a_late_shape_goes_before_one_that_ripened_earlier() -> None:
    queue = queue_of(2, delay_us=10)
    late, *ripe = filled(queue, waiting(at=0), waiting(key=KEYS[1], at=1), waiting(key=KEYS[1], at=2))
    assert taken(queue, 10_000) == [late]
    assert taken(queue, 10_000) == ripe


def test_shapes_go_in_the_order_in_which_they_ripened() -> None:
    queue = queue_of(2, delay_us=10)
    filled(queue, *(waiting(key=key) for key in (KEYS[0], KEYS[1], KEYS[2])))
    filled(queue, *(waiting(key=key) for key in (KEYS[2], KEYS[0], KEYS[1])))
    assert [taken(queue, 1)[0].key for _ in KEYS] == [KEYS[2], KEYS[0], KEYS[1]]


def test_a_shape_that_lost_a_request_is_no_longer_ripe() -> None:
    queue = queue_of(2, delay_us=10)
    first, second = filled(queue, waiting(), waiting())
    queue.remove(first)
    assert queue.take(1) is None
    assert queue.due_ns() == 10_000
    assert taken(queue, 10_000) == [second]


def test_the_limit_counts_what_waits_and_nothing_else() -> None:
    queue = queue_of(1, limit=2)
    first, _ = filled(queue, waiting(), waiting())
    with pytest.raises(Rejected, match=r"^Exceeds maximum queue size$"):
        queue.push(waiting())
    assert taken(queue) == [first]
    filled(queue, waiting())
    with pytest.raises(Rejected):
        queue.push(waiting())


def test_a_removed_request_frees_its_place_at_once_and_is_never_taken() -> None:
    queue = queue_of(8, limit=2)
    first, second = filled(queue, waiting(), waiting())
    queue.remove(first)
    (third,) = filled(queue, waiting())
    assert first.state is State.DONE
    assert taken(queue) == [second, third]


def test_expired_requests_are_given_back_and_never_taken() -> None:
    queue = queue_of(8)
    old, young = filled(queue, waiting(expires=5), waiting(expires=6))
    found = queue.take(5)
    assert found == Taken([young], [old])
    assert old.state is State.DONE
    assert len(queue) == 0


def test_a_take_that_finds_only_expired_requests_gives_an_empty_batch() -> None:
    queue = queue_of(8)
    entries = filled(queue, waiting(expires=5), waiting(expires=5))
    assert queue.take(5) == Taken([], entries)
    assert queue.take(5) is None


def test_draining_gives_all_that_waits_and_forgets_it() -> None:
    queue = queue_of(8, delay_us=10)
    first, removed, last = filled(queue, waiting(), waiting(), waiting(key=KEYS[1]))
    queue.remove(removed)
    assert list(queue.drain()) == [first, last]
    assert Counter(entry.state for entry in (first, removed, last)) == {State.DONE: 3}
    assert (len(queue), held(queue), queue.due_ns()) == (0, 0, None)


@pytest.mark.parametrize("looked_at", [False, True])
def test_endless_cancelling_does_not_grow_the_queue(looked_at: bool) -> None:
    """Each request comes before the one before it is cancelled, so that a bucket never falls empty."""
    queue = queue_of(8, delay_us=1_000_000)
    (last,) = filled(queue, waiting())
    for _ in range(500):
        (entry,) = filled(queue, waiting())
        queue.remove(last)
        last = entry
        if looked_at:
            assert queue.due_ns() == 1_000_000_000
    assert held(queue) <= 4


def test_endless_taking_behind_a_request_that_waits_does_not_grow_the_queue() -> None:
    queue = queue_of(2, delay_us=1_000_000)
    filled(queue, waiting())
    for _ in range(500):
        pair = filled(queue, waiting(key=KEYS[1]), waiting(key=KEYS[1]))
        assert taken(queue) == pair
    assert held(queue) <= 3 + _MARGIN

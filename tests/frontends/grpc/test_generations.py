"""A cache of two generations: what is used stays, and it never grows beyond its bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from naiad.frontends.grpc.generations import Generations


@given(st.integers(1, 4), st.lists(st.integers(0, 9), max_size=60))
def test_the_last_keys_are_remembered_and_never_more_than_twice_as_many(size: int, keys: list[int]) -> None:
    cache: Generations[int, str] = Generations(size)
    for i, key in enumerate(keys):
        if cache.get(key) is None:
            cache.put(key, str(key))
        assert len(cache) <= 2 * size
        recent = list(dict.fromkeys(reversed(keys[: i + 1])))[:size]
        assert [cache.get(k) for k in recent[:1]] == [str(k) for k in recent[:1]]
        assert all(cache.get(k) in (str(k), None) for k in range(10))


def test_a_key_that_is_asked_for_again_and_again_outlives_all_others() -> None:
    cache: Generations[str, int] = Generations(2)
    cache.put("kept", 1)
    for i in range(100):
        cache.put(str(i), i)
        assert cache.get("kept") == 1


def test_what_was_never_put_is_none() -> None:
    assert Generations[str, int](2).get("x") is None

"""Wrong streams are made of right ones: of each kind, many, and the same again where the numbers are the same."""

from random import Random

import pytest

from tests.abuse.frames import HEAD, PREFACE, call
from tests.fuzzing.mutation import HEADERS, KINDS, Frame, frames, mutate

SAID = PREFACE + bytes(Frame(4, 0, 0, b"")) + call(1, b"question") + call(3, b"another question")
MANY = 3000


@pytest.fixture(scope="module")
def mutants() -> list[bytes]:
    return made(seed=0)


def made(seed: int) -> list[bytes]:
    random = Random(seed)  # noqa: S311 - a test has no secrets
    return [mutate([frames(SAID)], random) for _ in range(MANY)]


def test_frames_are_those_that_were_said() -> None:
    found = frames(SAID)
    assert [frame.stream for frame in found] == [0, 1, 1, 3, 3]
    assert [frame.kind for frame in found].count(HEADERS) == 2
    assert PREFACE + b"".join(map(bytes, found)) == SAID


def test_the_head_of_a_frame_may_lie() -> None:
    assert bytes(Frame(8, 1, 5, b"1234", length=300)) == b"\x00\x01\x2c\x08\x01\x00\x00\x00\x051234"


def test_the_same_random_numbers_make_the_same_streams(mutants: list[bytes]) -> None:
    assert made(seed=0) == mutants
    assert made(seed=1) != mutants


def test_most_streams_are_wrong_each_in_its_own_way_and_some_are_right(mutants: list[bytes]) -> None:
    assert len(set(mutants)) > MANY // 3
    assert 0 < mutants.count(SAID) < MANY // 3


def test_every_kind_of_frame_is_made(mutants: list[bytes]) -> None:
    beginnings = {mutant[len(PREFACE) + 3] for mutant in mutants if len(mutant) >= len(PREFACE) + HEAD}
    assert beginnings >= set(KINDS)

"""Makes wrong streams of HTTP/2 of right ones: frames that are changed, moved, left out, repeated, and mere bytes too.

Pure: the same samples and the same random numbers make the same streams.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.abuse.frames import HEAD, PREFACE

CHANGES = (0, 1, 1, 1, 1, 2, 3, 5)
REPEATS = (1, 1, 1, 50)
LONGEST = 2**18
KINDS = range(12)
"""All kinds of HTTP/2, and two that are none."""
HEADERS, RST_STREAM = 1, 3
TELLING_BYTES = bytes([0, 1, 2, 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF])
TELLING_NUMBERS = (0, 1, 4, 5, 8, 2**14, 2**14 + 1, 2**20, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Frame:
    """A frame as it is sent. length: what its head says, None for the truth."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    length: int | None = None

    def __bytes__(self) -> bytes:
        length = len(self.payload) if self.length is None else self.length
        return struct.pack(">I", length)[1:] + struct.pack(">BBI", self.kind, self.flags, self.stream) + self.payload


def frames(stream: bytes) -> list[Frame]:
    """The frames that a client sent after the preface."""
    found, at = [], len(PREFACE)
    while at + HEAD <= len(stream):
        length = int.from_bytes(stream[at : at + 3], "big")
        kind, flags, number = struct.unpack(">BBI", stream[at + 3 : at + HEAD])
        found.append(Frame(kind, flags, number, stream[at + HEAD : at + HEAD + length]))
        at += HEAD + length
    return found


def mutate(samples: Sequence[Sequence[Frame]], random: Random) -> bytes:
    """A stream made of a sample, with no change to one or with several."""
    mutant = list(random.choice(samples))
    for _ in range(random.choice(CHANGES)):
        random.choice(_OF_FRAMES)(mutant, samples, random)
    stream = PREFACE + b"".join(map(bytes, mutant))
    if random.random() < 0.2:
        stream = _change_bytes(stream, random)
    return stream[:LONGEST]


def _change_bytes(stream: bytes, random: Random) -> bytes:
    """A few bytes anywhere, which may be lost, be others, or come twice."""
    changed = bytearray(stream)
    for _ in range(random.choice((1, 1, 1, 5))):
        at, size = random.randrange(len(changed) + 1), random.choice((1, 1, 1, 4, 30))
        old = changed[at : at + size]
        changed[at : at + size] = random.choice((b"", old * 2, random.randbytes(size), telling_bytes(size, random)))
    return bytes(changed)


def telling_bytes(size: int, random: Random) -> bytes:
    return bytes(random.choices(TELLING_BYTES, k=size))


def _edit(change: Callable[[Frame, Random], Frame]) -> _Change:
    """A change of one frame, of any that there is."""

    def edit(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
        if mutant:
            at = random.randrange(len(mutant))
            mutant[at] = change(mutant[at], random)

    return edit


def _kind(frame: Frame, random: Random) -> Frame:
    return replace(frame, kind=random.choice(KINDS))


def _flags(frame: Frame, random: Random) -> Frame:
    return replace(frame, flags=frame.flags ^ (1 << random.randrange(8)))


def _stream(frame: Frame, random: Random) -> Frame:
    return replace(frame, stream=random.choice((0, 1, 2, 3, frame.stream + 2, *TELLING_NUMBERS)) & 0xFFFFFFFF)


def _length(frame: Frame, random: Random) -> Frame:
    size = len(frame.payload)
    return replace(frame, length=random.choice((max(0, size - 1), size + 1, *TELLING_NUMBERS)) & 0xFFFFFF)


def _payload(frame: Frame, random: Random) -> Frame:
    return replace(frame, payload=_change_bytes(frame.payload, random))


def _shorten(frame: Frame, random: Random) -> Frame:
    return replace(frame, payload=frame.payload[: random.randint(0, len(frame.payload))])


def _number(frame: Frame, random: Random) -> Frame:
    """Four bytes as a number that tells: a setting, a window, the length of a message."""
    at = random.choice((0, 1, 2, len(frame.payload) - 4))
    number = struct.pack(">I", random.choice(TELLING_NUMBERS))
    return replace(frame, payload=frame.payload[: max(0, at)] + number + frame.payload[max(0, at) + 4 :])


def _leave_out(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
    if mutant:
        del mutant[random.randrange(len(mutant))]


def _end(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
    del mutant[random.randint(0, len(mutant)) :]


def _repeat(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
    if mutant:
        at = random.randrange(len(mutant))
        mutant[at:at] = [mutant[at]] * random.choice(REPEATS)


def _swap(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
    if mutant:
        one, other = random.randrange(len(mutant)), random.randrange(len(mutant))
        mutant[one], mutant[other] = mutant[other], mutant[one]


def _make_up(mutant: list[Frame], _: Sequence[Sequence[Frame]], random: Random) -> None:
    payload = random.choice((telling_bytes, lambda size, random: random.randbytes(size)))(
        random.choice((0, 4, 6, 8, 40)), random
    )
    made_up = Frame(random.choice(KINDS), random.randrange(256), random.randrange(8), payload)
    mutant.insert(random.randint(0, len(mutant)), made_up)


def _splice(mutant: list[Frame], samples: Sequence[Sequence[Frame]], random: Random) -> None:
    other = random.choice(samples)
    begin = random.randrange(len(other))
    at = random.randint(0, len(mutant))
    mutant[at:at] = other[begin : begin + random.randint(1, 5)]


_Change = Callable[[list[Frame], Sequence[Sequence[Frame]], Random], None]
_OF_FRAMES: list[_Change] = [
    *map(_edit, (_kind, _flags, _stream, _length, _payload, _payload, _shorten, _number, _number)),
    *(_leave_out, _end, _repeat, _swap, _make_up, _splice),
]

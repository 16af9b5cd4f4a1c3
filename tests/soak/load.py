"""Work in rounds: a crowd comes and goes, and what the server's process holds is counted when it is at rest again."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.soak.counting import State, outside
from tests.soak.crowd import Crowd
from tests.soak.observed import Observed
from tests.soak.visitors import VISITS, Visit

REST_SECONDS = 5.0
"""What a server gets to notice that everybody has gone."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was done: how many visits there were of each kind, and the state after each round."""

    visits: Counter[str]
    states: Sequence[State]


def work(server: Observed, rounds: int, seconds: float, kinds: Mapping[str, Visit] = VISITS) -> Work:
    """Let crowds come for `seconds` each, and count in between."""
    visits: Counter[str] = Counter()
    states = []
    descriptors = outside(server.pid).descriptors
    for number in range(rounds):
        with Crowd(server.grpc, kinds, seed=number) as crowd:
            crowd.stay(seconds)
        visits += crowd.visits
        states.append(at_rest(server, descriptors))
    return Work(visits, states)


def at_rest(server: Observed, descriptors: int) -> State:
    """Wait until there are no more than so many descriptors, but not for ever, and count."""
    gc.collect()  # of the clients: grpc.aio leaves some of its channels to the collector, with their connections
    until = time.monotonic() + REST_SECONDS
    while outside(server.pid).descriptors > descriptors and time.monotonic() < until:
        time.sleep(0.01)
    told = server.ask()
    return State(time.monotonic(), outside(server.pid), told)

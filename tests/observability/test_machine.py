"""CPU and memory from readings that a test hands in, and the process from itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest

from naiad.observability.cgroup import Cpu, Memory
from naiad.observability.exposition import text
from naiad.observability.machine import Machine, Process, Use, pinned_memory
from tests.observability.families import OF_A_PROCESS
from tests.observability.scrapes import read

PLENTY = Memory(1000, 400)


class Hand:
    """A clock, and a CPU of two cores whose time a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.seconds = 50.0
        self.memory = PLENTY
        self.readings = 0

    def cpu(self) -> Cpu:
        self.readings += 1
        return Cpu(2.0, self.seconds)

    def pass_by(self, seconds: float, busy: float) -> None:
        self.now += seconds
        self.seconds += busy

    def machine(self) -> Machine:
        return Machine(2.0, self.cpu, lambda: self.memory, lambda: self.now)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_utilization_is_the_share_of_the_cores_since_the_last_reading(hand: Hand) -> None:
    machine = hand.machine()
    assert machine.use() == Use(2.0, 0.0, PLENTY)
    hand.pass_by(4.0, busy=2.0)
    assert machine.use().utilization == 0.25
    hand.pass_by(2.0, busy=4.0)
    assert machine.use().utilization == 1.0


def test_a_reading_is_told_again_until_it_is_an_interval_old(hand: Hand) -> None:
    machine = hand.machine()
    hand.pass_by(1.9, busy=3.0)
    hand.memory = Memory(1000, 500)
    assert machine.use() == Use(2.0, 0.0, PLENTY)
    assert hand.readings == 1
    hand.pass_by(0.1, busy=0.0)
    assert machine.use() == Use(2.0, 0.75, Memory(1000, 500))
    assert hand.readings == 2


@pytest.mark.parametrize(("busy", "told"), [(-1.0, 0.0), (9.0, 1.0)])
def test_utilization_stays_between_0_and_1_whatever_the_counters_do(hand: Hand, busy: float, told: float) -> None:
    machine = hand.machine()
    hand.pass_by(2.0, busy)
    assert machine.use().utilization == told


def test_the_families_are_tritons_and_the_limit_of_ours(hand: Hand) -> None:
    found = read(text((*hand.machine().blocks(), *pinned_memory())))
    assert {name: values[()] for name, values in found.values.items()} == {
        "nv_cpu_utilization": 0,
        "nv_cpu_memory_total_bytes": 1000,
        "nv_cpu_memory_used_bytes": 400,
        "naiad_cpu_limit_cores": 2,
        "nv_pinned_memory_pool_total_bytes": 0,
        "nv_pinned_memory_pool_used_bytes": 0,
    }
    assert set(found.types.values()) == {"gauge"}


@pytest.fixture
def open_files() -> Iterator[int]:
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    yield len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - less the one that lists
    for file in files:
        os.close(file)


def test_the_process_is_told_as_every_prometheus_client_does(open_files: int) -> None:
    found = read(text(Process().blocks()))
    assert found.types == OF_A_PROCESS
    assert found.value("process_open_fds") == pytest.approx(open_files, abs=2)
    assert found.value("process_start_time_seconds") == pytest.approx(psutil.Process().create_time(), abs=2)
    assert found.value("process_resident_memory_bytes") > 1_000_000

"""A large model is swapped beside a tiny one: what the tiny one notices of it, and what is left of it in memory.

The control is the same load while the same files are dropped in front of another server, so that all that the machine
does is the same, and only the process is another one.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from benchmarks import models
from tests.drills.big import MB, NAME, TINY, Big, Drops, beside
from tests.drills.figures import Figures, Scale
from tests.drills.steady import percentile
from tests.e2e.server import Server
from tests.soak.counting import resident

RATE = 200
"""Requests a second for the tiny model: a small part of what a core can serve."""
CONFIG = f'name: "{NAME}" backend: "onnxruntime" max_batch_size: 4 instance_group [ {{ kind: KIND_CPU count: 1 }} ]\n'
MOST_GROWTH, MOST_MORE_MB = 1.1, 20
GROWS_FROM = 2
"""The swap after which memory is looked at for the first time."""


@pytest.fixture
def big(tmp_path: Path, scale: Scale) -> Big:
    return Big(tmp_path, scale.of(32, 208))


def repository(directory: Path, big: Big) -> Path:
    """A repository with the tiny model and the first version of the large one."""
    models.echoes(directory, 1)
    big.write(directory / NAME / "1", 1)
    (directory / NAME / "config.pbtxt").write_text(CONFIG)
    return directory


def test_a_tiny_model_hardly_notices_that_a_large_one_is_swapped_beside_it(
    tmp_path: Path, big: Big, scale: Scale, figures: Figures
) -> None:
    pairs, drops = scale.of(1, 5), scale.of(2, 6)
    here, elsewhere = repository(tmp_path / "here", big), repository(tmp_path / "elsewhere", big)
    ratios, worst = [], []
    with Server(here) as server, Server(elsewhere) as other:
        swaps, control = Drops(server, here, big), Drops(other, elsewhere, big)
        for _ in range(pairs):
            with_swaps = beside(server, swaps, drops, RATE)
            without = beside(server, control, drops, RATE)
            ratios.append(percentile(with_swaps, 99) / percentile(without, 99))
            worst.append((percentile(with_swaps, 99), percentile(without, 99)))
    of = f"of a {TINY} beside swaps of {big.nbytes / 1e6:.0f} MB"
    figures.tell(f"p99 {of}, ms: here, elsewhere", ", ".join(f"{a * 1e3:.2f} {b * 1e3:.2f}" for a, b in worst))
    ratio = statistics.median(ratios)
    bounded = scale is Scale.FULL
    figures.tell(f"p99 {of} / elsewhere", ratio, "at most 2" if bounded else "", ratio <= 2 or not bounded)


@pytest.mark.parametrize("external", [False, True], ids=["inline", "external"])
def test_what_a_server_holds_does_not_grow_with_swaps(
    tmp_path: Path, scale: Scale, figures: Figures, external: bool
) -> None:
    big = Big(tmp_path, scale.of(32, 208), external=external)
    models_here = repository(tmp_path / "here", big)
    with Server(models_here) as server:
        drops = Drops(server, models_here, big)
        held = []
        for _ in range(scale.of(4, 20)):
            drops.drop()
            drops.wait_until_alone()
            held.append(resident(server.pid))
    before, after = held[GROWS_FROM - 1], held[-1]
    ratio = after / before
    figures.tell(
        f"resident after {len(held)} swaps / after {GROWS_FROM}, {big.nbytes / 1e6:.0f} MB",
        f"{ratio:.3f} ({before / MB:.0f} -> {after / MB:.0f} MB)",
        f"at most {MOST_GROWTH} and {MOST_MORE_MB} MB",
        after <= MOST_GROWTH * before + MOST_MORE_MB * MB,
    )

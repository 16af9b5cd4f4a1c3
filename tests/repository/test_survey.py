"""From look to look: what is wanted otherwise than before, on real directories and a clock that a test turns."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from naiad.core.budget import Budget
from naiad.core.dedicated import DedicatedRunners
from naiad.core.runners import RunnerPool
from naiad.core.timer import Timer
from naiad.core.waiter import ConditionWaiter
from naiad.repository.asked import Asked
from naiad.repository.loading import Backends, Loader, Threads
from naiad.repository.stability import Settling
from naiad.repository.survey import Survey, Watch
from naiad.repository.wanted import Candidate
from tests.repository.files import lay

CONFIG = 'backend: "identity"'
SETTLE = 10.0


@dataclass
class Turned:
    """A clock that goes with the real one, and is turned forward."""

    ahead: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def wall_ns(self) -> int:
        return time.time_ns() + int(self.ahead * 1e9)


class Disk:
    """A repository and the survey of it."""

    def __init__(self, root: Path, settle: float = SETTLE) -> None:
        self.root = root
        self.clock = Turned()
        timer = Timer()
        threads = Threads(RunnerPool(ConditionWaiter(), timer, 1), DedicatedRunners(), timer, Budget(1))
        loader = Loader(Backends(lambda _: pytest.fail("a survey loads nothing"), lambda _: ()), threads)
        watch = Watch(settle, self.clock.now, self.clock.wall_ns)
        self.survey = Survey([root], loader, Asked(), watch)

    def look(self, *names: str) -> dict[str, Candidate]:
        return {candidate.name: candidate for candidate in self.survey.look(names or None).candidates}

    def gone(self) -> list[str]:
        return list(self.survey.look().gone)

    def settle(self) -> dict[str, Candidate]:
        """Look, let the settling time pass, and look again."""
        before = self.look()
        self.clock.ahead += SETTLE + 1
        return before | self.look()

    def model(self, name: str, *versions: int, config: str = CONFIG) -> None:
        lay(self.root, {f"{name}/config.pbtxt": config, **{f"{name}/{number}/x": "" for number in versions}})

    def learn(self) -> None:
        while self.survey.learn():
            pass


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    root = tmp_path / "models"
    root.mkdir()
    disk = Disk(root)
    disk.model("m", 1)
    return disk


def test_what_still_changes_is_known_and_wanted_when_it_has_settled(disk: Disk) -> None:
    first = disk.look()["m"]
    assert first.wanted == {}
    assert list(first.waiting) == [1]
    assert first.waiting[1].startswith("still changing")
    assert disk.survey.unsettled
    settled = disk.settle()["m"]
    assert list(settled.wanted) == [1]
    assert not settled.waiting
    assert not disk.survey.unsettled


def test_what_stays_as_it_is_is_told_once(disk: Disk) -> None:
    assert disk.settle()
    assert disk.look() == {}
    assert disk.look("m") == {}


def test_a_new_version_leaves_the_one_before_wanted_until_it_may_be_served(disk: Disk) -> None:
    before = disk.settle()["m"].wanted[1].identity
    lay(disk.root, {"m/2/x": "", "m/2/.publishing": ""})
    now = disk.look("m")["m"]
    assert {n: wish.identity for n, wish in now.wanted.items()} == {1: before}
    assert list(now.waiting) == [2]
    (disk.root / "m" / "2" / ".publishing").unlink()
    assert list(disk.settle()["m"].wanted) == [2]


def test_another_content_is_another_identity_and_a_touch_is_none(disk: Disk) -> None:
    before = disk.settle()["m"].wanted[1].identity
    disk.learn()
    (disk.root / "m" / "1" / "x").touch()
    touched = disk.settle().get("m")
    assert touched is None or touched.wanted[1].identity == before
    (disk.root / "m" / "1" / "x").write_text("other")
    assert disk.settle()["m"].wanted[1].identity != before


@pytest.mark.parametrize(
    ("config", "same"),
    [
        (CONFIG + "\ninstance_group { kind: KIND_CPU count: 3 }", False),
        (CONFIG + "\ninstance_group { count: 3 }", True),
        (CONFIG + "\nversion_policy { all { } }", True),
        (CONFIG + '\nparameters { key: "swap" value { string_value: "replace" } }', True),
        (CONFIG + "\nmax_batch_size: 4", False),
        ("# another way to write it\n" + CONFIG, True),
    ],
)
def test_what_is_applied_in_place_is_not_loaded_anew(disk: Disk, config: str, same: bool) -> None:
    before = disk.settle()["m"].wanted[1].identity
    (disk.root / "m" / "config.pbtxt").write_text(config)
    now = disk.settle()["m"].wanted[1]
    assert (now.identity == before) is same
    assert now.replace is ("replace" in config)


def test_a_model_that_is_away_for_long_is_gone_and_not_before(disk: Disk) -> None:
    disk.settle()
    disk.survey.look()
    shutil.move(disk.root / "m", disk.root.parent / "away")
    assert disk.gone() == []
    disk.clock.ahead += SETTLE / 2
    shutil.move(disk.root.parent / "away", disk.root / "m")
    assert disk.gone() == []
    shutil.rmtree(disk.root / "m")
    assert disk.gone() == []
    disk.clock.ahead += SETTLE + 1
    assert disk.gone() == ["m"]
    assert disk.gone() == []


def test_a_repository_that_cannot_be_read_removes_nothing_and_is_told_once(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.settle()
    disk.root.rename(disk.root.parent / "unmounted")
    for _ in range(3):
        disk.clock.ahead += 10 * SETTLE
        findings = disk.survey.look()
        assert not findings.candidates
        assert not findings.gone
    assert caplog.text.count("cannot be read") == 1
    (disk.root.parent / "unmounted").rename(disk.root)
    assert disk.look() == {}


def test_only_the_models_that_are_named_are_looked_at(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.model("n", 1)
    disk.settle()
    seen: list[str] = []
    judge: Callable[..., object] = Settling.judge

    def judged(self: Settling, snapshot: object, *rest: object) -> object:
        seen.append(getattr(snapshot, "name", "nothing"))
        return judge(self, snapshot, *rest)

    monkeypatch.setattr(Settling, "judge", judged)
    disk.model("m", 2)
    disk.model("n", 2)
    assert list(disk.look("n")) == ["n"]
    assert seen == ["n"]


def test_it_says_when_to_look_again(disk: Disk) -> None:
    disk.look()
    due = disk.survey.due
    assert due is not None
    assert 0 < due - disk.clock.now() <= SETTLE
    assert disk.survey.due_models() == set()
    disk.clock.ahead += SETTLE + 1
    assert disk.survey.due_models() == {"m"}
    disk.look("m")
    assert disk.survey.due is None


def test_what_is_incomplete_waits_and_is_told_once(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    lay(disk.root, {"o/1/model.onnx": ""})
    waiting = disk.settle()["o"].waiting
    assert waiting[1].startswith("incomplete: 'model.onnx'")
    disk.settle()
    assert caplog.text.count("model o version 1 waits: incomplete: 'model.onnx'") == 1


def test_a_mistake_in_the_config_is_the_models_and_its_versions_are_still_there(disk: Disk) -> None:
    disk.settle()
    (disk.root / "m" / "config.pbtxt").write_text("max_batch_sise: 8")
    broken = disk.settle()["m"]
    assert "max_batch_sise" in broken.problem
    assert broken.wanted == {}
    assert broken.present == {1}
    (disk.root / "m" / "config.pbtxt").write_text(CONFIG)
    assert list(disk.settle()["m"].wanted) == [1]


def test_looking_at_once_waits_for_nothing(disk: Disk) -> None:
    (candidate,) = disk.survey.once()
    assert list(candidate.wanted) == [1]


def test_a_model_of_which_nothing_has_settled_says_so(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.model("m")
    assert disk.look()["m"] == Candidate("m", {}, idle="still changing")

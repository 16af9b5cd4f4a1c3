"""The manager and the loader on scripted backends: what is served, what is told, and what is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from naiad.core.backend import Backend, Executable, ModelFiles
from naiad.core.config import Device, DynamicBatching, InstanceGroup, Kind, ModelConfig, QueuePolicy
from naiad.core.engine import IndexEntry
from naiad.core.errors import InvalidArgument, NaiadError, NotFound, Unavailable
from naiad.core.problems import Cause, InvalidConfig
from naiad.core.version import Version
from naiad.repository import publishing
from naiad.repository.loaders import Loaders
from naiad.repository.loading import Backends, Loaded, Loader, Threads, resolve_groups
from naiad.repository.manager import Candidate, Manager
from naiad.repository.resolve import Resolved
from tests.core.house import House
from tests.core.scripted import PATIENCE, Caller, Scripted, config, eventually, request

FILES = ModelFiles(Path("m"), Path("m/1"), None)


class ScriptedBackend:
    """Loads Scripted executables, or raises what its plan says for the model."""

    def __init__(self, plan: Mapping[str, BaseException | Event]) -> None:
        self._plan = plan
        self.stubborn: BaseException | None = None
        self.executables: list[Scripted] = []
        self.closed = False
        self.shared = True
        self.model = ""

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        self.model = config.name
        trouble = self._plan.get(config.name)
        if isinstance(trouble, Event):
            assert trouble.wait(PATIENCE)
        elif trouble is not None:
            raise trouble
        return config

    def load(self, device: Device) -> Executable:
        if len(self.executables) == 2:
            raise InvalidArgument("no room for a third")
        self.executables.append(Scripted(shared=self.shared))
        return self.executables[-1]

    def close(self) -> None:
        self.closed = True
        if self.stubborn is not None:
            raise self.stubborn


class Site:
    """A manager over candidates that a test names, with two loader threads."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.plan: dict[str, BaseException | Event] = {}
        self.made: list[ScriptedBackend] = []
        self._started = False
        self.candidates: list[Candidate] = []
        threads = Threads(self.house.pool, self.house.dedicated, self.house.timer, self.house.budget)
        self.loader = Loader(Backends(self._create, lambda _: ()), threads)
        self.loaders = Loaders(2, self.house.timer)
        self.manager = Manager(self.house.engine, lambda: self.candidates, self.loaders)

    def _create(self, name: str) -> ScriptedBackend:
        self.made.append(ScriptedBackend(self.plan))
        return self.made[-1]

    def offer(self, name: str, *versions: int, problem: str = "", **trouble: str) -> None:
        resolved = Resolved(config(name), FILES)
        wanted: dict[int, Callable[[], Loaded] | str] = {
            number: partial(self.loader.load, resolved, number, lambda _: "config.pbtxt") for number in versions
        }
        wanted.update({int(number.removeprefix("v")): reason for number, reason in trouble.items()})
        self.candidates.append(Candidate(name, wanted, problem))

    def start(self) -> None:
        if not self._started:
            self._started = True
            self.manager.start()

    def settle(self) -> None:
        self.start()
        assert self.manager.settled(PATIENCE)

    def ask(self, model: str, version: int | None = None) -> float:
        return self.house.infer(request(2.0, model=model, version=version)).value()


@pytest.fixture
def site() -> Iterator[Site]:
    with House() as house:
        site = Site(house)
        yield site
        site.start()
        site.manager.freeze()
        for trouble in site.plan.values():
            if isinstance(trouble, Event):
                trouble.set()
        assert site.manager.drain(PATIENCE)
        site.manager.close()
    eventually(lambda: all(backend.closed for backend in site.made if backend.executables))
    assert all(executable.closed for backend in site.made for executable in backend.executables)


def states(site: Site) -> list[tuple[str, str, str]]:
    return [(entry.name, entry.version, entry.state) for entry in site.manager.index(ready_only=False)]


def test_a_model_that_is_not_asked_for_is_shown_and_not_called_a_failure(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.candidates.append(Candidate("idle", {}, idle="nobody asks for it"))
    site.offer("broken", problem="config.pbtxt:3: expected a number")
    site.settle()
    assert states(site) == [("broken", "", "UNAVAILABLE"), ("idle", "", "UNAVAILABLE")]
    assert [entry.name for entry in site.manager.failures()] == ["broken"]
    assert "idle" not in caplog.text


def test_all_wanted_versions_are_loaded_and_the_highest_answers(site: Site) -> None:
    site.offer("a", 1, 7)
    site.settle()
    assert site.ask("a") == site.ask("a", 1) == 4.0
    assert site.house.engine.metadata("a", None).versions == (1, 7)
    assert site.house.engine.ready()
    assert states(site) == [("a", "1", "READY"), ("a", "7", "READY")]


def test_a_model_that_fails_leaves_the_others_serving_and_says_why(site: Site) -> None:
    site.offer("bad", 1)
    site.offer("worse", 1)
    site.offer("good", 1)
    site.plan |= {"bad": InvalidArgument("the file is truncated"), "worse": ZeroDivisionError("by zero")}
    site.settle()
    assert site.ask("good") == 4.0
    assert site.house.engine.ready()
    assert site.manager.index(ready_only=False) == (
        IndexEntry("bad", "1", "UNAVAILABLE", "m/1: the file is truncated"),
        IndexEntry("good", "1", "READY", ""),
        IndexEntry("worse", "1", "UNAVAILABLE", "m/1: ZeroDivisionError: by zero"),
    )
    assert [entry.name for entry in site.manager.index(ready_only=True)] == ["good"]
    with pytest.raises(Unavailable, match="version 1 is not at ready state"):
        site.ask("bad", 1)
    with pytest.raises(NotFound, match="has no available versions"):
        site.ask("bad")


def test_one_bad_version_leaves_its_siblings_serving(site: Site) -> None:
    site.offer("a", 1, v2="no model file")
    site.settle()
    assert site.ask("a") == 4.0
    assert site.manager.index(ready_only=False)[1] == IndexEntry("a", "2", "UNAVAILABLE", "no model file")


def test_a_model_whose_config_is_wrong_stands_in_the_index_with_the_reason(site: Site) -> None:
    site.offer("a", problem="config.pbtxt:3: expected a number")
    site.settle()
    assert site.manager.index(ready_only=False) == (
        IndexEntry("a", "", "UNAVAILABLE", "config.pbtxt:3: expected a number"),
    )
    with pytest.raises(NotFound, match="has no available versions"):
        site.ask("a")


def test_the_server_is_ready_when_the_first_pass_has_ended_and_not_before(site: Site) -> None:
    slow = site.plan["slow"] = Event()
    site.offer("slow", 1)
    site.offer("quick", 1)
    site.start()
    eventually(lambda: site.house.engine.model_ready("quick", None))
    assert site.ask("quick") == 4.0
    assert not site.house.engine.ready()
    assert states(site) == [("quick", "1", "READY"), ("slow", "1", "LOADING")]
    slow.set()
    assert site.manager.settled(PATIENCE)
    assert site.house.engine.ready()


@pytest.mark.parametrize("trouble", [SystemExit("enough"), BaseException("panicked")])
def test_a_load_that_wants_to_end_the_process_ends_itself_only(site: Site, trouble: BaseException) -> None:
    for name in ("a", "b", "c"):
        site.offer(name, 1)
        site.plan[name] = trouble
    site.offer("good", 1)
    site.settle()
    assert site.ask("good") == 4.0
    entry = site.manager.index(ready_only=False)[0]
    assert entry == IndexEntry("a", "1", "UNAVAILABLE", f"{type(trouble).__name__}: {trouble}")


def test_a_load_that_hangs_fails_its_version_and_the_server_gets_ready(site: Site) -> None:
    site.loaders._timeout = 0.05
    for name in ("a", "b", "c"):
        site.offer(name, 1)
        site.plan[name] = Event()
    site.offer("good", 1)
    site.settle()
    assert site.house.engine.ready()
    assert site.ask("good") == 4.0
    reason = "loading was given up after 0.05 s (--model-load-timeout-secs)"
    assert site.manager.index(ready_only=False)[0] == IndexEntry("a", "1", "UNAVAILABLE", reason)


def test_what_a_load_brings_too_late_is_closed_and_never_served(site: Site) -> None:
    site.loaders._timeout = 0.05
    late = site.plan["late"] = Event()
    site.offer("late", 1)
    site.settle()
    late.set()
    eventually(lambda: site.made[0].closed)
    assert site.made[0].executables[0].closed
    assert not site.house.engine.model_ready("late", None)
    assert states(site) == [("late", "1", "UNAVAILABLE")]


def test_candidates_that_end_in_an_error_are_served_as_far_as_they_came(site: Site) -> None:
    site.offer("a", 1)

    def broken() -> Iterator[Candidate]:
        yield from site.candidates
        raise ZeroDivisionError

    site.manager._candidates = broken
    site.settle()
    assert site.ask("a") == 4.0


def test_a_listener_that_raises_keeps_nobody_from_being_served(site: Site) -> None:
    def listener() -> None:
        raise ZeroDivisionError

    end = site.house.engine.subscribe(listener)
    site.offer("a", 1)
    site.settle()
    assert site.ask("a") == 4.0
    end()


def test_what_is_shown_of_a_model_is_made_anew_for_its_own_changes_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def entry(name: str, *rest: str) -> IndexEntry:
        made.append(name)
        return IndexEntry(name, *rest)

    monkeypatch.setattr(publishing, "IndexEntry", entry)
    for number in range(100):
        site.offer(f"m{number:03}", 1)
    site.settle()
    assert len(site.manager.index(ready_only=True)) == 100
    assert made.count("m000") == 3  # known, LOADING, READY


def test_an_empty_repository_is_ready(site: Site) -> None:
    site.settle()
    assert site.house.engine.ready()
    assert site.manager.index(ready_only=False) == ()


def test_listeners_hear_of_each_model_that_becomes_ready(site: Site) -> None:
    heard: list[bool] = []
    site.house.engine.subscribe(lambda: heard.append(site.house.engine.model_ready("a", None)))
    site.offer("a", 1)
    site.settle()
    assert heard[-1] is True


def test_draining_answers_what_is_on_its_way_and_refuses_what_comes(site: Site) -> None:
    site.offer("a", 1)
    site.settle()
    executable = site.made[0].executables[0]
    executable.hold()
    running = site.house.infer(request(1.0, model="a"))
    executable.await_run()
    assert not site.manager.drain(0.05)
    assert states(site) == [("a", "1", "UNLOADING")]
    with pytest.raises(NaiadError, match="not at ready state"):
        site.house.engine.infer(request(1.0, model="a"), Caller())
    executable.let_go()
    assert site.manager.drain(PATIENCE)
    assert running.value() == 2.0
    assert states(site) == [("a", "1", "UNAVAILABLE")]


def test_what_still_runs_is_not_closed(site: Site) -> None:
    site.offer("a", 1)
    site.offer("b", 1)
    site.settle()
    backends = {made.model: made for made in site.made}
    busy = backends["a"].executables[0]
    busy.hold()
    site.house.infer(request(1.0, model="a"))
    busy.await_run()
    assert not site.manager.drain(0.05)
    site.manager._messages.put(site.manager._close_all)
    eventually(lambda: backends["b"].closed)
    assert not busy.closed
    busy.let_go()


@pytest.mark.parametrize("trouble", [RuntimeError("the driver is gone"), SystemExit("enough")])
def test_a_version_that_cannot_be_closed_leaves_none_of_the_others_open(site: Site, trouble: BaseException) -> None:
    for name in ("a", "b", "c"):
        site.offer(name, 1)
    site.settle()
    for made in site.made:
        made.stubborn = trouble
    assert site.manager.drain(PATIENCE)
    site.manager._messages.put(site.manager._close_all)
    eventually(lambda: all(made.closed for made in site.made))
    assert states(site) == [(name, "1", "UNAVAILABLE") for name in ("a", "b", "c")]


def test_a_backend_is_closed_even_when_its_version_cannot_be() -> None:
    closed: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self._name = name

        def close(self) -> None:
            closed.append(self._name)
            raise ZeroDivisionError(self._name)

    parts = Loaded(cast(Version, Part("version")), cast(Backend, Part("backend")))
    with pytest.raises(ZeroDivisionError, match="backend"):
        parts.close()
    assert closed == ["version", "backend"]


def test_what_is_still_loading_when_the_server_stops_is_closed_and_never_served(site: Site) -> None:
    late = site.plan["late"] = Event()
    site.offer("late", 1)
    site.start()
    eventually(lambda: states(site) == [("late", "1", "LOADING")])
    assert site.manager.drain(PATIENCE)
    late.set()
    eventually(lambda: bool(site.made[0].executables) and bool(site.made[0].executables[0].closed))
    assert not site.house.engine.model_ready("late", None)


def with_groups(*groups: InstanceGroup) -> ModelConfig:
    return ModelConfig("m", instance_groups=groups)


def test_groups_get_names_and_an_automatic_kind_takes_the_gpus_there_are() -> None:
    auto = with_groups()
    assert resolve_groups(auto, ()) == (InstanceGroup("m", Kind.CPU),)
    assert resolve_groups(auto, (0, 1)) == (InstanceGroup("m", Kind.GPU, gpus=(0, 1)),)
    named = with_groups(InstanceGroup("x", Kind.CPU, 3), InstanceGroup(kind=Kind.GPU, gpus=(1,)))
    assert resolve_groups(named, (0, 1)) == (
        InstanceGroup("x", Kind.CPU, 3),
        InstanceGroup("m_1", Kind.GPU, gpus=(1,)),
    )


def test_a_group_without_a_count_gets_what_its_backend_makes_of_a_cpu() -> None:
    group = InstanceGroup("g", Kind.CPU, count=0)
    assert resolve_groups(ModelConfig("m", "onnxruntime", instance_groups=(group,)), ())[0].count == 2
    assert resolve_groups(ModelConfig("m", "identity", instance_groups=(group,)), ())[0].count == 1


@pytest.mark.parametrize(
    ("group", "gpus", "text"),
    [
        (InstanceGroup("g", Kind.GPU), (), "instance group g of model m has kind KIND_GPU but no GPUs are available"),
        (
            InstanceGroup("g", Kind.GPU, gpus=(3,)),
            (0, 1),
            "instance group g of model m specifies invalid or unsupported gpu id 3. GPUs that can be used are: 0, 1",
        ),
        (
            InstanceGroup("g", Kind.MODEL),
            (0,),
            "instance group g of model m has kind KIND_MODEL, expected KIND_AUTO, KIND_CPU or KIND_GPU",
        ),
    ],
)
def test_a_group_that_has_no_place_is_refused(group: InstanceGroup, gpus: tuple[int, ...], text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        resolve_groups(with_groups(group), gpus)
    (problem,) = caught.value.problems
    assert problem.text == text
    assert problem.found in text
    lacks_gpu = group.kind is Kind.GPU
    assert problem.remedy.startswith("Serve it where" if lacks_gpu else "Write ")
    assert problem.cause is (Cause.NO_GPU if lacks_gpu else Cause.MISTAKE)


def load(site: Site, count: int, shared: bool) -> Loaded:
    wanted = replace(config(), instance_groups=(InstanceGroup(kind=Kind.CPU, count=count),))
    backend = ScriptedBackend({})
    backend.shared = shared
    site.made.append(backend)
    site.loader._backends = Backends(lambda _: backend, lambda _: ())
    return site.loader.load(Resolved(wanted, FILES), 1, lambda _: "config.pbtxt")


@pytest.mark.parametrize(("shared", "loads"), [(True, 1), (False, 2)])
def test_instances_share_an_executable_where_it_allows_that(site: Site, shared: bool, loads: int) -> None:
    loaded = load(site, 2, shared)
    assert len(site.made[0].executables) == loads
    assert len(loaded.version.instances) == 2
    loaded.close()


def test_a_load_that_fails_halfway_leaves_nothing_behind(site: Site) -> None:
    with pytest.raises(InvalidArgument, match="no room for a third"):
        load(site, 3, shared=False)
    assert [executable.closed for executable in site.made[0].executables] == [True, True]
    assert site.made[0].closed


@pytest.mark.parametrize(
    ("own", "setting", "limit"), [(5, 9, 5), (0, 9, 9), (0, 0, 1024)], ids=["the config", "the server", "the rule"]
)
def test_the_queue_is_limited_by_the_config_or_the_server_or_the_rule(
    site: Site, own: int, setting: int, limit: int
) -> None:
    site.loader._max_queue_size = setting
    batched = ModelConfig(
        "m", max_batch_size=8, dynamic_batching=DynamicBatching(queue_policy=QueuePolicy(max_queue_size=own))
    )
    assert site.loader._queue_limit(batched, 2) == limit


def test_the_rule_grows_with_batch_size_and_instances(site: Site) -> None:
    assert site.loader._queue_limit(ModelConfig("m", max_batch_size=64), 2) == 32 * 64 * 2


def test_waiting_in_vain_ends_at_the_timeout(site: Site) -> None:
    site.plan["slow"] = Event()
    site.offer("slow", 1)
    site.start()
    before = time.monotonic()
    assert not site.manager.settled(0.01)
    assert time.monotonic() - before < PATIENCE

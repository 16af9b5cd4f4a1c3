"""The whole of a scrape, of an engine that serves."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from naiad import __version__
from naiad.core.config import Device, Kind
from naiad.core.engine import Engine, IndexEntry
from naiad.core.errors import NaiadError
from naiad.core.history import ModelHistory, Standing
from naiad.core.instance import Instance
from naiad.core.lifecycle import Phase
from naiad.observability.exposition import Family
from naiad.observability.metrics import Metrics
from tests.core.house import House
from tests.core.scripted import Scripted, config, request
from tests.observability.scrapes import Scrape, read, series


@pytest.fixture
def house() -> Iterator[House]:
    with House(budget=1000) as house:
        yield house


def scrape(house: House, metrics: Metrics | None = None) -> Scrape:
    return read((metrics or Metrics(house.engine, house.budget)).text())


class Histories:
    """A Control that knows one model."""

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        return ()

    def histories(self) -> tuple[ModelHistory, ...]:
        return (ModelHistory("m", {1: Standing(Phase.LOADING)}),)


def test_a_server_without_models_tells_what_it_is(house: House) -> None:
    found = scrape(house)
    assert found.value("naiad_server_ready") == 0
    assert found.value("naiad_build_info", version=__version__, python=platform.python_version()) == 1
    assert found.value("naiad_bytes_in_flight_limit") == 1000
    assert found.value("naiad_bytes_in_flight") == 0
    assert found.value("naiad_access_log_lines_lost_total") == 0
    assert set(found.values["naiad_request_failures_total"].values()) == {0}
    assert "nv_inference_count" not in found.types


def test_it_is_ready_from_the_first_pass_of_loading_until_it_goes_away(house: House) -> None:
    house.publish()
    assert scrape(house).value("naiad_server_ready") == 1
    house.engine.retire()
    assert scrape(house).value("naiad_server_ready") == 0


class Starting(Histories):
    """Serves from the moment on that its states were asked for."""

    def __init__(self, house: House) -> None:
        self._house = house

    def histories(self) -> tuple[ModelHistory, ...]:
        self._house.publish()
        return super().histories()


def test_a_scrape_says_ready_only_of_what_it_tells(house: House) -> None:
    house.engine.govern(Starting(house))
    assert scrape(house).value("naiad_server_ready") == 0
    assert scrape(house).value("naiad_server_ready") == 1


def test_states_are_told_while_nothing_is_served_yet(house: House) -> None:
    house.engine.govern(Histories())
    assert scrape(house).value("naiad_model_state", model="m", version="1", state="loading") == 1


def test_bytes_are_in_flight_while_a_request_runs(house: House) -> None:
    scripted = Scripted()
    house.serve(config(), [scripted])
    scripted.hold()
    caller = house.infer(request(1.0, width=4))
    scripted.await_run()
    assert scrape(house).value("naiad_bytes_in_flight") == 16
    scripted.let_go()
    caller.outcome()
    assert scrape(house).value("nv_inference_request_success", model="m", version="1") == 1


def test_no_client_can_make_series(house: House) -> None:
    house.serve(config(), [Scripted()])
    metrics = Metrics(house.engine, house.budget)
    before = scrape(house, metrics)
    for i in range(1000):
        with pytest.raises(NaiadError):
            house.infer(request(1.0, model=f"made-up-{i}"))
        with pytest.raises(NaiadError):
            house.infer(request(1.0, version=1000 + i))
    after = scrape(house, metrics)
    assert after.size == before.size
    assert after.value("naiad_request_failures_total", model="", version="", reason="not_found") == 2000
    assert after.sum("naiad_request_failures_total") == 2000


def test_two_servers_of_one_process_share_nothing(house: House) -> None:
    house.serve(config(), [Scripted()])
    with House() as other:
        other.serve(config(), [Scripted()])
        mine, theirs = Metrics(house.engine, house.budget), Metrics(other.engine, other.budget)
        house.infer(request(1.0)).value()
        assert scrape(house, mine).value("nv_inference_count", model="m", version="1") == 1
        assert scrape(other, theirs).value("nv_inference_count", model="m", version="1") == 0


def test_scrapes_at_the_same_time_each_tell_everything(house: House) -> None:
    house.serve(config(), [Scripted()])
    house.infer(request(1.0)).value()
    metrics = Metrics(house.engine, house.budget)
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda _: metrics.text(), range(32)))
    assert len(set(texts)) == 1
    assert read(texts[0]).value("nv_inference_count", model="m", version="1") == 1


def test_sources_and_lost_lines_are_told_at_each_scrape(house: House) -> None:
    family, seen = Family("some_total", "counter", "Scrapes."), iter(range(1, 9))
    metrics = Metrics(
        house.engine, house.budget, [lambda: [(family, [family.sample("", next(seen))])]], lines_lost=lambda: 7
    )
    assert [scrape(house, metrics).value("some_total") for _ in range(2)] == [1, 2]
    assert scrape(house, metrics).value("naiad_access_log_lines_lost_total") == 7


def test_tritons_histogram_is_there_only_if_asked_for(house: House) -> None:
    house.serve(config(), [Scripted()])
    name = "nv_inference_first_response_histogram_ms"
    assert name not in scrape(house).types
    assert scrape(house, Metrics(house.engine, house.budget, first_response=True)).types[name] == "histogram"


@pytest.mark.parametrize(
    ("devices", "uuids", "label"),
    [
        ([Device(Kind.GPU, 1)], ("GPU-a", "GPU-b"), "GPU-b"),
        ([Device(Kind.GPU, 0)], ("GPU-a", "GPU-b"), "GPU-a"),
        ([Device(Kind.GPU, 0), Device(Kind.GPU, 0)], ("GPU-a",), "GPU-a"),
        ([Device(Kind.GPU, 0), Device(Kind.GPU, 1)], ("GPU-a", "GPU-b"), ""),
        ([Device(Kind.GPU, 2)], ("GPU-a", "GPU-b"), ""),
        ([Device(Kind.GPU, 0)], ("",), ""),
        ([Device(Kind.CPU)], ("GPU-a",), ""),
    ],
)
def test_a_version_names_the_one_gpu_that_it_is_on(
    house: House, monkeypatch: pytest.MonkeyPatch, devices: list[Device], uuids: tuple[str, ...], label: str
) -> None:
    def place(name: str, executables: list[Scripted]) -> list[Instance]:
        return [Instance(f"{name}_{i}", devices[i], e) for i, e in enumerate(executables)]

    monkeypatch.setattr("tests.core.house.instances", place)
    house.serve(config(), [Scripted() for _ in devices])
    found = scrape(house, Metrics(house.engine, house.budget, gpu_uuids=uuids))
    expected = {"model": "m", "version": "1"} | ({"gpu_uuid": label} if label else {})
    assert found.labels("nv_inference_count") == {series(**expected)}
    assert found.labels("naiad_queue_size") == {series(model="m", version="1")}


def test_an_engine_that_nobody_governs_can_be_scraped() -> None:
    house = House()
    assert scrape(house).value("naiad_bytes_in_flight_limit") == 1 << 30
    assert Engine().histories() == ()

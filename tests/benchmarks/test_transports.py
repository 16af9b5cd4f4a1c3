"""What Naiad's transports are measured against: servers that answer, and none that is silently absent."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import beside, client, large, servers, tonic, transports, wire
from benchmarks.load import Load, Row
from benchmarks.payloads import PAYLOADS
from benchmarks.transports import AIO, BARE_AIO, NATIVE, QUEUED, TONIC
from tests.requirements import require
from tests.tools.debian import NotHereError

REPOSITORY = servers.ROOT / "model_repository"
REQUESTS = 300


def row(server: str, *figures: float) -> Row:
    """One run for each figure, which is all that is measured in it."""
    return Row(server, 32, tuple(Load(one, one, one, one, one, None) for one in figures))


@pytest.mark.timeout(300)  # it may have to be compiled
@pytest.mark.parametrize("name", [TONIC, QUEUED])
def test_the_bare_tonic_echo_answers_as_the_bare_grpc_aio_echo_does(name: str) -> None:
    require("cargo", shutil.which("cargo") is not None, "there is no cargo, the package manager of Rust")
    answers = []
    with transports.started((BARE_AIO, name), REPOSITORY) as found:
        assert [one.name for one in found.servers] == [BARE_AIO, name]
        for server in found.servers:
            servers.wait_until_ready(server)
            answers.append(client.traffic(server, client.zeros("any"), 1).answer)
            assert client.run(server, [client.zeros("any")], 4, REQUESTS).per_second > 0
    assert answers[1] == pytest.approx(answers[0], abs=64)  # their headers differ


def test_the_bare_tonic_echo_needs_cargo_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with transports.started((TONIC,), REPOSITORY) as found:
        assert found.servers == []
        assert found.left_out == [f"Left out, {TONIC}: the {TONIC} needs cargo, the package manager of Rust"]


def test_a_source_that_does_not_compile_is_told_with_cargos_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require("cargo", shutil.which("cargo") is not None, "there is no cargo, the package manager of Rust")
    monkeypatch.setattr(tonic, "CRATE", tmp_path)
    with pytest.raises(NotHereError, match=r"(?s)cargo build .*Cargo\.toml"), tonic.started(TONIC):
        pytest.fail("it started")


def test_naiad_is_measured_on_each_transport_that_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "find_spec", lambda _: None)
    with transports.started((AIO, NATIVE), REPOSITORY) as found:
        assert [one.name for one in found.servers] == [AIO]
        assert client.run(found.servers[0], [client.zeros("echo")], 1, 10).per_second > 0
    assert found.left_out == [f"Left out, {NATIVE}: naiad._native is not built"]


def test_a_ratio_has_two_budgets_and_none_where_a_server_was_left_out() -> None:
    ours, bare = row(NATIVE, 3, 4, 8), row(TONIC, 2, 4, 4)
    assert [budget.measured for budget in transports.ratio("cpu", ours, bare, "cpu_us", 1.5)] == [1.5, 1]
    assert transports.ratio("cpu", ours, None, "cpu_us", 1.5) == []
    assert transports.ratio("cpu", None, bare, "cpu_us", 1.5) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((BARE_AIO, AIO), 2),
        ((BARE_AIO, AIO, TONIC), 2),
        ((BARE_AIO, AIO, NATIVE), 4),
        ((BARE_AIO, AIO, NATIVE, TONIC, QUEUED), 8),
    ],
)
def test_the_wire_has_the_budgets_of_the_servers_that_were_measured(names: Sequence[str], expected: int) -> None:
    rows = {(name, concurrency): row(name, 1) for name in names for concurrency in (1, 32)}
    assert len(wire.budgets(rows)) == expected


def test_large_messages_are_judged_by_throughput_at_the_higher_concurrency() -> None:
    payload = PAYLOADS[0]
    both = {AIO: row(AIO, 100, 200, 900), NATIVE: row(NATIVE, 300, 600, 300)}
    (budget,) = large.budgets({(payload, large.JUDGED): both, (payload, 1): both})
    assert (budget.measured, budget.met) == (1.5, False)
    assert large.budgets({(payload, large.JUDGED): {AIO: both[AIO]}}) == []


def test_a_tail_is_compared_with_the_one_alone_by_the_least_and_in_each_round() -> None:
    def turns(*p99: float) -> list[beside.Turn]:
        return [beside.Turn(Load(1, 1, one, 1, 1, None), 28) for one in p99]

    measured = {(NATIVE, beside.ALONE): turns(100, 400, 200), (NATIVE, beside.BESIDE): turns(900, 800, 200)}
    assert [(budget.measured, budget.met) for budget in beside.budgets(measured)] == [(2, True), (2, True)]
    measured[NATIVE, beside.BESIDE] = turns(500, 2000, 900)
    assert [(budget.measured, budget.met) for budget in beside.budgets(measured)] == [(5, False), (5, False)]
    assert beside.budgets({(AIO, beside.ALONE): turns(1), (AIO, beside.BESIDE): turns(1)}) == []

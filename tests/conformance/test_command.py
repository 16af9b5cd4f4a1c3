"""`python -m tests.conformance` saves what it saw and lists every difference, also when nothing else is wrong."""

import json
from pathlib import Path

import pytest

from tests.conformance.__main__ import compare, load, main
from tests.conformance.observation import Observation, difference, ok, refused
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import SCENARIOS


def saved(path: Path, **seen: Observation) -> str:
    path.write_text(json.dumps({name: each.to_json() for name, each in seen.items()}))
    return str(path)


def test_equal_observations_have_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "one.json", first=ok("a", "b"), second=refused("NOT_FOUND", "gone"))
    assert main(["--compare", path, path]) == 0
    assert capsys.readouterr().out == "0 of 2 scenarios differ\n"


def test_every_kind_of_difference_is_listed_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = saved(
        tmp_path / "one.json", lines=ok("a", "b"), status=refused("NOT_FOUND", "x"), gone=ok(), order=ok("a", "b")
    )
    second = saved(
        tmp_path / "two.json", lines=ok("a", "c"), status=refused("INTERNAL", "x"), come=ok(), order=ok("b", "a")
    )
    assert main(["--compare", first, second]) == 1
    printed = capsys.readouterr().out
    for line in ("-     b", "+     c", "- NOT_FOUND x", "+ INTERNAL x", "only in the first", "only in the second"):
        assert f"  {line}\n" in printed
    assert printed.endswith("5 of 5 scenarios differ\n")


def test_observations_survive_the_file(tmp_path: Path) -> None:
    seen = {"one": ok("a"), "two": refused("INTERNAL", "ü\n", "line")}
    assert load(saved(tmp_path / "seen.json", **seen)) == seen


def test_the_committed_expectations_differ_exactly_where_a_reason_stands() -> None:
    naiad, triton = load("naiad"), load("triton")
    differing = {name for name in naiad if difference(naiad[name], triton[name])}
    assert differing == {each.name for each in SCENARIOS if each.why}
    assert compare(naiad, naiad) == 0


@pytest.mark.parametrize(
    ("triton", "why"), [(ok("b"), ""), (None, "a reason for nothing"), (ok("a"), "the same")], ids=str
)
def test_a_difference_without_a_reason_cannot_be_written_down(triton: Observation | None, why: str) -> None:
    with pytest.raises(ValueError, match="scenario it"):
        Scenario("it", "shows", lambda _: ok("a"), ok("a"), triton, why)

"""The command: the sections that it is asked for, printed and written into a page."""

import re
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.report import BEGIN, END
from benchmarks.servers import ROOT

QUICK = ("core", "codec", "runtime")


def numbers(line: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", line)


def test_the_page_has_the_figures_that_were_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{BEGIN}\n{END}\n")
    run.main(["--quick", "--only", ",".join(QUICK), "--markdown", str(page)])
    printed = capsys.readouterr().out
    assert printed.count("== ") == len(QUICK)
    assert printed.count("(budget: ") == 4
    assert numbers(printed) == numbers(page.read_text().partition(BEGIN)[2])


def test_a_page_without_a_place_for_figures_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match="no part between"):
        run.main(["--quick", "--only", "codec", "--markdown", str(page)])
    assert capsys.readouterr().out == ""


def test_sections_run_in_the_order_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run.main(["--quick", "--only", "runtime,codec"])
    titles = re.findall(r"^== (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert titles == ["The ONNX Runtime backend", "The codec"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "core,speed"], "got speed, expected some of core, "),
        (["--other", "triton,localhost:8001"], "expected NAME,HOST:PORT,PID"),
        (["--other", "triton,localhost:8001,one"], "expected NAME,HOST:PORT,PID"),
    ],
)
def test_what_cannot_be_measured_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(arguments)
    assert said in capsys.readouterr().err


def test_every_section_is_in_the_page_that_explains_them() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{name}`" in page for name in run.SECTIONS)

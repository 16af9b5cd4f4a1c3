"""The tables of docs/command-line.md are those of the settings, and an old one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import generate
from naiad.settings.model import FLAGS


def test_the_page_is_what_the_settings_say() -> None:
    page = generate.PAGE.read_text()
    assert generate.generated(page) == page
    assert [name for name in FLAGS if f"--{name}" not in page] == []


def test_an_old_table_is_noticed_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "page.md"
    page = generate.PAGE.read_text()
    old.write_text(page.replace("| `8001` |", "| `9001` |"))
    monkeypatch.setattr(generate, "PAGE", old)
    assert generate.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert old.read_text() == page
    assert generate.main(["--check"]) == 0


def test_a_mark_that_nothing_is_made_for_is_an_error() -> None:
    with pytest.raises(KeyError):
        generate.generated("<!-- generated: nonsense -->\n<!-- end -->")

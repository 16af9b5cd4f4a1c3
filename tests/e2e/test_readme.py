"""README.md keeps its promises: its commands and its Python run in the order in which they stand."""

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLES
from tests.e2e.readme import Block, Reader, agrees, blocks, commands, elsewhere, fences

ROOT = SAMPLES.parent
README = (ROOT / "README.md").read_text()
IN_ROOT = frozenset(
    {".venv", "Makefile", "clients", "requirements", "pyproject.toml", "setup.py", "model_repository", "tests"}
)
PROMISED = ("digit 0", "language de", "language fr")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that looks like the repository's root, with models of the reader's own."""
    for each in ROOT.iterdir():
        if each.name in IN_ROOT:
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / "models").symlink_to(SAMPLES)
    return tmp_path


def test_blocks_are_found_with_their_language_and_line() -> None:
    text = "# Title\n\n```bash\nmake serve\n```\n\n```text\nno command\n```\n```python\nprint(1)\n```\n"
    assert blocks(text) == [Block("bash", "make serve\n", 4), Block("python", "print(1)\n", 11)]


def test_a_command_may_go_over_several_lines_and_have_comments() -> None:
    block = Block("bash", "# first\nnaiad check \\\n    models  # all of them\n\nmake test\n", 1)
    assert commands(block) == [["naiad", "check", "models"], ["make", "test"]]


def test_a_block_promises_what_stands_under_the_word_prints() -> None:
    promising, told, silent, read = fences(
        "```bash\nls\n```\n\nprints\n\n```text\na\n```\n```bash\nls\n```\n\n```text\nb\n```\n"
    )
    assert (promising.prints, silent.prints) == ("a\n", None)
    assert (told.language, read.text) == ("text", "b\n")


@pytest.mark.parametrize(
    ("printed", "holds"),
    [("1 of 20 ms\n", True), ("1 of  ms\n", True), ("2 of 20 ms\n", False), ("1 of 20 ms\nmore\n", False)],
)
def test_a_promise_is_kept_to_the_letter_but_for_its_dots(printed: str, holds: bool) -> None:
    assert agrees(printed, "1 of ... ms\n") is holds


def test_a_server_of_a_page_listens_on_ports_of_its_own() -> None:
    flags = ["--grpc-port", "9001", "--http-port=9000", "--metrics-address=0.0.0.0", "--log-level", "debug"]
    assert elsewhere(flags) == ["--log-level", "debug"]


@pytest.mark.parametrize(
    "block",
    [
        Block("bash", "make no-such-verb\n", 7),
        Block("bash", ".venv/bin/pip install 'tritonclient[grpc]==0.0.1'\n", 7),
        Block("bash", ".venv/bin/naiad check nowhere\n", 7),
        Block("bash", ".venv/bin/naiad check nowhere | cat\n", 7),
        Block("bash", "echo yes\n", 7, "no\n"),
        Block("python", "import naiad.nowhere\n", 7),
    ],
    ids=lambda block: block.text.strip(),
)
def test_a_promise_that_is_not_kept_is_found_and_its_line_named(root: Path, block: Block) -> None:
    with Reader(root) as reader, pytest.raises(AssertionError, match=r"README\.md, line 7"):
        reader.follow(block)


@pytest.mark.timeout(180)
def test_everything_in_the_readme_runs_in_order_and_prints_what_it_promises(root: Path) -> None:
    found = blocks(README)
    assert {block.language for block in found} == {"bash", "python"}
    with Reader(root) as reader:
        printed = "".join(reader.follow(block) for block in found)
    for promise in PROMISED:
        assert promise in printed


def test_every_file_that_the_readme_links_to_is_there() -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert linked
    assert [name for name in linked if not (ROOT / name).exists()] == []

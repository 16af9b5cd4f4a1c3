"""The pages that users read: their links, their blocks and the words in them that must exist."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.e2e.readme import Block, fences

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
READMES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md"))]
LANGUAGES = {
    "bash": "run",
    "python": "run",
    "pbtxt": "laid out as a model, checked and served",
    "yaml": "parsed",
    "json": "parsed",
    "toml": "parsed",
    "promql": "evaluated where the metrics are tested",
    "text": "read",
}
"""What a block may be, and what becomes of it in the tests."""

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


class Link(NamedTuple):
    """`file` is the page itself for a link to one of its own headings; `anchor` may be empty."""

    file: Path
    anchor: str


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCED.sub("", page.read_text())


def links(page: Path) -> list[Link]:
    """What a page links to in this tree."""
    found = (target.partition("#") for target in _LINK.findall(prose(page)))
    return [Link((page.parent / file).resolve() if file else page, anchor) for file, _, anchor in found]


def anchors(page: Path) -> set[str]:
    """What can be linked to in a page: its headings, as GitHub writes them."""
    return {anchor(heading) for heading in _HEADING.findall(prose(page))}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def code(page: Path) -> list[str]:
    """What stands between backticks in a page's text."""
    return _CODE.findall(prose(page))


def of_language(page: Path, *languages: str) -> list[Block]:
    return [block for block in fences(page.read_text()) if block.language in languages]

"""What the pages show runs, what they link to is there, and what they name exists."""

import json
import re
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import pytest
import yaml

from naiad.settings.model import FLAGS
from tests.docs.pages import LANGUAGES, PAGES, READMES, ROOT, anchors, code, links, name, of_language
from tests.e2e.readme import Reader, fences
from tests.e2e.server import PATIENCE, Server, command

FLAG = re.compile(r"--[a-z][a-z0-9-]*")
METRIC = re.compile(r"(?<!:)\b(?:naiad|nv|process)_[a-z_]*[a-z]\b(?!:)")
TYPE = re.compile(r"^# TYPE (\S+)", re.MULTILINE)
ELSEWHERE = re.compile(r"nv_gpu_|nv_energy_|nv_inference_first_response_|naiad_model_(coming|drain_seconds|next_load)")
"""What only a machine with a GPU, or a server that was asked for them, serves."""
PART = re.compile(r"_(bucket|sum|count)$")
VARIABLE = re.compile(r"\bNAIAD_[A-Z_]+\b")
OF_OTHERS = {"--compare", "--concurrency-range", "--fail", "--json", "--python-backend", "--silent", "--time"}
"""Flags of curl, docker, perf_analyzer and the tests' own commands."""
ON_PURPOSE = {"--grpc-prot", "--model-repo"}
"""A misspelt and a shortened one, to show what becomes of them."""

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


def help_of(*words: str) -> str:
    done = subprocess.run(command(*words, "--help"), capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


@every_page
@pytest.mark.timeout(180)
def test_everything_in_a_page_runs_in_order_and_prints_what_it_promises(page: Path, root: Path, served: Server) -> None:
    with Reader(root, name(page), served) as reader:
        for block in of_language(page, "bash", "python"):
            reader.follow(block)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [(block.line, block.language) for block in fences(page.read_text()) if block.language not in LANGUAGES]
    assert unknown == []


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=name)
def test_every_block_of_data_can_be_parsed(page: Path) -> None:
    for block in of_language(page, "yaml"):
        assert list(yaml.safe_load_all(block.text)), f"line {block.line}"
    for block in of_language(page, "json"):
        assert json.loads(block.text), f"line {block.line}"
    for block in of_language(page, "toml"):
        assert tomllib.loads(block.text), f"line {block.line}"


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for link in links(page):
        assert link.file.exists(), f"{name(page)} links to {link.file}"
        assert not link.anchor or link.anchor in anchors(link.file), f"{name(page)} links to {link}"


def test_every_flag_and_variable_that_the_pages_name_exists() -> None:
    commands = {flag for command in ("serve", "check", "status") for flag in FLAG.findall(help_of(command))}
    known = {*commands, *(f"--{flag}" for flag in FLAGS)}
    written = {
        word
        for page in PAGES
        for text in (*code(page), *(block.text for block in of_language(page, "bash", "yaml", "text")))
        for word in (*FLAG.findall(text), *VARIABLE.findall(text))
    }
    variables = {f"NAIAD_{flag.removeprefix('--').replace('-', '_').upper()}" for flag in known}
    assert written - known - variables - OF_OTHERS - ON_PURPOSE == set()
    assert len(written & known) > 20


def test_every_metric_that_the_pages_name_is_served(served: Server) -> None:
    names = {name for page in PAGES for text in words_of(page) for name in METRIC.findall(text)}
    assert len(names) > 10
    with urllib.request.urlopen(f"http://{served.metrics}/metrics", timeout=PATIENCE) as answer:
        families = set(TYPE.findall(answer.read().decode()))
    unserved = {name for name in names if not families & {name, PART.sub("", name)}}
    assert [name for name in sorted(unserved) if not ELSEWHERE.match(name)] == []


def words_of(page: Path) -> list[str]:
    return [*code(page), *(block.text for block in of_language(page, "bash", "promql"))]


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    linked = {link.file for page in (ROOT / "README.md", *PAGES) for link in links(page)}
    assert [name(page) for page in PAGES if page not in linked] == []

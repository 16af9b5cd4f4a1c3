"""What docs/hot-swap.md says of names that only Naiad knows: it serves a repository with all of them; Triton does too.

Triton was asked by hand; what is kept here is what it answered, as rules: a directory beside a model's versions is a
version if its name begins with a digit (C's `strtoll`), one at the top is a model, and whatever else there is is
passed over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from tritonclient.grpc import service_pb2

from naiad.repository import cases, warmup
from naiad.repository.names import CONFIGS, PUBLISHING, READY
from tests.docs.pages import DOCS
from tests.e2e.server import PATIENCE, Server
from tests.models import build

PAGE = DOCS / "hot-swap.md"
MODEL, VERSION = "model", "1"
DIGITS = re.compile("[0-9]+")
HOLDS_BACK = PUBLISHING


class Extra(NamedTuple):
    """A line of the table: a path below the repository, ending with / if it is a directory, and what it is."""

    path: str
    ours: str
    triton: str


def extras() -> list[Extra]:
    table = PAGE.read_text().partition("| path | for Naiad | for Triton |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return [Extra(path.strip("`"), ours, triton) for path, ours, triton in rows]


def as_triton_takes(path: str) -> str:
    """What Triton makes of a path, by its rules."""
    *above, name = path.rstrip("/").split("/")
    if not path.endswith("/") or len(above) == 2:
        return "passed over"
    if not above:
        return "taken for a model, which fails to load"
    if digits := DIGITS.match(name):
        return f"taken for version {digits[0]}"
    return "a warning: no version"


@pytest.mark.parametrize("extra", extras(), ids=lambda extra: extra.path)
def test_the_page_says_what_triton_makes_of_a_name(extra: Extra) -> None:
    expected = "the same" if extra.triton == "the same" else as_triton_takes(extra.path)
    assert extra.triton == expected


def test_the_page_has_every_name_that_means_something_here() -> None:
    paths = {extra.path for extra in extras()}
    for marker in (READY, PUBLISHING):
        assert {f"{MODEL}/{marker}", f"{MODEL}/{VERSION}/{marker}"} <= paths
    assert {f"{MODEL}/{warmup.DIRECTORY}/", f"{MODEL}/{CONFIGS}/", f"{MODEL}/{VERSION}/{cases.DIRECTORY}/"} <= paths


def lay(repository: Path) -> None:
    """A repository with all of the extras, but for those that hold back, and one model that is served."""
    build.linear(repository / MODEL / VERSION / "model.onnx")
    for extra in extras():
        path = repository / extra.path
        if path.name == HOLDS_BACK:
            continue
        if extra.path.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.write_text("# A model card\n" if path.suffix == ".md" else "")


def test_a_repository_with_all_extras_is_served(tmp_path: Path) -> None:
    lay(tmp_path)
    with Server(tmp_path) as server:
        index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    assert [(one.name, one.version, one.state, one.reason) for one in index] == [(MODEL, VERSION, "READY", "")]


def test_the_rules_are_those_of_a_number_that_is_read_as_far_as_it_goes() -> None:
    assert as_triton_takes("model/6x/") == "taken for version 6"
    assert as_triton_takes("model/v5/") == "a warning: no version"
    assert as_triton_takes("anything/") == "taken for a model, which fails to load"

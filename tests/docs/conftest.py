"""One server for all pages: of the sample repository, and of the models that the pages describe."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import lay_out
from tests.docs.pages import ROOT
from tests.e2e.server import Server

IN_ROOT = (".venv", "Makefile", "clients", "deploy", "docs", "model_repository", "protos", "tests")


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that looks like the repository's root, with the models of the pages as the reader's own."""
    directory = tmp_path_factory.mktemp("root")
    for name in IN_ROOT:
        if (ROOT / name).exists():
            (directory / name).symlink_to(ROOT / name)
    lay_out(directory)
    return directory


@pytest.fixture(scope="session")
def served(root: Path) -> Iterator[Server]:
    with Server(ROOT / "model_repository", root / "models") as server:
        yield server

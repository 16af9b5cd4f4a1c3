"""docs/configuration.md tells every field once, with what becomes of it, and its examples are models that serve."""

import re
import subprocess
from pathlib import Path

import pytest
from onnxruntime import get_available_providers
from tritonclient.grpc import service_pb2

from naiad.backends import onnxruntime_options as options
from naiad.backends.onnxruntime import gpus
from naiad.backends.onnxruntime_threads import Threads
from naiad.core.config import ModelConfig
from naiad.core.problems import InvalidConfig
from tests.docs.examples import MODELS, NEEDS_GPU
from tests.docs.fields import Fate, fate, fields, path
from tests.docs.pages import DOCS
from tests.e2e.server import PATIENCE, Server, command

PAGE = DOCS / "configuration.md"
FIELDS, PARAMETERS = "## Every field", "Parameters of `onnxruntime`:"
CODE = re.compile(r"`([^`]+)`")
PASSED_ON = {"memory.enable_memory_arena_shrinkage", "session."}
"""Parameters whose values ONNX Runtime judges itself."""


def rows(after: str) -> list[list[str]]:
    """The cells of every table after a line of the page."""
    text = PAGE.read_text().partition(f"\n{after}\n")[2]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def documented() -> list[tuple[str, Fate]]:
    """Each field that the page has, with the status that it gives it."""
    found = []
    for names, _, status, _ in rows(FIELDS):
        word, _, refused = status.partition("; refused: ")
        found += [(each, Fate(word, frozenset(CODE.findall(refused)))) for each in CODE.findall(names)]
    return found


def test_every_field_of_a_config_is_told_exactly_once() -> None:
    assert sorted(each for each, _ in documented()) == sorted(path(steps) for steps in fields())


def test_every_field_s_status_is_what_the_server_does_with_it() -> None:
    told = dict(documented())
    found = {path(steps): fate(steps) for steps in fields()}
    assert {each: (told.get(each), found[each]) for each in found if told.get(each) != found[each]} == {}


def test_an_ensemble_is_refused_by_its_platform_too() -> None:
    assert "`ensemble` is refused" in next(cells[3] for cells in rows(FIELDS) if cells[0] == "`platform`")
    assert fate(next(steps for steps in fields() if path(steps) == "platform"), "ensemble") == Fate("refused")


def test_every_parameter_of_the_table_is_read() -> None:
    table = PAGE.read_text().partition(PARAMETERS)[2].partition("\n`identity`")[0]
    names = {CODE.findall(line)[0] for line in table.splitlines() if line.startswith("| `")}
    assert names > PASSED_ON
    for each in names - PASSED_ON:
        config = ModelConfig("model", parameters={each: "nonsense"})
        with pytest.raises(InvalidConfig, match=f"parameter {each} of model model, got 'nonsense'"):
            read_parameters(config)


def read_parameters(config: ModelConfig) -> None:
    """Read every parameter that a session on any device would."""
    options.asked_threads(config, {}, 1)
    options.session_options(config, Threads())
    options.cuda_options(config, 0)


def test_every_example_is_used() -> None:
    named = set(re.findall(r"^# \S+/([\w-]+)/config\.pbtxt$", PAGE.read_text(), re.MULTILINE))
    assert named == MODELS.keys()


def test_every_example_is_ready(served: Server, root: Path) -> None:
    index = served.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    states = {(entry.name, entry.state, entry.reason) for entry in index}
    examples = {home.name for home in (root / "models").iterdir()}
    assert len(examples) > 1
    assert {name for name, state, _ in states if state == "READY"} >= examples
    assert {state for _, state, _ in states} == {"READY"}


def test_no_example_has_a_warning(served: Server) -> None:
    assert "[warning" not in served.log


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU: see the next test")
def test_the_example_for_gpus_is_sound_but_for_the_missing_gpu(root: Path) -> None:
    done = subprocess.run(
        command("check", str(root / NEEDS_GPU)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    errors = [line for line in done.stdout.splitlines() if line.strip().startswith("error: ")]
    assert done.returncode == 1
    assert len(errors) == 1
    assert "has kind KIND_GPU but no GPUs are available" in errors[0]


@pytest.mark.skipif(not gpus(), reason=f"no GPU; ONNX Runtime has {', '.join(get_available_providers())}")
def test_the_example_for_gpus_is_served_on_one(root: Path) -> None:
    with Server(root / NEEDS_GPU) as server:
        assert server.statistics("segmenter").version == "1"

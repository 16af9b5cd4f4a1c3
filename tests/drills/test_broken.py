"""Every drop that is broken in some way, under clients: what serves goes on, and a good drop heals it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tritonclient.grpc import service_pb2

from tests.drills.clients import Clients, failures, wrong
from tests.drills.figures import Figures, Scale
from tests.drills.versions import CONFIG, NAME, Dropper, files, lay, model, wait, wait_until_served
from tests.e2e.server import PATIENCE, Server

SETTLE_SECS = 0.5
MARGIN_SECS = 2.0
"""What a drop may take beside settling and loading: noticing it, and a busy machine."""
RATE = 200


class Drop(NamedTuple):
    """do: breaks something, in the model's directory, for version 2. told: what the index must say of it.

    version: the version of which it says that, "1" for what serves on, "" for any. heal: what is done before the good
    drop. answers: the version that answers meanwhile.
    """

    do: Callable[[Path], None]
    told: str
    version: str = "2"
    heal: Callable[[Path], None] = lambda _: None
    answers: int = 1


def write(home: Path, number: int, **content: bytes) -> None:
    (home / str(number)).mkdir(exist_ok=True)
    for name, data in (files(number) | {key.replace("_", "."): data for key, data in content.items()}).items():
        (home / str(number) / name).write_bytes(data)


def truncated(home: Path) -> None:
    write(home, 2, model_onnx=model(2, 20_000)[:10_000])


def garbage(home: Path) -> None:
    write(home, 2, model_onnx=b"<html>404 not found</html>\n" * 100)


def wrong_types(home: Path) -> None:
    write(home, 2, model_onnx=model(2).replace(b"INPUT0", b"INPUT9"))


def empty(home: Path) -> None:
    (home / "2").mkdir()


def bad_config(home: Path) -> None:
    (home / "config.pbtxt").write_text(CONFIG + "max_batch_sise: 8\n")


def good_config(home: Path) -> None:
    (home / "config.pbtxt").write_text(CONFIG)


def unreadable(home: Path) -> None:
    write(home, 2)
    (home / "2" / "model.onnx").chmod(0)


def dangling(home: Path) -> None:
    (home / "2").mkdir()
    (home / "2" / "model.onnx").symlink_to(home / "nowhere.onnx")


def created_anew(home: Path) -> None:
    """Removed and made again at once, with a config that is wrong."""
    shutil.rmtree(home)
    (home / "1").mkdir(parents=True)
    (home / "config.pbtxt").write_text(CONFIG.replace("max_batch_size: 8", "max_batch_size: -8"))
    write(home, 1)


def older(home: Path) -> None:
    """A version of years ago, which is broken."""
    write(home, 2, model_onnx=model(2, 20_000)[:10_000])
    for path in (home / "2").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))


def gate_failed(home: Path) -> None:
    write(home, 2)
    case = home / "2" / "expected" / "answers.json"
    case.parent.mkdir()
    case.write_text(json.dumps({"inputs": {"INPUT0": [[0]]}, "outputs": {"OUTPUT0": [[3]]}}))


def warm_up_failed(home: Path) -> None:
    (home / "config.pbtxt").write_text(
        CONFIG + 'model_warmup { name: "W" inputs { key: "INPUT0" value { data_type: TYPE_INT8 zero_data: true } } }\n'
    )


def held_back(home: Path) -> None:
    (home / "2").mkdir()
    (home / "2" / ".publishing").write_text(json.dumps({"expires": time.time() + 3600}))
    write(home, 2)


DROPS = {
    "truncated": Drop(truncated, "incomplete: 'model.onnx'"),
    "garbage": Drop(garbage, "model.onnx"),
    "other inputs than the config's": Drop(wrong_types, "INPUT0"),
    "an empty directory": Drop(empty, "2"),
    "a mistake in the config": Drop(bad_config, "max_batch_sise", "1", good_config),
    "a file that may not be read": Drop(unreadable, "cannot be read"),
    "a link to nowhere": Drop(dangling, "nowhere.onnx"),
    "a model that is removed and made again": Drop(created_anew, "max_batch_size", "1", good_config),
    "an older file": Drop(older, "incomplete"),
    "cases that are not passed": Drop(gate_failed, "case 'answers' is not passed: output 'OUTPUT0' on cpu"),
    "a warm-up that does not fit": Drop(warm_up_failed, "warmup sample 'W'", "1", good_config),
    "one that somebody still writes": Drop(held_back, "held back by"),
}


@pytest.mark.parametrize("drop", list(DROPS.values()), ids=list(DROPS))
def test_a_broken_drop_costs_nothing_and_a_good_one_heals_it(tmp_path: Path, drop: Drop, figures: Figures) -> None:
    if drop.do is unreadable and os.geteuid() == 0:
        pytest.skip("root reads every file")
    repository = lay(tmp_path / "models")
    home = repository / NAME
    flags = [f"--repository-settle-secs={SETTLE_SECS}"]
    with Server(repository, flags=flags) as server, Clients(server.grpc, NAME, RATE) as clients:
        drop.do(home)
        wait(lambda: drop.told in reason(server, drop.version), f"the index does not say {drop.told!r}", server)
        drop.heal(home)
        good = Dropper(repository, 2)
        good.stage(1)
        time.sleep(SETTLE_SECS)
        dropped = time.monotonic()
        number = good.renamed()
        took = wait_until_served(server, number) - dropped
        time.sleep(0.2)
        answers = clients.stop()
    failed = failures(answers)
    figures.tell("requests that failed", f"{len(failed)} of {len(answers)} {failed[:2] or ''}", "none", not failed)
    false = wrong(answers)
    figures.tell("wrong answers", f"{len(false)}", "none", not false)
    served = {answer.answered for answer in answers}
    figures.tell("versions that answered", sorted(served), "1 and 3", served == {1, number})
    bound = SETTLE_SECS + MARGIN_SECS
    figures.tell("a good drop is served after, s", took, f"at most {bound}", took <= bound)


def reason(server: Server, version: str) -> str:
    index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return " ".join(entry.reason for entry in index if entry.version == version)


def test_models_whose_loads_hang_or_fail_delay_no_other(tmp_path: Path, scale: Scale, figures: Figures) -> None:
    """As many hang as load at the same time, and one always fails."""
    repository = lay(tmp_path / "models")
    for number in range(scale.of(5, 50)):
        home = repository / f"m{number:02}"
        shutil.copytree(repository / NAME, home)
        (home / "config.pbtxt").write_text(CONFIG.replace(NAME, home.name))
    dropper = Dropper(repository)
    flags = [
        f"--repository-settle-secs={SETTLE_SECS}",
        "--model-load-timeout-secs=3",
        "--model-load-thread-count=2",
    ]
    stuck = 'parameters {{ key: "execute_delay_ms" value {{ string_value: "30000" }} }}'
    with Server(repository, flags=flags) as server, Clients(server.grpc, NAME, RATE) as clients:
        alone = served_after(server, dropper)
        garbage(repository / "m00")
        for name in ("stuck0", "stuck1"):
            (repository / name / "1").mkdir(parents=True)
            config = CONFIG.replace(NAME, name).replace("onnxruntime", "identity") + stuck.format()
            (repository / name / "config.pbtxt").write_text(config)
        beside = [served_after(server, dropper) for _ in range(3)]
        wait(lambda: "--model-load-timeout-secs" in everything(server), "no load was given up", server)
        wait(lambda: "m00 2 UNAVAILABLE" in everything(server), "the bad one is not told", server)
        after = served_after(server, dropper)
        answers = clients.stop()
    failed = failures(answers)
    figures.tell("requests that failed", f"{len(failed)} of {len(answers)} {failed[:2] or ''}", "none", not failed)
    figures.tell("a drop is served after, s: alone", alone)
    figures.tell("while loads hang", ", ".join(f"{each:.2f}" for each in beside))
    bound = alone + 3.0 + MARGIN_SECS
    figures.tell(
        "at most, while they hang", max(beside), f"at most {bound:.1f}, the load's time limit", max(beside) <= bound
    )
    figures.tell("after they were given up", after, f"at most {alone + MARGIN_SECS:.1f}", after <= alone + MARGIN_SECS)


def served_after(server: Server, dropper: Dropper) -> float:
    dropper.stage(1)
    time.sleep(SETTLE_SECS)
    dropped = time.monotonic()
    return wait_until_served(server, dropper.renamed()) - dropped


def everything(server: Server) -> str:
    index = server.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=PATIENCE).models
    return "\n".join(f"{entry.name} {entry.version} {entry.state} {entry.reason}" for entry in index)

"""Load, unload, index and infer from eight threads at once: nothing hangs, and the last command counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import tritonclient.grpc as triton

from tests.drills.figures import Figures, Scale
from tests.drills.storm import NEWER, Storm
from tests.e2e.models import ask, identity
from tests.e2e.server import PATIENCE, Server
from tests.frontends.grpc.wires import TRANSPORTS

MODELS = ("one", "two", "three")
DOCUMENTED = {
    ("load", "OK"), ("load", "INVALID_ARGUMENT"), ("unload", "OK"), ("index", "OK"), ("infer", "OK"),
    ("infer", "NOT_FOUND"), ("infer", "UNAVAILABLE"),
}  # fmt: skip
OUTDATED = {("load", f"load failed for model '{name}': {NEWER}") for name in MODELS}


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
def test_after_a_storm_of_commands_the_last_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str, scale: Scale, figures: Figures
) -> None:
    if transport == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setenv("TMPDIR", str(private))
    for name in MODELS:
        identity(tmp_path / "models", name)
    flags = ["--model-control-mode=explicit", f"--grpc-transport={transport}"]
    with Server(tmp_path / "models", flags=flags) as server:
        storm = Storm(server, MODELS)
        storm.rage(scale.of(3, 30))
        odd = {each for each in storm.texts if each[0] == "load"} - OUTDATED
        for verb, code in sorted(storm.seen):
            figures.tell(f"{verb} ended with {code}, times", storm.seen[verb, code])
        figures.tell(
            "codes that are not documented", len(set(storm.seen) - DOCUMENTED), "0", set(storm.seen) <= DOCUMENTED
        )
        figures.tell("loads refused for another reason than a newer command", str(sorted(odd)), "[]", not odd)
        for verb in ("load", "unload", "index", "infer"):
            assert storm.seen[verb, "OK"], f"no {verb} went well: the storm shows nothing"
        _obeys(server)
    assert list(private.iterdir()) == []


def _obeys(server: Server) -> None:
    """Every model goes to the state that it is told to, and serves what is on the disk."""
    with triton.InferenceServerClient(server.grpc) as client:
        for name in MODELS:
            client.unload_model(name)
            assert not client.is_model_ready(name)
            client.load_model(name)
            assert client.get_model_config(name).config.max_batch_size == 1
            assert server.stub.ModelInfer(ask(name, 1), timeout=PATIENCE).model_name == name
        client.unload_model(MODELS[0])
        assert [client.is_model_ready(name) for name in MODELS] == [False, True, True]

"""Loading and unloading by command: the last command wins, and everyone is answered."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from naiad.core.engine import IndexEntry, Overrides
from naiad.core.errors import Code, Internal, InvalidArgument, NaiadError, Rejected, Unavailable
from naiad.repository import uploads
from naiad.repository.asked import Asked
from naiad.repository.commands import OUTDATED
from naiad.repository.keeping import Keeper, Mode, Pace
from naiad.repository.overrides import OverrideDirectory
from naiad.repository.survey import Survey, Watch
from naiad.repository.wanted import Candidate
from tests.core.scripted import PATIENCE, eventually
from tests.repository.files import lay
from tests.repository.site import Site, opened

TENSOR = '[{ name: "x" data_type: TYPE_FP32 dims: 1 }]'
CONFIG = f'backend: "scripted" max_batch_size: 8 input {TENSOR} output {TENSOR}'


def as_json(**fields: object) -> str:
    """The config that is given with a load."""
    tensors = [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]
    return json.dumps({"backend": "scripted", "max_batch_size": 4, "input": tensors, "output": tensors} | fields)


JSON = as_json(backend="identity")
SOUND = Overrides(JSON, {"3/model.onnx": b"m", "3/weights.bin": b"w"})


class Answer:
    """Hears once how a command ended."""

    def __init__(self) -> None:
        self._errors: list[NaiadError | None] = []

    def done(self, error: NaiadError | None) -> None:
        self._errors.append(error)

    @property
    def known(self) -> bool:
        return bool(self._errors)

    def get(self) -> NaiadError | None:
        eventually(lambda: self.known)
        (error,) = self._errors
        return error

    def told(self) -> str:
        error = self.get()
        assert error is not None
        return f"{error.code.value} {error}"


class Desk:
    """Where commands are given, over a repository on the disk and scripted backends."""

    def __init__(self, site: Site, *roots: Path, models: frozenset[str] = frozenset()) -> None:
        self.site = site
        self.plan = site.plan
        survey = Survey(roots, site.loader, Asked(models), Watch(0))
        self.keeper = Keeper(survey, site.manager, Mode.EXPLICIT, Pace(0, 0))
        assert self.keeper.commands is not None
        self.commands = self.keeper.commands
        site.house.engine.obey(self.commands)

    def start(self) -> None:
        self.site.manager.start()
        self.site._started = True
        self.keeper.start()
        assert self.site.manager.settled(PATIENCE)

    def load(self, name: str, overrides: Overrides = Overrides()) -> Answer:  # noqa: B008 - a frozen value
        answer = Answer()
        self.site.house.engine.load(name, overrides, answer.done)
        return answer

    def unload(self, name: str) -> Answer:
        answer = Answer()
        self.site.house.engine.unload(name, answer.done)
        return answer

    def hold(self, model: str) -> Event:
        """Have loads of a model wait for the event."""
        event = self.plan[model] = Event()
        return event

    def loading(self, model: str) -> None:
        eventually(lambda: any(each.model == model for each in self.site.made))

    def look(self) -> Answer:
        answer = Answer()
        assert self.site.house.engine.look(answer.done)
        return answer

    def index(self) -> list[IndexEntry]:
        return [*self.site.manager.index(ready_only=False)]

    def serves(self, name: str) -> bool:
        return self.site.house.engine.model_ready(name, None)


@pytest.fixture(autouse=True)
def private(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where given files are kept; none is left in the end."""
    directory = tmp_path_factory.mktemp("private")
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert list(directory.iterdir()) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": CONFIG, "n/1/model.onnx": "", "n/config.pbtxt": CONFIG})
    return tmp_path


@pytest.fixture
def desk(root: Path) -> Iterator[Desk]:
    with opened() as site:
        desk = Desk(site, root)
        desk.start()
        yield desk
        desk.keeper.stop()


def test_nothing_is_loaded_at_the_start_and_models_are_known_by_name(desk: Desk) -> None:
    assert desk.index() == [("m", "", "", ""), ("n", "", "", "")]
    assert desk.site.house.engine.ready()


def test_a_model_is_served_when_its_load_is_answered_and_not_after_its_unload(desk: Desk) -> None:
    assert desk.load("m").get() is None
    assert desk.serves("m")
    assert desk.index() == [("m", "1", "READY", ""), ("n", "", "", "")]
    assert desk.unload("m").get() is None
    assert not desk.serves("m")
    eventually(lambda: desk.index()[0] == ("m", "1", "UNAVAILABLE", "unloaded"))
    assert desk.load("m").get() is None
    assert desk.serves("m")


def test_a_load_of_what_is_unchanged_loads_nothing(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    assert desk.load("m").get() is None
    assert len(desk.site.made) == 1
    (root / "m/1/model.onnx").write_text("changed")
    assert desk.load("m").get() is None
    assert len(desk.site.made) == 2


def test_loads_of_what_is_loading_join_it(desk: Desk) -> None:
    gate = desk.hold("m")
    first = desk.load("m")
    desk.loading("m")
    others = [desk.load("m") for _ in range(3)]
    assert desk.load("n").get() is None
    assert not any(answer.known for answer in [first, *others])
    gate.set()
    assert [answer.get() for answer in [first, *others]] == [None] * 4
    assert len([made for made in desk.site.made if made.model == "m"]) == 1


def test_an_unload_while_it_loads_wins_and_the_load_is_told(desk: Desk) -> None:
    gate = desk.hold("m")
    load = desk.load("m")
    desk.loading("m")
    assert desk.unload("m").get() is None
    assert load.told() == f"INVALID_ARGUMENT load failed for model 'm': {OUTDATED}"
    gate.set()
    eventually(lambda: desk.site.made[0].closed)
    assert not desk.serves("m")


def test_a_load_while_it_unloads_wins(desk: Desk) -> None:
    desk.load("m").get()
    (executable,) = desk.site.made[0].executables
    executable.hold()
    unload, load = desk.unload("m"), desk.load("m")
    assert load.get() is None
    assert unload.get() is None
    assert desk.serves("m")
    executable.let_go()


def test_a_load_of_other_content_outdates_the_one_before(desk: Desk) -> None:
    gate = desk.hold("m")
    first = desk.load("m")
    desk.loading("m")
    second = desk.load("m", Overrides(as_json()))
    assert OUTDATED in first.told()
    gate.set()
    assert second.get() is None
    assert desk.site.house.engine.config("m", None).max_batch_size == 4


def test_a_given_config_counts_for_one_load(desk: Desk) -> None:
    desk.load("m", Overrides(as_json())).get()
    assert desk.site.house.engine.config("m", None).max_batch_size == 4
    assert desk.load("m", Overrides(as_json())).get() is None
    assert len(desk.site.made) == 1
    assert desk.load("m").get() is None
    assert desk.site.house.engine.config("m", None).max_batch_size == 8


def test_a_given_config_that_is_wrong_changes_nothing_that_serves(desk: Desk) -> None:
    desk.load("m").get()
    assert desk.load("m", Overrides('{"max_batch": 4}')).told() == (
        "INVALID_ARGUMENT Invalid config override: there is no field 'max_batch', did you mean 'max_batch_size'?"
    )
    told = desk.load("m", Overrides('{"max_batch_size": -1}')).told()
    assert told.startswith("INVALID_ARGUMENT Invalid config override: the config of the load request:1: ")
    assert desk.serves("m")


def test_what_fails_says_why_for_each_version_and_is_tried_again_by_the_next_load(desk: Desk) -> None:
    desk.plan["m"] = InvalidArgument("the file is garbage")
    failed = "INVALID_ARGUMENT load failed for model 'm': version 1 is at UNAVAILABLE state: Internal: "
    assert desk.load("m").told().startswith(failed)
    assert desk.load("m").told().endswith("the file is garbage;\n")
    assert len(desk.site.made) == 2
    del desk.plan["m"]
    assert desk.load("m").get() is None
    assert desk.serves("m")


def test_what_fails_costs_nothing_that_serves(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    desk.plan["m"] = InvalidArgument("the file is garbage")
    (root / "m/1/model.onnx").write_text("garbage")
    assert "the file is garbage" in desk.load("m").told()
    assert desk.serves("m")
    assert desk.index()[0][2] == "READY"
    assert "the file is garbage" in desk.index()[0][3]


def test_what_is_nowhere_cannot_be_loaded_and_is_unloaded_already(desk: Desk, root: Path) -> None:
    told = "INTERNAL failed to load 'x', failed to poll from model repository: there is no such model"
    assert desk.load("x").told() == told
    assert desk.unload("x").get() is None
    lay(root, {"x/1/model.onnx": "", "x/config.pbtxt": "max_batch_size: four"})
    told = desk.load("x").told()
    assert told.startswith("INTERNAL failed to load 'x', failed to poll from model repository: ")
    assert "config.pbtxt:1" in told


def test_a_model_in_two_repositories_is_in_neither(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    lay(other, {"m/1/model.onnx": ""})
    with opened() as site:
        desk = Desk(site, root, other)
        desk.start()
        name, version, state, reason = desk.index()[0]
        assert (name, version, state) == ("m", "", "UNAVAILABLE")
        assert "model appears in two or more repositories" in reason
        assert "failed to poll from model repository" in desk.load("m").told()
        assert desk.load("n").get() is None
        desk.keeper.stop()


def test_a_model_that_was_removed_is_forgotten_when_it_is_unloaded(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    for path in sorted(root.glob("m/**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "m").rmdir()
    assert "there is no such model" in desk.load("m").told()
    assert desk.serves("m")
    assert desk.unload("m").get() is None
    assert not desk.serves("m")
    eventually(lambda: [entry[0] for entry in desk.index()] == ["n"])


def test_a_repository_that_is_away_keeps_what_is_loaded_and_can_be_unloaded(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    root.rename(root.with_name("away"))
    told = desk.load("m").told()
    assert "failed to load 'm', failed to poll from model repository: " in told
    assert "cannot be read" in told
    assert desk.serves("m")
    assert desk.unload("m").get() is None
    assert not desk.serves("m")
    root.with_name("away").rename(root)


def test_the_index_shows_what_is_on_the_disk_when_somebody_looks(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    lay(root, {"x/1/model.onnx": ""})
    for name in ("m", "n"):
        root.joinpath(name).rename(root.with_name(f"away-{name}"))
    assert desk.look().get() is None
    assert desk.index() == [("m", "1", "READY", ""), ("x", "", "", "")]
    assert desk.look().get() is None
    root.with_name("away-n").rename(root / "n")
    assert desk.look().get() is None
    assert [entry.name for entry in desk.index()] == ["m", "n", "x"]
    root.with_name("away-m").rename(root / "m")


def test_a_look_at_a_repository_that_is_away_changes_nothing(desk: Desk, root: Path) -> None:
    root.rename(root.with_name("away"))
    assert desk.look().get() is None
    assert [entry.name for entry in desk.index()] == ["m", "n"]
    root.with_name("away").rename(root)


def test_models_that_are_unloaded_and_removed_are_no_more_when_somebody_looks(desk: Desk, root: Path) -> None:
    desk.load("m").get()
    desk.unload("m").get()
    root.joinpath("m").rename(root.with_name("away-m"))
    desk.look().get()
    eventually(lambda: [entry.name for entry in desk.index()] == ["n"])
    root.with_name("away-m").rename(root / "m")
    assert desk.load("m").get() is None


# Files.


def test_files_that_are_given_are_served_until_the_model_is_unloaded(desk: Desk, private: Path) -> None:
    assert desk.load("given", SOUND).get() is None
    assert ("given", "3", "READY", "") in desk.index()
    (directory,) = private.iterdir()
    assert sorted(path.name for path in directory.glob("3/*")) == ["model.onnx", "weights.bin"]
    assert desk.unload("given").get() is None
    assert not desk.serves("given")
    eventually(lambda: not directory.exists())
    eventually(lambda: [entry[0] for entry in desk.index()] == ["m", "n"])


def test_files_of_a_model_that_is_on_the_disk_count_until_it_is_loaded_from_there(desk: Desk, private: Path) -> None:
    desk.load("m").get()
    assert desk.load("m", SOUND).get() is None
    assert desk.site.house.engine.model_ready("m", 3)
    assert not desk.site.house.engine.model_ready("m", 1)
    assert desk.load("m").get() is None
    assert desk.site.house.engine.model_ready("m", 1)
    eventually(lambda: list(private.iterdir()) == [])


def test_a_load_from_the_disk_takes_no_files_from_a_later_load(
    desk: Desk, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Survey.given
    from_disk = Answer()

    def given(*arguments: Any, **options: Any) -> Candidate:
        from_disk.get()
        return read(*arguments, **options)

    monkeypatch.setattr(Survey, "given", given)
    desk.site.house.engine.load("m", Overrides(), from_disk.done)
    assert desk.load("m", SOUND).get() is None
    assert from_disk.get() is None
    assert desk.load("n").get() is None
    assert len(list(private.iterdir())) == 1


def test_the_same_files_are_loaded_anew_every_time(desk: Desk, private: Path) -> None:
    for _ in range(3):
        assert desk.load("given", SOUND).get() is None
    assert len(desk.site.made) == 3
    eventually(lambda: len(list(private.iterdir())) == 1)


def test_files_of_a_load_that_fails_are_removed_and_what_served_serves_on(desk: Desk, private: Path) -> None:
    desk.load("given", SOUND).get()
    (served,) = private.iterdir()
    desk.plan["given"] = InvalidArgument("garbage")
    told = desk.load("given", SOUND).told()
    assert told.startswith("INVALID_ARGUMENT load failed for model 'given': version 3 is at UNAVAILABLE state: ")
    assert str(private) not in told
    eventually(lambda: list(private.iterdir()) == [served])
    assert desk.serves("given")


def test_a_model_that_never_was_is_not_remembered_when_its_files_fail(desk: Desk, private: Path) -> None:
    desk.plan["given"] = InvalidArgument("garbage")
    assert "garbage" in desk.load("given", SOUND).told()
    eventually(lambda: [entry[0] for entry in desk.index()] == ["m", "n"])
    eventually(lambda: list(private.iterdir()) == [])


def test_files_without_a_version_that_is_wanted_are_refused(desk: Desk) -> None:
    config = as_json(version_policy={"specific": {"versions": [7]}}, backend="identity")
    told = desk.load("given", Overrides(config, SOUND.files)).told()
    assert told.startswith("INVALID_ARGUMENT Invalid config override: ")
    assert "at least one version must be available" in told


def test_names_and_formats_are_refused_at_once(desk: Desk) -> None:
    for name, files in (("m", {"../1/model.onnx": b""}), ("m", {"1/model.pt": b""}), ("../m", {})):
        with pytest.raises(InvalidArgument):
            desk.load(name, Overrides(JSON, files))
    with pytest.raises(InvalidArgument, match="Model name cannot be empty"):
        desk.unload("")


def test_weights_that_were_not_given_keep_a_model_from_being_loaded(desk: Desk) -> None:
    tensor = b"\x6a\x19\x0a\x08location\x12\x0d../../x/y.bin\x70\x01"
    graph = bytes([0x2A, len(tensor)]) + tensor
    model = b"\x08\x08\x3a" + bytes([len(graph)]) + graph + b"\x42\x02\x10\x11"
    told = desk.load("given", Overrides(JSON, {"1/model.onnx": model})).told()
    assert told == (
        "INVALID_ARGUMENT invalid file override 'file:1/model.onnx': it needs '../../x/y.bin', which is not among the "
        "given files"
    )


def test_backends_that_run_code_of_files_get_none_whatever_these_are_called(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naiad.repository.overrides.DATA_BACKENDS", frozenset({"onnxruntime"}))
    told = desk.load("given", Overrides(JSON, {"1/model.bin": b"code"})).told()
    assert told.startswith("INVALID_ARGUMENT invalid file override: version 1 is for the backend 'identity', ")
    assert "--allow-code-upload" in told


def slow_writing(monkeypatch: pytest.MonkeyPatch) -> tuple[Event, Event]:
    """Have files written only when the second event is set; the first says that one is about to be."""
    begun, gate, write = Event(), Event(), uploads._directory

    def held(files: Mapping[str, bytes | memoryview]) -> OverrideDirectory:
        begun.set()
        assert gate.wait(PATIENCE)
        return write(files)

    monkeypatch.setattr(uploads, "_directory", held)
    return begun, gate


def test_files_that_take_long_to_write_delay_no_other_command_and_a_newer_one_wins(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = slow_writing(monkeypatch)
    given, other = desk.load("m", SOUND), desk.load("given", SOUND)
    assert begun.wait(PATIENCE)
    assert desk.load("n").get() is None
    assert desk.load("m").get() is None
    assert not given.known
    gate.set()
    assert OUTDATED in given.told()
    assert other.get() is None
    assert desk.site.house.engine.model_ready("m", 1)
    assert not desk.site.house.engine.model_ready("m", 3)


def test_more_files_than_may_wait_are_refused_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = slow_writing(monkeypatch)
    monkeypatch.setattr(uploads, "MOST_BYTES", 3)
    first = desk.load("a", Overrides(JSON, {"1/model.onnx": b"1234"}))
    assert begun.wait(PATIENCE)
    refused = desk.load("b", Overrides(JSON, {"1/model.onnx": b"1"})).get()
    assert isinstance(refused, Rejected)
    assert "got 1 bytes of files while 4 bytes of other loads wait to be written" in str(refused)
    gate.set()
    assert first.get() is None
    assert desk.load("b", Overrides(JSON, {"1/model.onnx": b"1"})).get() is None


# The end.


def test_everyone_who_waits_is_answered_when_the_server_stops(root: Path, private: Path) -> None:
    with opened() as site:
        desk = Desk(site, root)
        desk.start()
        gate = desk.hold("m")
        served, load = desk.load("given", SOUND), desk.load("m")
        assert served.get() is None
        desk.loading("m")
        site.manager.freeze()
        frozen = desk.load("n", SOUND)
        desk.keeper.stop()
        for answer in (load, frozen):
            error = answer.get()
            assert isinstance(error, Unavailable)
            assert str(error) == "Server exiting"
        with pytest.raises(Unavailable, match="Server exiting"):
            desk.load("n")
        assert list(private.iterdir()) == []
        gate.set()


def test_commands_that_come_before_the_first_look_are_carried_out_after_it(root: Path) -> None:
    with opened() as site:
        desk = Desk(site, root, models=frozenset({"n"}))
        early = desk.load("m")
        desk.start()
        assert early.get() is None
        assert desk.serves("m")
        assert desk.serves("n")
        desk.keeper.stop()


def test_a_mistake_of_the_server_is_answered_and_the_next_command_carried_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Survey, "of", broken)
        error = desk.load("m").get()
    assert isinstance(error, Internal)
    assert error.code is Code.INTERNAL
    assert str(error).startswith("unexpected RuntimeError")
    assert desk.load("m").get() is None


def test_without_a_commander_commands_are_refused() -> None:
    with opened() as site:
        engine, answer = site.house.engine, Answer()
        for command in (partial(engine.load, "m", Overrides(), answer.done), partial(engine.unload, "m", answer.done)):
            with pytest.raises(Unavailable, match="explicit model load / unload is not allowed if polling is enabled"):
                command()
        assert not engine.look(answer.done)
        assert not answer.known

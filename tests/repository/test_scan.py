"""What a repository holds is read without judging it, and one bad entry hides no other."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.problems import Severity
from naiad.repository import scan as scanning
from naiad.repository import walking
from naiad.repository.names import (
    LARGEST_VERSION,
    PUBLISHING,
    READY,
    is_copy,
    is_leftover,
    meant_version,
    no_version,
    resembles_config,
    stays_inside,
    version,
)
from naiad.repository.pbtxt import MAX_BYTES
from naiad.repository.scan import scan
from naiad.repository.snapshot import ModelSnapshot, Snapshot, VersionFiles
from naiad.repository.source import LocalDirectory
from tests.repository.files import lay


def look(*roots: Path) -> Snapshot:
    return scan(map(LocalDirectory, roots))


def model(root: Path, name: str = "m") -> ModelSnapshot:
    return look(root).models[name]


def fault(files: VersionFiles) -> str:
    """What is wrong with a version, at its own place, or nothing."""
    problem = files.problem
    assert problem is None or (problem.place == str(files.path) and problem.found and problem.remedy)
    return problem.text if problem else ""


def problems(snapshot: ModelSnapshot) -> list[tuple[Severity, str]]:
    return [(problem.severity, problem.text) for problem in snapshot.problems]


@pytest.mark.parametrize(
    ("name", "number"),
    [("0", 0), ("1", 1), ("10", 10), (str(LARGEST_VERSION), LARGEST_VERSION)]
    + [(name, None) for name in ("", "01", "-1", "+1", "1abc", " 1", "1.0", "٣", "1_0", str(2**63), "9" * 30)],
)
def test_a_version_is_a_plain_number_that_fits(name: str, number: int | None) -> None:
    assert version(name) == number


@given(st.integers(0, LARGEST_VERSION))
def test_every_version_has_one_name(number: int) -> None:
    assert version(str(number)) == number
    assert version(f"0{number}") is None


LEFTOVERS = [
    ".git", "..data", "..2026_11_23", ".model.tmp", ".model.onnx.a1B2c3", "m.tmp", "m.part", "m~", "#m#", ".#m",
    ".m.swp", "m.swp", "lost+found", "__pycache__",
]  # fmt: skip


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_tools_leave_behind_is_no_name(name: str) -> None:
    assert is_leftover(name)


@pytest.mark.parametrize("name", ["m", "1", "tmp", "m.tmpl", "part", "a~b", "#m", "m#", "model.onnx", "M.1"])
def test_other_names_are_names(name: str) -> None:
    assert not is_leftover(name)


@pytest.mark.parametrize(
    ("name", "copy"),
    [(name, True) for name in ("m.tmp", "m.part", ".model.onnx.a1B2c3", ".x.tmp")]
    + [(name, False) for name in ("m~", ".m.swp", "#m#", "..data", ".ready", ".publishing", "model.onnx", ".git")],
)
def test_a_file_that_a_copy_goes_on_in_is_told_from_other_leftovers(name: str, copy: bool) -> None:
    assert is_copy(name) is copy
    assert is_leftover(name) or not copy


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("01", "ignore version directory '01' which contains leading zeros in its directory name"),
        ("-1", "ignore version directory '-1' which fails to convert to integral number"),
        ("1abc", "ignore version directory '1abc' which fails to convert to integral number"),
        ("9" * 30, f"ignore version directory '{'9' * 30}' which is larger than the largest version, {2**63 - 1}"),
        ("warmup", None),
        ("initial_state", None),
        ("configs", None),
        (".hidden", None),
    ],
)
def test_a_directory_that_is_no_version_is_told_why(name: str, says: str | None) -> None:
    problem = no_version(name)
    assert (problem and problem.text) == says
    assert problem is None or (problem.found == f"'{name}'" and problem.remedy.startswith("Rename it to "))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("v1", "1"), ("V12", "12"), ("version-3", "3"), ("01", "1"), ("2.0", "2"), ("r7", "7"), ("model_2", "2"),
     ("1abc", ""), ("-1", ""), ("latest", ""), ("2024-01-01", ""), ("9" * 30, "")],
)  # fmt: skip
def test_a_name_that_means_a_version_is_told_as_one(name: str, meant: str) -> None:
    assert meant_version(name) == meant


@pytest.mark.parametrize(
    ("name", "resembles"),
    [(name, True) for name in ("Config.pbtxt", "config.pbtx", "config.txt", "config.pbtxt.txt", "config.json", "config",
                               "config.yaml", "model_config.pbtxt", "configuration.pbtxt", "CONFIG.PBTXT")]
    + [(name, False) for name in ("config.pbtxt", "labels.txt", "model.onnx", "README.md", "preprocessor_config.json")],
)  # fmt: skip
def test_a_file_that_was_probably_meant_as_the_config_is_known(name: str, resembles: bool) -> None:
    assert resembles_config(name) is resembles


@pytest.mark.parametrize("path", ["model.onnx", "a/b.onnx", "..a/b", "./m.onnx"])
def test_a_path_below_stays_inside(path: str) -> None:
    assert stays_inside(path)


@pytest.mark.parametrize("path", ["", ".", "..", "../m.onnx", "a/../../m.onnx", "/etc/passwd", "a\0b", "a/.."])
def test_a_path_that_leads_out_or_nowhere_does_not(path: str) -> None:
    assert not stays_inside(path)


def test_models_are_the_directories_of_a_repository(tmp_path: Path) -> None:
    lay(tmp_path, {"a/1/model.onnx": "", "b/config.pbtxt": "name: 'b'", "README.md": "", ".git/x": "", "c.tmp/1/x": ""})
    snapshot = look(tmp_path)
    assert list(snapshot.models) == ["a", "b"]
    assert snapshot.unreadable == {}
    assert snapshot.models["a"].config is None
    assert snapshot.models["b"].config == b"name: 'b'"
    assert snapshot.models["b"].config_path == tmp_path / "b" / "config.pbtxt"


def test_a_model_has_versions_with_files_and_files_beside_its_config(tmp_path: Path) -> None:
    lay(tmp_path, {
        "m/1/model.onnx": "abc", "m/1/data/w.bin": "", "m/1/.part": "", "m/1/x.tmp": "", "m/2": None,
        "m/labels.txt": "a", "m/.labels.txt.swp": "", "m/warmup/x": "", "m/config.pbtxt": "",
    })  # fmt: skip
    os.mkfifo(tmp_path / "m" / "pipe")
    snapshot = model(tmp_path)
    assert {number: sorted(v.files) for number, v in snapshot.versions.items()} == {
        1: ["data/w.bin", "model.onnx"],
        2: [],
    }
    assert snapshot.versions[1].files["model.onnx"].size == 3
    assert list(snapshot.files) == ["labels.txt"]
    assert snapshot.problems == ()


def test_what_is_no_version_is_warned_of_with_its_place(tmp_path: Path) -> None:
    lay(tmp_path, {"m/01/model.onnx": "", "m/-1/model.onnx": "", "m/1/model.onnx": "", "m/3": "a file"})
    snapshot = model(tmp_path)
    assert list(snapshot.versions) == [1]
    assert {(p.place, p.text, p.severity) for p in snapshot.problems} == {
        (str(tmp_path / "m" / name), text, Severity.WARNING)
        for name, text in [
            ("-1", "ignore version directory '-1' which fails to convert to integral number"),
            ("01", "ignore version directory '01' which contains leading zeros in its directory name"),
            ("3", "ignore '3' which is a file: a version is a directory"),
        ]
    }


def test_links_are_followed(tmp_path: Path) -> None:
    store = lay(tmp_path / "store", {"blob": "weights", "v1/model.onnx": "abc", "m/7/model.onnx": "", "c": "name: 'm'"})
    root = lay(tmp_path / "repository", {"m/1": None})
    (root / "m" / "1" / "model.onnx").symlink_to(store / "blob")
    (root / "m" / "2").symlink_to(store / "v1")
    (root / "m" / "config.pbtxt").symlink_to(store / "c")
    (root / "n").symlink_to(store / "m")
    snapshot = look(root)
    assert snapshot.models["m"].versions[1].files["model.onnx"].size == 7
    assert list(snapshot.models["m"].versions[2].files) == ["model.onnx"]
    assert snapshot.models["m"].config == b"name: 'm'"
    assert list(snapshot.models["n"].versions) == [7]


def test_a_directory_that_is_no_version_and_cannot_be_read_is_only_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(_: LocalDirectory) -> bool:
        raise FORBIDDEN

    lay(tmp_path, {"m/1/model.onnx": "", "m/old": None, "m/config.pbtxt": ""})
    monkeypatch.setattr(LocalDirectory, "is_model", forbid)
    found = scanning._Directory("m", tmp_path / "m", "").snapshot()
    assert [severity for severity, _ in problems(found)] == [Severity.WARNING]
    assert (found.strays, found.models) == (("old",), ())


def test_a_kubernetes_mount_is_read_like_any_other(tmp_path: Path) -> None:
    lay(tmp_path, {"..2026_11_23/m/1/model.onnx": "a"})
    (tmp_path / "..data").symlink_to("..2026_11_23")
    (tmp_path / "m").symlink_to("..data/m")
    snapshot = look(tmp_path)
    assert list(snapshot.models) == ["m"]
    assert list(snapshot.models["m"].versions[1].files) == ["model.onnx"]


def test_a_bad_link_is_a_problem_of_its_own_model_or_version_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"good/1/model.onnx": "", "half/1/model.onnx": "", "half/2": None, "loop/1": None})
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "half" / "2" / "model.onnx").symlink_to("nowhere")
    (tmp_path / "half" / "3").symlink_to("3")
    (tmp_path / "loop" / "1" / "inside").symlink_to("..")
    (tmp_path / "loop" / "labels.txt").symlink_to("nowhere")
    snapshot = look(tmp_path)
    assert list(snapshot.models) == ["circle", "gone", "good", "half", "loop"]
    assert problems(snapshot.models["circle"])[0][1].endswith("followed: Too many levels of symbolic links")
    assert snapshot.models["good"].problems == ()
    gone = f"'{tmp_path / 'gone'}' is a link to 'nowhere', which cannot be followed: No such file or directory"
    assert problems(snapshot.models["gone"]) == [(Severity.ERROR, gone)]
    half = snapshot.models["half"].versions
    assert fault(half[1]) == ""
    assert "model.onnx' is a link to 'nowhere', which cannot be followed: No such file" in fault(half[2])
    assert "is a link to '3', which cannot be followed: Too many levels of symbolic links" in fault(half[3])
    loop = snapshot.models["loop"]
    assert fault(loop.versions[1]).endswith("is a link to a directory that it stands in")
    assert [severity for severity, _ in problems(loop)] == [Severity.WARNING]


def test_a_config_that_is_no_file_is_an_error_and_never_blocks(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {"directory/config.pbtxt/x": "", "directory/1/model.onnx": "", "pipe/1/model.onnx": "", "link/1": None},
    )
    os.mkfifo(tmp_path / "pipe" / "config.pbtxt")
    os.mkfifo(tmp_path / "pipe" / "1" / "model.plan")
    (tmp_path / "link" / "config.pbtxt").symlink_to("nowhere")
    models = look(tmp_path).models
    assert problems(models["directory"]) == [(Severity.ERROR, "'config.pbtxt' is a directory")]
    assert problems(models["pipe"]) == [(Severity.ERROR, "'config.pbtxt' is not a regular file")]
    assert fault(models["pipe"].versions[1]).endswith("model.plan' is neither a file nor a directory")
    assert [severity for severity, _ in problems(models["link"])] == [Severity.ERROR]


class Vanishing:
    """A directory's entry whose file is not there any more, or may not be looked at."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.name = path.name
        self.path = str(path)
        self._error = error

    def stat(self) -> os.stat_result:
        raise self._error

    def is_symlink(self) -> bool:
        return False


GONE = FileNotFoundError(2, "No such file or directory")
FORBIDDEN = PermissionError(13, "Permission denied")


@pytest.mark.parametrize("name", ["1", "config.pbtxt", "labels.txt"])
def test_what_vanishes_while_it_is_looked_at_is_passed_over(tmp_path: Path, name: str) -> None:
    directory = scanning._Directory("m", lay(tmp_path, {}), "")
    directory._look_at(Vanishing(tmp_path / name, GONE))  # type: ignore[arg-type]
    snapshot = directory.snapshot()
    assert (snapshot.versions, snapshot.files, snapshot.problems) == ({}, {}, ())


def test_a_file_of_a_version_that_vanishes_is_passed_over(tmp_path: Path) -> None:
    entry = Vanishing(tmp_path / "model.onnx", GONE)
    assert list(walking._walk_entry(entry, "model.onnx", frozenset())) == []  # type: ignore[arg-type]
    assert walking.read_version(tmp_path / "gone").files == {}
    assert scanning._model("gone", [tmp_path / "gone"], "") is None


def test_what_may_not_be_looked_at_is_a_problem_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": "name: 'm'"})
    opened = Path.open

    def refuse(path: Path, mode: str) -> object:
        if path.name == "config.pbtxt":
            raise FORBIDDEN
        return opened(path, mode)

    def forbid(_: Path) -> object:
        raise FORBIDDEN

    monkeypatch.setattr(Path, "open", refuse)
    snapshot = model(tmp_path)
    config = str(tmp_path / "m" / "config.pbtxt")
    assert [(p.place, p.text) for p in snapshot.problems] == [(config, f"'{config}' cannot be read: Permission denied")]
    monkeypatch.setattr(os, "scandir", forbid)
    version_directory = tmp_path / "m" / "1"
    assert fault(walking.read_version(version_directory)) == f"'{version_directory}' cannot be read: Permission denied"


def test_no_more_of_a_config_is_read_than_tells_that_it_is_too_large(tmp_path: Path) -> None:
    lay(tmp_path, {"m/config.pbtxt": b"#" * (MAX_BYTES + 100)})
    assert len(model(tmp_path).config or b"") == MAX_BYTES + 1


def test_a_version_with_too_many_files_is_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FILES", 2)
    lay(tmp_path, {"m/1/a": "", "m/1/b": "", "m/2/a": "", "m/2/b/c": "", "m/2/d": ""})
    versions = model(tmp_path).versions
    assert fault(versions[1]) == ""
    assert fault(versions[2]) == f"'{tmp_path / 'm' / '2'}' has more than 2 files"


def test_a_version_with_too_many_levels_is_no_version(tmp_path: Path) -> None:
    levels = "/".join("d" * (walking.MAX_DEPTH - 1))
    lay(tmp_path, {f"m/1/{levels}/file": "", f"m/2/{levels}/e/file": ""})
    versions = model(tmp_path).versions
    assert (fault(versions[1]), list(versions[1].files)) == ("", [f"{levels}/file"])
    place = tmp_path / "m" / "2" / levels / "e"
    assert fault(versions[2]) == f"'{place}' is deeper than 32 levels below its version's directory"


def test_a_name_in_two_repositories_is_a_problem_of_that_name_and_neither_is_chosen(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    lay(tmp_path, {"one/m/1/model.onnx": "", "two/m/1/model.onnx": "", "two/n/1/model.onnx": ""})
    snapshot = look(one, two)
    assert problems(snapshot.models["m"]) == [
        (Severity.ERROR, f"model appears in two or more repositories: '{one / 'm'}', '{two / 'm'}'")
    ]
    assert snapshot.models["m"].versions == {}
    assert snapshot.models["n"].problems == ()


def test_one_repository_named_twice_is_one_repository(tmp_path: Path) -> None:
    lay(tmp_path / "r", {"m/1/model.onnx": ""})
    (tmp_path / "link").symlink_to("r")
    assert look(tmp_path / "r", tmp_path / "link", tmp_path / "r").models["m"].problems == ()


def test_a_repository_that_cannot_be_read_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    lay(tmp_path, {"empty": None, "file": "", "good/m/1/model.onnx": ""})
    snapshot = look(tmp_path / "empty", tmp_path / "missing", tmp_path / "file", tmp_path / "good")
    assert list(snapshot.models) == ["m"]
    assert {path: problem.text for path, problem in snapshot.unreadable.items()} == {
        tmp_path / name: f"the repository cannot be read: {why}: '{tmp_path / name}'"
        for name, why in {"missing": "No such file or directory", "file": "Not a directory"}.items()
    }


def test_a_name_that_no_client_could_say_is_a_problem(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/m\xff")  # noqa: PTH102 - a Path holds text
    lay(tmp_path, {"a\nb/1/model.onnx": ""})
    assert [s for m in look(tmp_path).models.values() for s in problems(m)] == [
        (Severity.ERROR, "a model's name must be printable text, got 'a\\nb'"),
        (Severity.ERROR, "a model's name must be printable text, got 'm\\udcff'"),
    ]


@pytest.mark.parametrize(
    ("files", "single"),
    [
        (["config.pbtxt"], True),
        (["config.pbtxt", "1/model.onnx"], True),
        (["1/model.onnx"], True),
        (["1/model.onnx/model.onnx"], True),
        (["0/weights"], True),
        (["m/1/model.onnx"], False),
        (["1/1/model.onnx"], False),
        (["1/config.pbtxt", "1/1/model.onnx"], False),
        (["01/model.onnx"], False),
        (["1/.hidden"], False),
        (["README.md"], False),
        (["1"], False),
    ],
)
def test_a_single_models_directory_is_told_from_a_repository(tmp_path: Path, files: list[str], single: bool) -> None:
    lay(tmp_path / "here", dict.fromkeys(files, ""))
    assert LocalDirectory(tmp_path / "here").is_model() is single
    assert ("here" in LocalDirectory(tmp_path / "here").models()) is single


def test_a_single_model_is_called_after_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "digits", {"1/model.onnx": ""})
    (tmp_path / "numbers").symlink_to("digits")
    assert list(look(tmp_path / "numbers").models) == ["numbers"]
    monkeypatch.chdir(tmp_path / "digits")
    assert list(look(Path()).models) == ["digits"]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": "abc", "other": "xyz"})
    file, other = tmp_path / "m" / "1" / "model.onnx", tmp_path / "other"
    before = model(tmp_path)
    assert model(tmp_path) == before
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert model(tmp_path).versions[1].files != before.versions[1].files


def named(root: Path, config_name: str) -> ModelSnapshot:
    return scan([LocalDirectory(root)], config_name).models["m"]


def test_a_config_of_the_given_name_is_read_instead_of_the_usual_one(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": "usual", "m/configs/h100.pbtxt": "named"})
    found = named(tmp_path, "h100")
    assert (found.config, found.config_path) == (b"named", tmp_path / "m" / "configs" / "h100.pbtxt")
    for other in ("a100", ""):
        found = named(tmp_path, other)
        assert (found.config, found.config_path) == (b"usual", tmp_path / "m" / "config.pbtxt")


def test_a_model_may_have_a_named_config_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": "", "m/configs/h100.pbtxt": "named"})
    assert named(tmp_path, "h100").config == b"named"
    assert named(tmp_path, "a100").config is None


def test_a_stat_tells_all_that_changes_with_a_file(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": "abc", "m/labels.txt": "a", "m/config.pbtxt": ""})
    snapshot = model(tmp_path)
    found = {
        "1/model.onnx": snapshot.versions[1].files["model.onnx"],
        "labels.txt": snapshot.files["labels.txt"],
        "config.pbtxt": snapshot.config_stat,
        "1": snapshot.versions[1].stat,
    }
    for name, told in found.items():
        status = (tmp_path / "m" / name).stat()
        assert told == (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns, status.st_dev)


def test_the_ctime_of_what_a_link_leads_to_is_that_of_the_link_where_that_is_newer(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1": None, "store/old.onnx": "abc"})
    paths = tmp_path / "store" / "old.onnx", tmp_path / "m" / "1" / "model.onnx"
    while not paths[1].is_symlink() or paths[1].lstat().st_ctime_ns == paths[0].stat().st_ctime_ns:
        paths[1].unlink(missing_ok=True)
        paths[1].symlink_to(paths[0])
    found = model(tmp_path).versions[1].files["model.onnx"]
    assert (found.ctime_ns, found.inode) == (paths[1].lstat().st_ctime_ns, paths[0].stat().st_ino)
    assert found == walking.file_stat(paths[1])
    while paths[0].stat().st_ctime_ns == paths[1].lstat().st_ctime_ns:
        paths[0].write_text("abc")
    newer = model(tmp_path).versions[1].files["model.onnx"]
    assert newer.ctime_ns == max(paths[0].stat().st_ctime_ns, paths[1].lstat().st_ctime_ns)


def test_a_configs_stat_is_taken_after_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while it is read shows in the stat, so that half a config is never taken for a settled one."""
    config = lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": "first"}) / "m" / "config.pbtxt"
    fstat = os.fstat

    def write_first(descriptor: int) -> os.stat_result:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(config):  # noqa: PTH115 - not a Path's business
            config.write_text("the second")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", write_first)
    found = model(tmp_path)
    assert (found.config, found.config_stat and found.config_stat.size) == (b"first", len("the second"))


def test_a_config_of_a_given_name_has_its_own_stat(tmp_path: Path) -> None:
    lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": "usual", "m/configs/h100.pbtxt": "named one"})
    stat = named(tmp_path, "h100").config_stat
    assert stat
    assert stat.size == len("named one")
    assert model(tmp_path).config_stat != stat


def test_markers_are_found_where_they_count(tmp_path: Path) -> None:
    lay(tmp_path, {
        "m/1/model.onnx": "", "m/1/.ready": "ignored", "m/1/data/.publishing": "", "m/2/.publishing": "{}",
        "m/.ready": "", "m/.publishing": "x" * 10_000,
    })  # fmt: skip
    snapshot = model(tmp_path)
    assert {name: marker.content for name, marker in snapshot.versions[1].markers.items()} == {READY: b""}
    assert {name: marker.content for name, marker in snapshot.versions[2].markers.items()} == {PUBLISHING: b"{}"}
    assert snapshot.markers.keys() == {READY, PUBLISHING}
    assert snapshot.markers[PUBLISHING].content == b"x" * walking.MAX_MARKER
    assert snapshot.markers[READY].stat == walking.file_stat(tmp_path / "m" / READY)
    assert list(snapshot.versions[1].files) == ["model.onnx"]
    assert snapshot.files == {}


@pytest.mark.parametrize("where", ["m/1", "m"])
def test_what_is_written_during_a_look_is_not_covered_by_a_marker_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whoever ends with `.ready` during the look may have written files that the look missed."""
    lay(tmp_path, {"m/1/model.onnx": "", "m/config.pbtxt": ""})
    scandir = os.scandir

    def end(path: Path) -> object:
        if path == tmp_path / where:
            (path / READY).touch()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", end)
    found = model(tmp_path)
    assert READY in os.listdir(tmp_path / where)  # noqa: PTH208 - scandir is taken
    assert (found.markers, found.versions[1].markers) == ({}, {})


def test_a_marker_that_cannot_be_read_is_there_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(_: Path, __: str) -> object:
        raise FORBIDDEN

    lay(tmp_path, {"m/1/model.onnx": "", "m/2/.publishing": "{}"})
    os.mkfifo(tmp_path / "m" / "1" / PUBLISHING)
    monkeypatch.setattr(Path, "open", forbid)
    versions = model(tmp_path).versions
    assert [versions[n].markers[PUBLISHING].content for n in (1, 2)] == [b"", b""]


def test_copies_that_go_on_are_told_apart_from_files(tmp_path: Path) -> None:
    lay(tmp_path, {
        "m/1/model.onnx": "", "m/1/.model.onnx.a1B2c3": "abc", "m/1/data/w.part": "", "m/1/w.tmp/file": "",
        "m/1/.swap.swp": "", "m/1/x~": "",
    })  # fmt: skip
    (tmp_path / "m" / "1" / "dangling.tmp").symlink_to("nowhere")
    (tmp_path / "m" / "1" / "circle.tmp").symlink_to("circle.tmp")
    version = model(tmp_path).versions[1]
    assert fault(version) == ""
    assert list(version.files) == ["model.onnx"]
    assert {name: stat.size for name, stat in version.copies.items()} == {".model.onnx.a1B2c3": 3, "data/w.part": 0}


def test_a_version_that_is_gone_by_now_has_no_stat(tmp_path: Path) -> None:
    assert walking.read_version(tmp_path / "gone").stat is None


def test_a_directory_that_could_not_be_looked_into_says_so(tmp_path: Path) -> None:
    lay(tmp_path, {"good/1/model.onnx": ""})
    (tmp_path / "gone").symlink_to("nowhere")
    assert {name: found.listed for name, found in look(tmp_path).models.items()} == {"good": True, "gone": False}

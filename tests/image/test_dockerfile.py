"""What can be known of the images without building them.

`make image-test` builds `cpu` for real. The base of `gpu` is large and NVIDIA's, so most of what is known of that
target is that it does what `cpu` does, and that its lock file holds what it must.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import naiad
from naiad.core.engine import Engine
from naiad.frontends.http import health as routes
from naiad.frontends.http.server import HttpServer
from naiad.settings import Settings
from tests.image.dockerfile import Stage, is_sent, parse

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = parse((ROOT / "Dockerfile").read_text())
IGNORE = (ROOT / ".dockerignore").read_text()
CPU, GPU = DOCKERFILE.stage("cpu"), DOCKERFILE.stage("gpu")
LOCKS = {"cpu": "requirements/serve.lock", "gpu": "requirements/gpu.lock"}
served = pytest.mark.parametrize("stage", [CPU, GPU], ids=lambda stage: stage.name)


def test_the_stages_are_the_wheel_the_init_and_the_two_targets_and_a_plain_build_makes_cpu() -> None:
    assert [stage.name for stage in DOCKERFILE.stages] == ["wheel", "init", "cpu", "gpu", "default"]
    assert DOCKERFILE.stages[-1].base == "cpu"


def test_gpu_does_line_by_line_what_cpu_does_with_a_lock_of_its_own() -> None:
    of_cpu = [(each.keyword, each.value.replace(LOCKS["cpu"], LOCKS["gpu"])) for each in CPU.instructions]
    assert [(each.keyword, each.value) for each in GPU.instructions] == of_cpu


def test_every_base_has_a_tag_with_a_version() -> None:
    for name, image in DOCKERFILE.arguments.items():
        assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+[a-z0-9.-]*", image), f"{name}={image}"


def test_every_stage_begins_with_a_base_that_is_an_argument_or_with_an_earlier_stage() -> None:
    known = set(DOCKERFILE.arguments.values())
    for stage in DOCKERFILE.stages:
        assert stage.base in known
        known.add(stage.name)


def test_the_gpu_base_moves_together_with_onnxruntime_gpu() -> None:
    """Nothing here can run the two together: who changes one looks up what CUDA, cuDNN and TensorRT the other needs.

    onnxruntime-gpu 1.31.1 is linked with libcudart.so.13, libcudnn.so.9 and libnvinfer.so.10; NVIDIA's 26.03 has
    CUDA 13.2, cuDNN 9.20 and TensorRT 10.16, and 26.06 has TensorRT 11.
    """
    assert (GPU.base, pins("gpu")["onnxruntime-gpu"]) == ("nvcr.io/nvidia/tensorrt:26.03-py3", {"1.31.1"})


def copies() -> Iterator[tuple[Stage, list[str], str]]:
    for stage in DOCKERFILE.stages:
        for copy in stage.all("COPY"):
            yield stage, copy.arguments[:-1], copy.flags.get("from", "")


def test_what_is_copied_from_the_tree_exists_and_reaches_the_builder() -> None:
    sources = [source for _, sources, origin in copies() if not origin for source in sources]
    assert {"server", "pyproject.toml", *LOCKS.values()} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source, IGNORE), f"{source} is kept back by .dockerignore"


def test_what_is_copied_from_a_stage_comes_from_an_earlier_one() -> None:
    names = [stage.name for stage in DOCKERFILE.stages]
    origins = [(stage.name, origin) for stage, _, origin in copies() if origin]
    assert origins
    for stage, origin in origins:
        assert names.index(origin) < names.index(stage)


def test_the_builder_gets_what_the_wheel_is_made_of_and_nothing_else() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if tree.returncode:
        pytest.skip(f"this tree is no git checkout: {tree.stderr.strip()}")
    sent = {path.split("/")[0] for path in tree.stdout.splitlines() if is_sent(path, IGNORE)}
    assert sent == {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "requirements", "server", "setup.py"}
    for left in (
        ".git/config",
        ".venv/bin/python",
        "server/naiad/__pycache__/app.pyc",
        "server/naiad.egg-info/PKG-INFO",
        "server/naiad/_native.abi3.so",
        "server/native/target/release/libnaiad_native.so",
    ):
        assert not is_sent(left, IGNORE), left


def test_debian_packages_have_versions_and_bring_neither_recommendations_nor_lists() -> None:
    installed = 0
    for stage in DOCKERFILE.stages:
        for run in stage.all("RUN"):
            if "apt-get install" not in run.value:
                continue
            arguments = run.value.split("apt-get install", 1)[1].split("&&")[0].split()
            packages = [word for word in arguments if not word.startswith("--")]
            assert all(re.fullmatch(r"'?[a-z0-9.+-]+=\d\S+", package) for package in packages), run
            assert "--no-install-recommends" in arguments
            assert run.value.endswith("rm -rf /var/lib/apt/lists/*")
            installed += len(packages)
    assert installed


def test_pip_installs_nothing_that_no_lock_file_pins() -> None:
    installs = [words for stage in DOCKERFILE.stages for words in stage.commands if "pip" in words]
    assert installs
    for words in installs:
        assert "--no-cache-dir" in words
        assert "--constraint" in words or "--no-deps" in words, words


def pins(target: str) -> dict[str, set[str]]:
    """A lock file as name -> versions, of which there are several where they depend on Python's."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / LOCKS[target]).read_text().splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            found.setdefault(canonicalize_name(requirement.name), set()).add(pin.version)
    return found


@pytest.mark.parametrize("target", LOCKS)
def test_a_lock_file_pins_all_that_naiad_asks_for_there(target: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"][target]):
        requirement = Requirement(text)
        versions = pins(target).get(canonicalize_name(requirement.name), set())
        assert versions, f"{LOCKS[target]} lacks {text}: make lock"
        assert all(version in requirement.specifier for version in versions), f"{text}, pinned {versions}: make lock"


@served
def test_what_only_builds_need_is_not_installed_for_serving(stage: Stage) -> None:
    (left_out,) = {words[words.index("--invert-match") + 1] for words in stage.commands if "--invert-match" in words}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for text in groups["build"]:
        assert re.match(left_out, f"{Requirement(text).name}=="), f"{text} is installed into the image"


def test_both_lock_files_pin_the_same_versions_of_what_they_share() -> None:
    cpu, gpu = pins("cpu"), pins("gpu")
    shared = cpu.keys() & gpu.keys()
    assert {"grpcio", "numpy", "protobuf"} <= shared
    assert {name: cpu[name] for name in shared} == {name: gpu[name] for name in shared}


@served
def test_the_process_is_an_ordinary_user_from_the_last_build_step_on(stage: Stage) -> None:
    user = stage.one("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user.value), user
    after = stage.instructions[stage.instructions.index(user) :]
    assert not {"RUN", "COPY", "ADD"} & {each.keyword for each in after}


@served
def test_the_process_is_started_without_a_shell_behind_an_init(stage: Stage) -> None:
    assert stage.one("ENTRYPOINT").value == '["tini", "--", "naiad"]'
    assert stage.one("CMD").value == '["serve"]'


@served
def test_the_label_tells_the_version_of_naiad(stage: Stage) -> None:
    assert f'org.opencontainers.image.version="{naiad.__version__}"' in stage.one("LABEL").value


def addresses(settings: Settings) -> set[str]:
    names = [name for name in Settings.model_fields if name.endswith("_address")]
    assert names
    return {getattr(settings, name) for name in names}


@served
def test_only_the_image_listens_on_every_interface_and_it_serves_models(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addresses(Settings.parse([])) == {"127.0.0.1"}
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.parse([])
    assert addresses(settings) == {"0.0.0.0"}  # noqa: S104 -- what is asserted
    assert settings.model_repository == [Path("/models")]
    assert stage.one("WORKDIR").value == "/models"
    assert ["mkdir", "/models"] in stage.commands
    assert Settings.parse(["--model-repository=elsewhere"]).model_repository == [Path("elsewhere")]


@served
def test_every_setting_in_the_image_s_environment_exists(stage: Stage) -> None:
    named = {name.removeprefix("NAIAD_").lower() for name in stage.environment if name.startswith("NAIAD_")}
    assert named <= Settings.model_fields.keys()


@served
def test_the_ports_of_the_settings_are_exposed(stage: Stage) -> None:
    settings = Settings.parse([])
    ports = {
        getattr(settings, name) for name in Settings.model_fields if name.endswith("_port") and "reuse" not in name
    }
    exposed = {int(port) for port in stage.one("EXPOSE").arguments}
    assert ports <= exposed == {8000, 8001, 8002}


@served
def test_onnx_runtime_reports_nothing_to_its_maker(stage: Stage) -> None:
    assert stage.environment["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def port(engine: Engine) -> Iterator[int]:
    server = HttpServer(routes.application(engine), "health", "127.0.0.1", 0)
    yield server.start()
    server.stop()


def health(stage: Stage, port: int) -> int:
    """Run the health check as a container's engine does, against a server on this machine."""
    python, *arguments = stage.health_command
    assert python == "python3"
    environment = os.environ | {"NAIAD_HTTP_PORT": str(port)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=30, check=False)
    return done.returncode


@served
def test_the_health_check_says_healthy_while_the_server_is_ready_and_only_then(
    stage: Stage, engine: Engine, port: int
) -> None:
    assert health(stage, port) == 1
    engine.publish({}, ready=True)
    assert health(stage, port) == 0
    engine.retire()
    assert health(stage, port) == 1


@served
def test_the_health_check_says_unhealthy_where_nobody_listens(stage: Stage) -> None:
    server = HttpServer(routes.application(Engine()), "health", "127.0.0.1", 0)
    port = server.start()
    server.stop()
    assert health(stage, port) == 1


@served
def test_the_health_check_gives_up_before_its_time_is_over(stage: Stage) -> None:
    check = stage.one("HEALTHCHECK")
    seconds = {name: int(value.removesuffix("s")) for name, value in check.flags.items()}
    (patience,) = re.findall(r"timeout=(\d+)\)", check.value)
    assert int(patience) < seconds["timeout"] < seconds["interval"]

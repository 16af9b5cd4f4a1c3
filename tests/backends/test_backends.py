"""The table of backends."""

import subprocess
import sys
from types import ModuleType

import pytest

from naiad import backends
from naiad.backends import BackendOptions, plans
from naiad.core.problems import Cause, InvalidConfig, Problem

OPTIONS = BackendOptions(cpu_count=1)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make modules impossible to import."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def forget(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let the package's modules be imported anew."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}_")]:
        monkeypatch.delitem(sys.modules, name)


def test_naming_the_backends_imports_no_framework() -> None:
    script = "import sys, naiad.backends as b; b.gpus('identity'); sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def refused(name: str) -> Problem:
    with pytest.raises(InvalidConfig) as raised:
        backends.create(name, OPTIONS)
    (problem,) = raised.value.problems
    assert (problem.field, problem.found) == ("backend", f"'{name}'")
    assert problem.expected == "one of identity, onnxruntime"
    assert problem.remedy
    return problem


def test_every_name_of_the_table_is_a_backend() -> None:
    served = [backends.create(name, OPTIONS) for name in backends.SERVED]
    assert [type(backend).__name__ for backend in served] == ["IdentityBackend", "OnnxRuntimeBackend"]


def test_no_backend_is_in_two_tables() -> None:
    names = [*backends.SERVED, *plans.NOT_YET, *plans.NEVER]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", plans.NOT_YET)
def test_a_backend_that_is_planned_says_that_it_is_not_served_yet(name: str) -> None:
    problem = refused(name)
    assert problem.text == f"backend '{name}' is not served yet, expected one of identity, onnxruntime"
    assert (problem.cause, problem.remedy) == (Cause.NOT_YET, plans.NOT_YET[name])


@pytest.mark.parametrize("name", plans.NEVER)
def test_a_backend_that_will_not_come_says_what_to_do_instead(name: str) -> None:
    problem = refused(name)
    assert problem.text == f"backend '{name}' is not served, expected one of identity, onnxruntime"
    assert (problem.cause, problem.remedy) == (Cause.NEVER, plans.NEVER[name])


@pytest.mark.parametrize(
    ("name", "meant"),
    [("onnx", "onnxruntime"), ("onxruntime", "onnxruntime"), ("ORT", "onnxruntime"), ("Identity", "identity")],
)
def test_a_slip_of_the_pen_is_a_mistake_with_the_name_that_was_meant(name: str, meant: str) -> None:
    problem = refused(name)
    assert problem.text == f"unknown backend '{name}', expected one of identity, onnxruntime"
    assert (problem.cause, problem.remedy) == (Cause.MISTAKE, f"Write '{meant}'")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("pytorch_libtorch", "pytorch"), ("torchscript", "pytorch"), ("tensort", "tensorrt"), ("pyton", "python"),
     ("TensorFlow", "tensorflow"), ("tensorflow2", "tensorflow"), ("tensorrt_llm", "tensorrtllm"),
     ("openvno", "openvino")],
)  # fmt: skip
def test_a_misspelt_backend_that_is_not_served_either_is_not_to_be_fixed(name: str, meant: str) -> None:
    problem, known = refused(name), refused(meant)
    assert f"'{name}' ('{meant}')" in problem.text
    assert problem.cause is known.cause is not Cause.MISTAKE
    assert problem.remedy == known.remedy


@pytest.mark.parametrize(
    "name",
    ["mycompany_xgb", "density", "entity", "identity_fp32", "llama", "onnx_custom", "customs", "mypython", "repeater"],
)
def test_a_backend_of_somebodys_own_is_never_served_and_none_is_guessed(name: str) -> None:
    problem = refused(name)
    assert problem.cause is Cause.NEVER
    assert "Write" not in problem.remedy
    assert "backends built for other servers cannot be loaded" in problem.remedy


def test_a_missing_framework_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "naiad.backends.onnxruntime")
    without(monkeypatch, "onnxruntime")
    with pytest.raises(InvalidConfig, match=r"needs the package onnxruntime, .* pip install 'naiad\[cpu\]'"):
        backends.create("onnxruntime", OPTIONS)
    assert backends.gpus("onnxruntime") == ()


def test_a_broken_installation_is_not_taken_for_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "naiad.backends.onnxruntime")
    without(monkeypatch, "onnxruntime.capi")
    with pytest.raises(ModuleNotFoundError, match=r"onnxruntime\.capi"):
        backends.create("onnxruntime", OPTIONS)


def test_no_gpus_where_the_backend_has_none() -> None:
    assert backends.gpus("identity") == ()
    assert backends.gpus("tensorrt") == ()
    assert backends.gpus("nonsense") == ()


def test_gpus_are_those_that_the_backends_module_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("naiad.backends.onnxruntime")
    monkeypatch.setattr(module, "gpus", lambda: (0, 2), raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert backends.gpus("onnxruntime") == (0, 2)


def test_onnx_runtime_does_not_report_to_its_maker() -> None:
    """It decides when it is first imported, so this is asked in a process of its own."""
    program = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None); from naiad import backends; "
        "backends.create('onnxruntime', backends.BackendOptions(1)); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"

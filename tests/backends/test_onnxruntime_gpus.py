"""Which GPUs there are, and models on them; what needs none is tried on a machine that only says it has some."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from naiad import backends
from naiad.backends.onnxruntime import _count, gpus, visible
from naiad.backends.onnxruntime_session import CUDA
from naiad.core.config import Device, InstanceGroup, Kind, ModelConfig
from naiad.core.problems import InvalidConfig
from tests.backends.models import OPTIONS, files, refusal
from tests.models import build


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_a_gpu_without_the_cuda_provider_is_told_with_what_to_install(file: Path) -> None:
    backend = backends.create("onnxruntime", OPTIONS)
    backend.complete(ModelConfig("m"), files(build.linear(file)))
    with pytest.raises(InvalidConfig, match=r"is to run on gpu1, .*pip install 'naiad\[gpu\]'") as raised:
        backend.load(Device(Kind.GPU, 1))
    assert [problem.field for problem in raised.value.problems] == ["instance_group"]
    assert gpus() == ()


class Machine:
    """A machine that says it has CUDA and two GPUs; sessions on them start, or fall back to the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, starts: bool) -> None:
        self.asked: list[object] = []
        self._starts = starts
        self._real = onnxruntime.InferenceSession
        driver = SimpleNamespace(
            nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 2, nvmlShutdown=lambda: None, NVMLError=RuntimeError
        )
        monkeypatch.setitem(sys.modules, "pynvml", driver)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime, "InferenceSession", self._session)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        gpus.cache_clear()

    def _session(self, path: str, options: object, providers: list[object], enable_fallback: int) -> object:
        self.asked.append(providers[0])
        session = self._real(path, options, providers=["CPUExecutionProvider"], enable_fallback=enable_fallback)
        if self._starts:
            session.get_providers = lambda: [CUDA, "CPUExecutionProvider"]
        return session


@pytest.fixture
def _no_gpus_remembered() -> Iterator[None]:
    yield
    gpus.cache_clear()


@pytest.mark.parametrize(
    ("groups", "device"),
    [
        ((), Device(Kind.GPU, 0)),
        ((InstanceGroup(),), Device(Kind.GPU, 0)),
        ((InstanceGroup(kind=Kind.GPU, gpus=(1,)),), Device(Kind.GPU, 1)),
        ((InstanceGroup(kind=Kind.CPU), InstanceGroup(kind=Kind.GPU)), Device(Kind.CPU)),
    ],
)
@pytest.mark.usefixtures("_no_gpus_remembered")
def test_a_model_is_opened_once_where_its_first_instance_will_be(
    file: Path, monkeypatch: pytest.MonkeyPatch, groups: tuple[InstanceGroup, ...], device: Device
) -> None:
    machine = Machine(monkeypatch, starts=True)
    backend = backends.create("onnxruntime", OPTIONS)
    backend.complete(ModelConfig("m", instance_groups=groups), files(build.linear(file)))
    executable = backend.load(device)
    on_gpu = device.kind is Kind.GPU
    assert machine.asked == [(CUDA, {"device_id": str(device.id)}) if on_gpu else "CPUExecutionProvider"]
    assert (executable.shared, executable.own_threads) == (not on_gpu, on_gpu)
    backend.load(device).close()
    assert len(machine.asked) == 2
    executable.close()


@pytest.mark.usefixtures("_no_gpus_remembered")
def test_cuda_that_does_not_start_is_an_error_and_no_slow_model(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, starts=False)
    [problem] = refusal(build.linear(file)).problems
    assert problem.field == "instance_group"
    assert problem.text.endswith("its CUDA provider does not start: are CUDA and cuDNN of its version installed?")


@pytest.mark.usefixtures("_no_gpus_remembered")
def test_gpus_are_those_that_the_driver_and_cuda_show(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, starts=True)
    assert gpus() == (0, 1)


@pytest.mark.usefixtures("_no_gpus_remembered")
def test_gpus_that_nobody_can_count_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(monkeypatch, starts=True)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() == ()
    assert "nvidia-ml-py, which counts them, is missing (pip install 'naiad[gpu]')" in caplog.text


@pytest.mark.skipif(CUDA not in onnxruntime.get_available_providers(), reason="needs onnxruntime-gpu and a GPU")
def test_a_gpu_instance_has_a_session_and_a_thread_of_its_own(file: Path) -> None:
    config = ModelConfig("m", instance_groups=(InstanceGroup(kind=Kind.GPU, gpus=(0,)),))
    backend = backends.create("onnxruntime", OPTIONS)
    backend.complete(config, files(build.linear(file)))
    executable = backend.load(Device(Kind.GPU, 0))
    assert (executable.shared, executable.own_threads) == (False, True)
    executable.close()


@pytest.mark.parametrize(
    ("environment", "ordinals"),
    [
        ({}, (0, 1, 2, 3)),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, (0, 1)),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1f, MIG-2a,1"}, (0, 1, 2)),
        ({"CUDA_VISIBLE_DEVICES": "1,9,0"}, (0,)),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
    ],
)
def test_ordinals_are_those_of_cuda_and_not_of_the_machine(
    environment: dict[str, str], ordinals: tuple[int, ...]
) -> None:
    assert visible(4, environment) == ordinals


def test_a_driver_that_does_not_answer_means_no_gpus(caplog: pytest.LogCaptureFixture) -> None:
    class NVMLError(Exception):
        pass

    def fail() -> None:
        raise NVMLError("Driver Not Loaded")

    assert _count(SimpleNamespace(nvmlInit=fail, NVMLError=NVMLError)) == 0
    assert "GPUs are not used: Driver Not Loaded" in caplog.text

"""GPUs as NVIDIA's library tells of them, through a stand-in for its module with the functions that are called.

On a machine with a GPU and the real module, the last test reads that too.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import NoReturn

import pytest

from naiad.observability import gpus as module
from naiad.observability.exposition import text
from naiad.observability.gpus import Gpu, Gpus, find, visible
from tests.core.scripted import PATIENCE
from tests.observability.scrapes import Scrape, read


class NVMLError(Exception):
    pass


class Nvml:
    """Two GPUs, `GPU-a` and `GPU-b`, of which the second has no figures of power. A device is its index."""

    NVMLError = NVMLError

    def __init__(self, missing: bool = False) -> None:
        self.missing = missing
        self.energy = 5000
        self.lost: set[int] = set()
        self.shut = 0
        self.asked = Event()

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        if self.missing:
            raise NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.shut += 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, device: int) -> str:  # noqa: N802
        return f"GPU-{'ab'[device]}"

    def nvmlDeviceGetName(self, _: int) -> str:  # noqa: N802
        return "H200"

    def nvmlDeviceGetUtilizationRates(self, device: int) -> SimpleNamespace:  # noqa: N802
        self.asked.set()
        self._there(device)
        return SimpleNamespace(gpu=40 + device, memory=7)

    def nvmlDeviceGetMemoryInfo(self, device: int) -> SimpleNamespace:  # noqa: N802
        self._there(device)
        return SimpleNamespace(total=1 << 37, free=1, used=1 << 30)

    def nvmlDeviceGetPowerUsage(self, device: int) -> int:  # noqa: N802
        return self._power(device, 123_456)

    def nvmlDeviceGetPowerManagementLimit(self, device: int) -> int:  # noqa: N802
        return self._power(device, 700_000)

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
        return self._power(device, self.energy)

    def _power(self, device: int, value: int) -> int:
        self._there(device)
        if device == 1:
            raise NVMLError("Not Supported")
        return value

    def _there(self, device: int) -> None:
        if device in self.lost:
            raise NVMLError("GPU is lost")


def told(gpus: Gpus) -> Scrape:
    return read(text(gpus.blocks()))


def test_each_gpu_tells_what_it_has() -> None:
    gpus = Gpus(Nvml(), 2.0)
    assert told(gpus).values == {}
    gpus.read()
    found = told(gpus)
    assert found.types == {
        "nv_gpu_utilization": "gauge",
        "nv_gpu_memory_total_bytes": "gauge",
        "nv_gpu_memory_used_bytes": "gauge",
        "nv_gpu_power_usage": "gauge",
        "nv_gpu_power_limit": "gauge",
        "nv_energy_consumption": "counter",
    }
    assert {name: found.value(name, gpu_uuid="GPU-a") for name in found.types} == {
        "nv_gpu_utilization": 0.4,
        "nv_gpu_memory_total_bytes": 1 << 37,
        "nv_gpu_memory_used_bytes": 1 << 30,
        "nv_gpu_power_usage": 123.456,
        "nv_gpu_power_limit": 700,
        "nv_energy_consumption": 0,
    }
    assert found.value("nv_gpu_utilization", gpu_uuid="GPU-b") == 0.41
    assert len(found.labels("nv_gpu_power_usage")) == 1


def test_what_is_free_is_told_of_the_gpu_that_frameworks_mean() -> None:
    nvml = Nvml()
    gpus = Gpus(nvml, 2.0)
    assert [gpus.free(ordinal, {}) for ordinal in (0, 1, 2)] == [1, 1, None]
    nvml.lost = {0}
    assert gpus.free(0, {}) is None
    assert gpus.free(0, {"CUDA_VISIBLE_DEVICES": "1"}) == 1
    assert gpus.free(0, {"CUDA_VISIBLE_DEVICES": "GPU-nobody"}) is None


def test_a_library_that_lacks_a_function_tells_the_rest() -> None:
    class Older(Nvml):
        @property
        def nvmlDeviceGetTotalEnergyConsumption(self) -> NoReturn:  # noqa: N802
            raise AttributeError

    gpus = Gpus(Older(), 2.0)
    gpus.read()
    assert "nv_energy_consumption" not in told(gpus).types
    assert told(gpus).value("nv_gpu_utilization", gpu_uuid="GPU-a") == 0.4


def test_energy_counts_from_the_first_reading() -> None:
    nvml = Nvml()
    gpus = Gpus(nvml, 2.0)
    gpus.read()
    nvml.energy += 2500
    gpus.read()
    assert told(gpus).value("nv_energy_consumption", gpu_uuid="GPU-a") == 2.5


def test_a_gpu_that_is_lost_is_not_told_any_more_and_the_others_are() -> None:
    nvml = Nvml()
    gpus = Gpus(nvml, 2.0)
    gpus.read()
    nvml.lost.add(0)
    gpus.read()
    assert {dict(key)["gpu_uuid"] for values in told(gpus).values.values() for key in values} == {"GPU-b"}


def test_figures_that_nobody_renewed_are_not_told() -> None:
    now = 0.0
    gpus = Gpus(Nvml(), 2.0, lambda: now)
    gpus.read()
    now = 40.0
    assert told(gpus).values != {}
    now = 41.0
    assert told(gpus).values == {}


def test_one_thread_reads_them_until_it_is_stopped() -> None:
    nvml = Nvml()
    gpus = Gpus(nvml, 0.001)
    gpus.start()
    for _ in range(3):
        nvml.asked.clear()
        assert nvml.asked.wait(PATIENCE)
    gpus.stop()
    assert nvml.shut == 1
    assert told(gpus).value("nv_gpu_utilization", gpu_uuid="GPU-a") == 0.4


def test_a_driver_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml, hang = Nvml(), Event()
    monkeypatch.setattr(module, "JOIN_SECS", 0.01)
    monkeypatch.setattr(nvml, "nvmlDeviceGetPowerUsage", lambda _: hang.wait(PATIENCE))
    gpus = Gpus(nvml, 2.0)
    gpus.start()
    assert nvml.asked.wait(PATIENCE)
    gpus.stop()
    assert nvml.shut == 0
    hang.set()
    gpus._thread.join(PATIENCE)
    assert not gpus._thread.is_alive()


@pytest.mark.parametrize(
    ("environment", "uuids"),
    [
        ({}, ("GPU-aa", "GPU-ab", "GPU-c")),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ("GPU-c", "GPU-aa")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-c, GPU-ab"}, ("GPU-c", "GPU-ab")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a"}, ("",)),
        ({"CUDA_VISIBLE_DEVICES": "MIG-1/2"}, ("",)),
        ({"CUDA_VISIBLE_DEVICES": "7"}, ("",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
    ],
)
def test_gpus_are_numbered_as_cuda_does(environment: dict[str, str], uuids: tuple[str, ...]) -> None:
    assert visible([Gpu(uuid, "H200", None) for uuid in ("GPU-aa", "GPU-ab", "GPU-c")], environment) == uuids


def test_which_of_different_gpus_comes_first_is_known_only_if_cuda_is_told_an_order() -> None:
    different = [Gpu("GPU-a", "T4", None), Gpu("GPU-b", "H200", None)]
    assert visible(different, {}) == ("", "")
    assert visible(different, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ("GPU-a", "GPU-b")
    assert visible(different, {"CUDA_VISIBLE_DEVICES": "GPU-b"}) == ("GPU-b",)


def test_where_the_library_finds_nothing_there_are_no_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(missing=True))
    assert find(2.0, tmp_path / "nvidiactl") is None
    assert caplog.messages == []
    (tmp_path / "nvidiactl").touch()
    assert find(2.0, tmp_path / "nvidiactl") is None
    assert caplog.messages == ["there are no GPU metrics: Driver Not Loaded"]


def test_a_driver_without_the_package_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find(2.0, tmp_path / "nvidiactl") is None
    assert caplog.messages == []
    (tmp_path / "nvidiactl").touch()
    assert find(2.0, tmp_path / "nvidiactl") is None
    assert "nvidia-ml-py" in caplog.text


def test_the_gpus_that_the_library_finds_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    gpus = find(2.0)
    assert gpus is not None
    assert gpus.visible({}) == ("GPU-a", "GPU-b")


@pytest.mark.skipif(find_spec("pynvml") is None, reason="needs the package nvidia-ml-py")
@pytest.mark.skipif(not module.DRIVER.exists(), reason="needs an NVIDIA driver")
def test_a_real_gpu_tells_its_memory() -> None:
    gpus = find(2.0)
    assert gpus is not None
    gpus.read()
    found = told(gpus)
    assert all(value > 2**30 for value in found.values["nv_gpu_memory_total_bytes"].values())
    assert all(0 <= value <= 1 for value in found.values.get("nv_gpu_utilization", {}).values())

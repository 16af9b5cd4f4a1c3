"""What NVIDIA's library tells about the GPUs of this machine, and which of them a version runs on.

One thread reads it each interval, and only where there are GPUs: a driver may take long to answer, or for ever when a
GPU is gone, and a scrape must not wait for it. Figures that have become old are not told any more, nor those that a
GPU does not have.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from naiad.observability.exposition import Block, Family, labels

UTILIZATION = Family("nv_gpu_utilization", "gauge", "GPU utilization rate [0.0 - 1.0)")
MEMORY_TOTAL = Family("nv_gpu_memory_total_bytes", "gauge", "GPU total memory, in bytes")
MEMORY_USED = Family("nv_gpu_memory_used_bytes", "gauge", "GPU used memory, in bytes")
POWER_USAGE = Family("nv_gpu_power_usage", "gauge", "GPU power usage in watts")
POWER_LIMIT = Family("nv_gpu_power_limit", "gauge", "GPU power management limit in watts")
ENERGY = Family("nv_energy_consumption", "counter", "GPU energy consumption in joules since the Triton Server started")

_FIGURES: Mapping[Family, Callable[[Any, Any], float]] = {
    UTILIZATION: lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100,
    MEMORY_TOTAL: lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).total,
    MEMORY_USED: lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).used,
    POWER_USAGE: lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1000,
    POWER_LIMIT: lambda nvml, device: nvml.nvmlDeviceGetPowerManagementLimit(device) / 1000,
    ENERGY: lambda nvml, device: nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1000,
}

DRIVER = Path("/dev/nvidiactl")
"""There where the driver is loaded."""
OLD_SECS = 30.0
"""Age, beside five intervals, at which figures are not told any more."""
JOIN_SECS = 1.0
"""How long `stop` waits for a driver that does not answer."""

log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """One GPU. device: the library's handle."""

    uuid: str
    name: str
    device: Any


class Reading(NamedTuple):
    """At a moment of the clock: of each GPU, by uuid, what it has told."""

    at: float
    figures: Mapping[str, Mapping[Family, float]]


class Gpus:
    """Those of this machine: `start` and `stop`, both once. nvml: the module pynvml, initialised."""

    def __init__(self, nvml: Any, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = nvml
        self._interval = interval
        self._clock = clock
        self._gpus = [self._open(i) for i in range(nvml.nvmlDeviceGetCount())]
        self._energy_before: dict[str, float] = {}
        self._stopping = Event()
        self._reading = Reading(clock(), {})
        self._thread = Thread(target=self._work, name="naiad-gpus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs in the driver is left behind."""
        self._stopping.set()
        self._thread.join(JOIN_SECS)
        if not self._thread.is_alive():
            self._nvml.nvmlShutdown()

    def visible(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """The uuids of the GPUs as frameworks number them."""
        return visible(self._gpus, environment)

    def free(self, ordinal: int, environment: Mapping[str, str]) -> int | None:
        """Bytes that are free on the GPU that frameworks give this number; None where that cannot be known."""
        uuids = self.visible(environment)
        uuid = uuids[ordinal] if ordinal < len(uuids) else ""
        for gpu in self._gpus:
            if gpu.uuid == uuid:
                try:
                    return int(self._nvml.nvmlDeviceGetMemoryInfo(gpu.device).free)
                except self._nvml.NVMLError as error:
                    log.debug("GPU %s does not tell what is free: %s", uuid, error)
        return None

    def blocks(self) -> Iterable[Block]:
        reading = self._reading
        if self._clock() - reading.at > OLD_SECS + 5 * self._interval:
            return
        for family in _FIGURES:
            yield (
                family,
                [
                    family.sample(labels({"gpu_uuid": uuid}), figures[family])
                    for uuid, figures in reading.figures.items()
                    if family in figures
                ],
            )

    def read(self) -> None:
        """Take the figures; on the thread, or by a test."""
        self._reading = Reading(self._clock(), {gpu.uuid: self._figures(gpu) for gpu in self._gpus})

    def _work(self) -> None:
        self.read()
        while not self._stopping.wait(self._interval):
            self.read()

    def _open(self, index: int) -> Gpu:
        device = self._nvml.nvmlDeviceGetHandleByIndex(index)
        return Gpu(self._nvml.nvmlDeviceGetUUID(device), self._nvml.nvmlDeviceGetName(device), device)

    def _figures(self, gpu: Gpu) -> Mapping[Family, float]:
        figures = {}
        for family, read in _FIGURES.items():
            try:
                figures[family] = read(self._nvml, gpu.device)
            except (self._nvml.NVMLError, AttributeError) as error:  # an older library lacks functions
                log.debug("GPU %s does not tell %s: %s", gpu.uuid, family.name, error)
        if ENERGY in figures:
            figures[ENERGY] -= self._energy_before.setdefault(gpu.uuid, figures[ENERGY])
        return figures


def find(interval: float, driver: Path = DRIVER) -> Gpus | None:
    """The GPUs of this machine; None without any, or without what tells of them, which the log then says."""
    try:
        nvml = import_module("pynvml")
    except ModuleNotFoundError:
        if driver.exists():
            log.warning("there are no GPU metrics: the package nvidia-ml-py is missing (pip install 'naiad[gpu]')")
        return None
    try:
        nvml.nvmlInit()
        gpus = Gpus(nvml, interval)
    except nvml.NVMLError as error:
        if driver.exists():
            log.warning("there are no GPU metrics: %s", error)
        return None
    return gpus


def visible(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The uuids of the GPUs as CUDA numbers them, "" where that cannot be known.

    CUDA_VISIBLE_DEVICES names them by number or uuid. CUDA's own order is that of the bus, as here, only if it is
    asked for, or if all GPUs are alike.
    """
    in_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({gpu.name for gpu in gpus}) <= 1
    uuids = [gpu.uuid if in_order else "" for gpu in gpus]
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(uuids)
    return tuple(_chosen(entry.strip(), gpus, uuids) for entry in chosen.split(",") if entry.strip())


def _chosen(entry: str, gpus: Sequence[Gpu], uuids: Sequence[str]) -> str:
    if entry.isdigit():
        return uuids[int(entry)] if int(entry) < len(uuids) else ""
    named = [gpu.uuid for gpu in gpus if gpu.uuid.startswith(entry)]
    return named[0] if len(named) == 1 else ""

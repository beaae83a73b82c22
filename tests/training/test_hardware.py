"""GPU readings are those of the GPUs that the training uses, whatever else the machine has and some GPUs lack."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from opeddev_tui.training import hardware


class FakeNvml:
    """Two GPUs, which NVML counts the other way round than CUDA; the second one lacks some readings."""

    def __init__(self) -> None:
        self.loads = {"GPU-bbb": 71, "GPU-aaa": 4, "MIG-ccc": 9}

    def handle(self, uuid: str) -> str:
        if uuid not in self.loads:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def memory(self, handle: str) -> SimpleNamespace:
        if handle == "GPU-aaa":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(used=5, total=10)

    def use(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(gpu=self.loads[handle])

    def heat(self, _handle: str, _sensor: int) -> int:
        return 50

    def power(self, _handle: str) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let torch see the GPUs whose UUIDs are put into the list."""
    seen: list[str] = []
    fake = FakeNvml()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(seen))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(seen))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=seen[index]))
    for name, answer in (
        ("nvmlInit", lambda: None),
        ("nvmlDeviceGetHandleByUUID", fake.handle),
        ("nvmlDeviceGetMemoryInfo", fake.memory),
        ("nvmlDeviceGetUtilizationRates", fake.use),
        ("nvmlDeviceGetTemperature", fake.heat),
        ("nvmlDeviceGetPowerUsage", fake.power),
        ("nvmlDeviceGetName", lambda _handle: b"Fake GPU"),
    ):
        monkeypatch.setattr(pynvml, name, answer)
    hardware._gpus.cache_clear()
    yield seen
    hardware._gpus.cache_clear()


def test_the_gpu_that_cuda_counts_first_is_read_by_its_uuid(gpus: list[str]) -> None:
    gpus.append("bbb")
    found = hardware.sample()
    assert (found.gpu_percent, found.gpu_memory_used, found.gpu_memory_total, found.gpu_celsius) == (71, 5, 10, 50)
    assert [(gpu.index, gpu.uuid, gpu.name) for gpu in found.gpus] == [(0, "GPU-bbb", "Fake GPU")]


def test_all_gpus_that_are_used_are_read_and_one_missing_reading_drops_no_other(gpus: list[str]) -> None:
    gpus.extend(["bbb", "aaa"])
    first, second = hardware.sample().gpus
    assert (first.percent, first.memory_total, first.watts) == (71, 10, None)
    assert (second.index, second.percent, second.memory_total, second.celsius) == (1, 4, None, 50)


def test_the_part_of_a_divided_gpu_is_read(gpus: list[str]) -> None:
    gpus.append("ccc")
    assert [(gpu.uuid, gpu.percent) for gpu in hardware.sample().gpus] == [("MIG-ccc", 9)]


def test_a_gpu_that_nvml_does_not_know_is_left_out(gpus: list[str]) -> None:
    gpus.extend(["zzz", "aaa"])
    found = hardware.sample()
    assert [gpu.uuid for gpu in found.gpus] == ["GPU-aaa"]
    assert (found.gpu_percent, found.gpu_memory_total) == (4, None)


def test_without_a_gpu_there_are_no_readings_of_one(gpus: list[str]) -> None:
    assert gpus == []
    found: Any = hardware.sample()
    assert (found.gpus, found.gpu_percent, found.gpu_memory_total) == ((), None, None)
    assert found.ram_total > 0


def test_gpus_that_other_ranks_use_are_read_too_each_once(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.extend(["bbb", "aaa"])
    monkeypatch.setattr("platform.node", lambda: "node1")
    (other,) = hardware.used_by(0)
    assert (other.uuid, other.host, other.percent) == ("GPU-bbb", "node1", 71)
    assert hardware.used_by(2) == ()
    # rank 0 sees one of them itself; the other is on another machine
    hardware._gpus.cache_clear()
    gpus[:] = ["aaa"]
    monkeypatch.setattr("platform.node", lambda: "node0")
    again = hardware.used_by(0)
    found = hardware.sample([other, *again])
    assert [(gpu.uuid, gpu.host) for gpu in found.gpus] == [("GPU-aaa", ""), ("GPU-bbb", "node1")]

"""GPU readings are those of the GPUs that the training uses, whatever else the machine has and some GPUs lack."""

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch
from leftovers import ended

from opeddev_tui.training import hardware


class FakeNvml:
    """Two GPUs, which NVML counts the other way round than CUDA; the second one lacks some readings."""

    def __init__(self) -> None:
        # by handle, the processes that compute on a GPU
        self.running: dict[str, list[SimpleNamespace]] = {}
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

    def processes(self, handle: str) -> list[SimpleNamespace]:
        return self.running.get(handle, [])

    def power(self, _handle: str) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def fake() -> FakeNvml:
    return FakeNvml()


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, fake: FakeNvml) -> Iterator[list[str]]:
    """Let torch see the GPUs whose UUIDs are put into the list."""
    seen: list[str] = []
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
        ("nvmlDeviceGetComputeRunningProcesses", fake.processes),
        ("nvmlDeviceGetGraphicsRunningProcesses", lambda handle: fake.processes(handle)[:1]),
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


def holding(pid: int, memory: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


@pytest.fixture
def child() -> Iterator[int]:
    """A process that this one started, as a rank or a seed is."""
    with ended(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)) as process:
        yield process.pid


def test_other_processes_are_counted_with_their_memory(gpus: list[str], fake: FakeNvml, child: int) -> None:
    gpus.extend(["bbb", "aaa", "ccc"])
    # 1 is the parent of all, and no part of the training
    others = [holding(1, 30), holding(2**31 - 1, 12)]
    fake.running["GPU-bbb"] = [holding(os.getpid(), 5), holding(child, 7), *others]
    fake.running["GPU-aaa"] = [holding(os.getpid(), 5), holding(child, 7)]
    # a driver that does not tell how much
    fake.running["MIG-ccc"] = [holding(child, 7), *others, holding(3, None)]
    found = hardware.sample().gpus
    assert [(gpu.others, gpu.others_memory) for gpu in found] == [(2, 42), (0, None), (3, None)]


def test_where_the_training_is_not_among_the_processes_nothing_is_told(gpus: list[str], fake: FakeNvml) -> None:
    gpus.extend(["bbb", "aaa"])
    # as in a container, whose numbers of processes are not the machine's
    fake.running["GPU-bbb"] = [holding(1, 30)]
    assert [(gpu.others, gpu.others_memory) for gpu in hardware.sample().gpus] == [(0, None)] * 2


def test_a_driver_that_lists_no_processes_drops_no_other_reading(
    gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_handle: str) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    gpus.append("bbb")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    (found,) = hardware.sample().gpus
    assert (found.percent, found.others) == (71, 0)

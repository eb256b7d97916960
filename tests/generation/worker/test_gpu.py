"""Facts about GPUs, from NVML as its package answers, and from a machine that has none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from generation.worker import gpu

GIB = 2**30


class Nvml:
    """NVIDIA's `pynvml` as it answers on a machine with two GPUs and one that has fallen off the bus.

    Shapes as `nvidia-ml-py` 13 gives them: strings, bytes as whole numbers, structures with attributes.
    """

    class NVMLError(Exception): ...

    class NVMLError_NotSupported(NVMLError): ...  # noqa: N801  NVIDIA's name

    class NVMLError_GpuIsLost(NVMLError): ...  # noqa: N801

    def __init__(self, *, driver: bool = True) -> None:
        self.has_driver = driver
        self.count = 3
        self.asked: list[str] = []

    def nvmlInit(self) -> None:  # noqa: N802
        self.asked.append("init")
        if not self.has_driver:
            raise self.NVMLError("NVML Shared Library Not Found")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index == 2:
            raise self.NVMLError_GpuIsLost("GPU is lost")
        return 100 + index

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-0b7e1c5e-0000-0000-0000-00000000000{handle - 100}"

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return ["NVIDIA H100 80GB HBM3", "NVIDIA GB10"][handle - 100]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        if handle == 101:
            raise self.NVMLError_NotSupported("Not Supported")
        return SimpleNamespace(total=85520809984, free=53308555264, used=32212254720)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:  # noqa: N802
        return [
            SimpleNamespace(pid=41, usedGpuMemory=29 * GIB),
            SimpleNamespace(pid=42, usedGpuMemory=None),
            SimpleNamespace(pid=44, usedGpuMemory=GIB),
        ]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvml]:
    """Puts NVIDIA's package in its place."""
    fake = Nvml()
    monkeypatch.setitem(__import__("sys").modules, "pynvml", fake)
    gpu._nvml.cache_clear()
    yield fake
    gpu._nvml.cache_clear()


def test_gpus_are_found_by_index_and_by_uuid(nvml: Nvml) -> None:
    first, second = gpu.gpus()
    assert (first.index, first.name, first.total_mib, first.used_mib) == (
        0,
        "NVIDIA H100 80GB HBM3",
        81559,
        30720,
    )
    assert (second.index, second.total_mib, second.used_mib) == (1, None, None)  # it shares the main memory
    assert gpu.find("0") == gpu.find(first.uuid) == first
    assert gpu.in_use(0) == 30720
    assert gpu.in_use(1) is None
    assert gpu.in_use(2) is None
    assert nvml.asked == ["init"]


def test_what_a_process_holds(nvml: Nvml) -> None:
    assert gpu.used_by(0, {41}) == 29 * 1024
    assert gpu.used_by(0, {40, 41, 42, 44}) == 30 * 1024
    assert gpu.used_by(0, {42}) is None
    assert gpu.used_by(0, {43}) is None
    assert gpu.used_by(2, {41}) is None


def test_an_unknown_gpu_is_told_with_those_there_are(nvml: Nvml) -> None:
    with pytest.raises(gpu.UnknownGpu) as caught:
        gpu.find("7")
    said = str(caught.value)
    assert "no GPU 7" in said
    assert "0 (NVIDIA H100 80GB HBM3, 81559 MiB, GPU-0b7e" in said
    assert "1 (NVIDIA GB10, GPU-0b7e" in said


def test_a_worker_to_which_none_was_named_takes_the_only_one(nvml: Nvml) -> None:
    with pytest.raises(gpu.UnknownGpu, match=r"several GPUs; choose one with --gpu: 0 \(NVIDIA H100"):
        gpu.only_one()
    nvml.count = 1
    assert gpu.only_one() == gpu.find("0")
    nvml.count = 0
    assert gpu.only_one() is None


def test_what_is_started_sees_one_gpu_by_its_uuid(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    gpu.show_only(gpu.find("1"))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-0b7e1c5e-0000-0000-0000-000000000001"


def test_a_machine_whose_driver_does_not_answer_has_no_gpu(nvml: Nvml) -> None:
    nvml.has_driver = False
    assert gpu.gpus() == []
    assert (gpu.in_use(0), gpu.used_by(0, {1})) == (None, None)
    with pytest.raises(gpu.UnknownGpu, match="has no GPU that NVIDIA's driver knows"):
        gpu.find("0")


def test_this_machine_answers_whatever_it_has() -> None:
    gpu._nvml.cache_clear()
    for found in gpu.gpus():
        assert gpu.find(found.uuid).index == found.index
    with pytest.raises(gpu.UnknownGpu):
        gpu.find("GPU-that-nobody-has")

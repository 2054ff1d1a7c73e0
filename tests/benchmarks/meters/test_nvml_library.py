"""NVIDIA's binding behind our protocol; its functions are replaced, for this machine has no GPU."""

from collections.abc import Callable, Iterator
from typing import Any

import pynvml
import pytest

from benchmarks.meters.nvml_library import Gpu, NvmlAway, NvmlError, NvmlNotSupported, PynvmlLibrary


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise pynvml.NVMLError(code)

    return fail


POWER, ENERGY = pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
GPU, MODULE = pynvml.NVML_POWER_SCOPE_GPU, pynvml.NVML_POWER_SCOPE_MODULE


def field_values(known: dict[tuple[int, int], int]) -> Callable[..., Any]:
    """Answer with the value of a field and scope; one that is not known is not supported."""

    def answer(handle: object, fields: list[tuple[int, int]]) -> Any:
        values = (pynvml.c_nvmlFieldValue_t * 1)()
        if fields[0] not in known:
            values[0].nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
        elif fields[0][0] == ENERGY:
            values[0].value.ullVal = known[fields[0]]
        else:
            values[0].value.uiVal = known[fields[0]]
        return values

    return answer


class Card:
    """What the binding's functions say of one card."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.says("Init", lambda: None)
        self.says("Shutdown", lambda: None)
        self.says("DeviceGetCount", lambda: 1)
        self.says("DeviceGetHandleByIndex", lambda index: f"handle {index}")
        self.says("DeviceGetUUID", lambda handle: f"GPU-{handle[-1]}")
        self.says("DeviceGetName", lambda handle: "NVIDIA GeForce GTX 1080")
        self.says("DeviceGetMigMode", failing(pynvml.NVML_ERROR_NOT_SUPPORTED))
        self.says("DeviceGetArchitecture", lambda handle: pynvml.NVML_DEVICE_ARCH_PASCAL)
        self.says("DeviceGetTotalEnergyConsumption", failing(pynvml.NVML_ERROR_NOT_SUPPORTED))
        self.says("DeviceGetFieldValues", failing(pynvml.NVML_ERROR_NOT_SUPPORTED))
        self.says("DeviceGetPowerUsage", lambda handle: 43_210)
        self.says("DeviceGetTemperatureV", lambda handle, sensor: 61)

    def says(self, name: str, what: Callable[..., Any]) -> None:
        self._monkeypatch.setattr(pynvml, f"nvml{name}", what)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    return Card(monkeypatch)


@pytest.fixture
def library(card: Card) -> Iterator[PynvmlLibrary]:
    made = PynvmlLibrary()
    made.start()
    yield made
    made.shut_down()


class TestPynvmlLibrary:
    def test_knows_a_gtx_1080(self, library: PynvmlLibrary) -> None:
        assert library.gpus() == [Gpu("GPU-0", "NVIDIA GeForce GTX 1080", is_shared=False, is_newer_power=False)]
        assert library.power_mw("GPU-0") == 43_210
        assert library.temperature_c("GPU-0") == 61
        with pytest.raises(NvmlNotSupported, match="Not Supported"):
            library.energy_mj("GPU-0")

    @pytest.mark.parametrize(
        ("name", "architecture", "is_newer_power"),
        [
            ("NVIDIA GeForce RTX 2080", pynvml.NVML_DEVICE_ARCH_TURING, False),
            ("NVIDIA GeForce RTX 3090", pynvml.NVML_DEVICE_ARCH_AMPERE, True),
            ("NVIDIA A100-SXM4-40GB", pynvml.NVML_DEVICE_ARCH_AMPERE, False),
            ("NVIDIA A30", pynvml.NVML_DEVICE_ARCH_AMPERE, False),
            ("NVIDIA A3000", pynvml.NVML_DEVICE_ARCH_AMPERE, True),
            ("NVIDIA H100 PCIe", pynvml.NVML_DEVICE_ARCH_HOPPER, True),
        ],
    )
    def test_knows_whose_power_is_the_mean_of_a_second(
        self, card: Card, library: PynvmlLibrary, name: str, architecture: int, is_newer_power: bool
    ) -> None:
        card.says("DeviceGetName", lambda handle: name)
        card.says("DeviceGetArchitecture", lambda handle: architecture)

        assert [gpu.is_newer_power for gpu in library.gpus()] == [is_newer_power]

    def test_reads_the_power_of_a_moment_where_the_driver_has_it(self, card: Card, library: PynvmlLibrary) -> None:
        card.says("DeviceGetArchitecture", lambda handle: pynvml.NVML_DEVICE_ARCH_ADA)
        card.says("DeviceGetFieldValues", field_values({(POWER, GPU): 91_500}))

        assert [gpu.is_newer_power for gpu in library.gpus()] == [False]
        assert library.power_mw("GPU-0") == 91_500

    def test_does_not_take_a_refused_field_for_a_power(self, card: Card, library: PynvmlLibrary) -> None:
        card.says("DeviceGetArchitecture", lambda handle: pynvml.NVML_DEVICE_ARCH_ADA)
        card.says("DeviceGetFieldValues", field_values({}))

        assert [gpu.is_newer_power for gpu in library.gpus()] == [True]
        assert library.power_mw("GPU-0") == 43_210

    def test_reads_the_gpu_of_a_module_by_its_own_counter(self, card: Card, library: PynvmlLibrary) -> None:
        """The counter in the usual way is the module's, which is far beyond 32 bits after a day."""
        fields = {(POWER, GPU): 310_000, (POWER, MODULE): 480_000}
        counters = {(ENERGY, GPU): 30_000_000_000, (ENERGY, MODULE): 45_000_000_000}
        card.says("DeviceGetTotalEnergyConsumption", lambda handle: 45_000_000_000)
        card.says("DeviceGetFieldValues", field_values(fields | counters))
        library.gpus()

        assert (library.power_mw("GPU-0"), library.energy_mj("GPU-0")) == (310_000, 30_000_000_000)

    def test_refuses_a_module_that_cannot_be_told_from_its_gpu(self, card: Card, library: PynvmlLibrary) -> None:
        card.says("DeviceGetTotalEnergyConsumption", lambda handle: 45_000_000_000)
        card.says("DeviceGetPowerUsage", lambda handle: 480_000)
        card.says("DeviceGetFieldValues", field_values({(POWER, MODULE): 480_000}))
        library.gpus()

        with pytest.raises(NvmlNotSupported, match="whole module"):
            library.energy_mj("GPU-0")
        with pytest.raises(NvmlNotSupported, match="measure the machine at its plug"):
            library.power_mw("GPU-0")

    @pytest.mark.parametrize(
        ("mode", "is_shared"), [(pynvml.NVML_DEVICE_MIG_ENABLE, True), (pynvml.NVML_DEVICE_MIG_DISABLE, False)]
    )
    def test_knows_a_card_that_is_cut_into_instances(
        self, card: Card, library: PynvmlLibrary, mode: int, is_shared: bool
    ) -> None:
        card.says("DeviceGetMigMode", lambda handle: [mode, mode])

        assert [gpu.is_shared for gpu in library.gpus()] == [is_shared]

    def test_leaves_out_a_card_that_fell_off_the_bus(self, card: Card, library: PynvmlLibrary) -> None:
        card.says("DeviceGetCount", lambda: 2)
        card.says(
            "DeviceGetName",
            lambda handle: "GPU" if handle == "handle 1" else failing(pynvml.NVML_ERROR_GPU_IS_LOST)(),
        )

        assert [gpu.uuid for gpu in library.gpus()] == ["GPU-1"]

    def test_reads_the_temperature_with_an_older_driver(self, card: Card, library: PynvmlLibrary) -> None:
        card.says("DeviceGetTemperatureV", failing(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND))
        card.says("DeviceGetTemperature", lambda handle, sensor: 58)
        library.gpus()

        assert library.temperature_c("GPU-0") == 58

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, NvmlAway),
            (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, NvmlAway),
            (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, NvmlAway),
            (pynvml.NVML_ERROR_NOT_SUPPORTED, NvmlNotSupported),
            (pynvml.NVML_ERROR_GPU_IS_LOST, NvmlError),
        ],
    )
    def test_parts_errors_by_what_can_be_done(
        self, card: Card, library: PynvmlLibrary, code: int, kind: type[NvmlError]
    ) -> None:
        library.gpus()
        card.says("DeviceGetPowerUsage", failing(code))

        with pytest.raises(NvmlError) as caught:
            library.power_mw("GPU-0")

        assert type(caught.value) is kind

    def test_knows_no_card_by_a_wrong_uuid(self, library: PynvmlLibrary) -> None:
        with pytest.raises(NvmlError, match="GPU-7 is not there"):
            library.power_mw("GPU-7")

    def test_says_nothing_before_it_was_started(self) -> None:
        with pytest.raises(NvmlError, match="not started"):
            PynvmlLibrary().gpus()
        PynvmlLibrary().shut_down()

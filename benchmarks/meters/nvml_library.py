"""The little that we ask of NVIDIA's management library, with its errors parted by what can be done about them."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

NO_DRIVER_REMEDY = "load the NVIDIA driver of this kernel (nvidia-smi shows whether it works), or take the meter out"

_OWN_COUNTER_SHARE = 0.98  # a module's processor and memory use more than the rest, however long the driver is loaded
_GA100 = re.compile(r"\bA(100|800|30)\b")


class NvmlError(Exception):
    """The library or a GPU failed; it may recover."""


class NvmlAway(NvmlError):
    """The library or the driver is not there."""


class NvmlNotSupported(NvmlError):
    """This GPU does not offer the value."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the library knows it; `is_newer_power` says that its power is the mean of a whole second."""

    uuid: str
    name: str
    is_shared: bool
    is_newer_power: bool


class NvmlLibrary(Protocol):
    """What a meter and a thermometer need; every call but `shut_down` raises `NvmlError`."""

    def start(self) -> None:
        """Take hold of the driver, also again after `shut_down`."""

    def gpus(self) -> list[Gpu]:
        """Return the GPUs; one that fell off the bus is not among them."""

    def energy_mj(self, uuid: str) -> int:
        """Return the energy since the driver was loaded (mJ); raise `NvmlNotSupported` where there is none."""

    def power_mw(self, uuid: str) -> int:
        """Return the power (mW)."""

    def temperature_c(self, uuid: str) -> int:
        """Return the temperature of the chip (degrees Celsius)."""

    def shut_down(self) -> None:
        """Let go of the driver; harmless at any time."""


class PynvmlLibrary:
    """NVIDIA's own binding, imported when it is started: a machine without a GPU never loads it.

    A Grace-Hopper module holds a processor beside its GPU, and what is asked in the usual way may be the module's. Of
    such a card only what is asked of the GPU alone is told; RAPL or another meter may then be added to it.
    """

    def __init__(self) -> None:
        self._nvml: Any = None  # the module pynvml, which has no types
        self._handles: dict[str, Any] = {}  # pointers into the library
        self._instant: set[str] = set()  # the cards whose power can be had for a moment, not for a second
        self._in_module: dict[str, bool] = {}  # cards within a module, and whether their counter is their own

    def start(self) -> None:
        """Load the driver's library; see `NvmlLibrary`."""
        import pynvml

        self._nvml = pynvml
        with self._told():
            pynvml.nvmlInit()

    def gpus(self) -> list[Gpu]:
        """Find the GPUs; see `NvmlLibrary`."""
        nvml = self._nvml
        self._handles = {}
        found = []
        with self._told():
            count = nvml.nvmlDeviceGetCount()
        for index in range(count):
            with contextlib.suppress(NvmlError), self._told():
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                uuid = nvml.nvmlDeviceGetUUID(handle)
                self._handles[uuid] = handle
                name = nvml.nvmlDeviceGetName(handle)
                if self._instant_power_mw(handle) is not None:
                    self._instant.add(uuid)
                if self._field(handle, nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_POWER_SCOPE_MODULE):
                    self._in_module[uuid] = self._has_own_counter(handle)
                is_newer_power = uuid not in self._instant and self._is_newer_power(handle, name)
                found.append(Gpu(uuid, name, self._is_shared(handle), is_newer_power))
        return found

    def energy_mj(self, uuid: str) -> int:
        """Read the counter; see `NvmlLibrary`."""
        handle = self._handle(uuid)
        if uuid not in self._in_module:
            with self._told():
                return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        own_mj = self._counter_mj(handle, self._nvml.NVML_POWER_SCOPE_GPU) if self._in_module[uuid] else None
        if own_mj is None:
            raise NvmlNotSupported(f"the counter of GPU {uuid} is that of its whole module, processor included")
        return own_mj

    def power_mw(self, uuid: str) -> int:
        """Read the power; see `NvmlLibrary`."""
        if uuid in self._instant and (power_mw := self._instant_power_mw(self._handle(uuid))) is not None:
            return power_mw
        if uuid in self._in_module:
            raise NvmlNotSupported(
                f"GPU {uuid} tells only the power of its whole module, processor included: take the meter out, and "
                "measure the machine at its plug"
            )
        with self._told():
            return int(self._nvml.nvmlDeviceGetPowerUsage(self._handle(uuid)))

    def temperature_c(self, uuid: str) -> int:
        """Read the chip's temperature; see `NvmlLibrary`."""
        chip = self._nvml.NVML_TEMPERATURE_GPU
        try:
            with self._told():
                return int(self._nvml.nvmlDeviceGetTemperatureV(self._handle(uuid), chip))
        except NvmlNotSupported:  # a driver of before 2025
            with self._told():
                return int(self._nvml.nvmlDeviceGetTemperature(self._handle(uuid), chip))

    def shut_down(self) -> None:
        """Let go; see `NvmlLibrary`."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
        self._handles = {}

    def _handle(self, uuid: str) -> Any:
        if uuid not in self._handles:
            raise NvmlError(f"GPU {uuid} is not there")
        return self._handles[uuid]

    def _instant_power_mw(self, handle: Any) -> int | None:
        """Return the instantaneous power, which drivers of 2023 and later have; None where it is not offered."""
        value = self._field(handle, self._nvml.NVML_FI_DEV_POWER_INSTANT, self._nvml.NVML_POWER_SCOPE_GPU)
        return None if value is None else int(value.uiVal)

    def _counter_mj(self, handle: Any, scope: int) -> int | None:
        value = self._field(handle, self._nvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, scope)
        return None if value is None else int(value.ullVal)

    def _has_own_counter(self, handle: Any) -> bool:
        """Tell whether a card within a module counts its own energy; a driver may count the module's for both."""
        own_mj, module_mj = (
            self._counter_mj(handle, scope)
            for scope in (self._nvml.NVML_POWER_SCOPE_GPU, self._nvml.NVML_POWER_SCOPE_MODULE)
        )
        return own_mj is not None and module_mj is not None and own_mj < _OWN_COUNTER_SHARE * module_mj

    def _field(self, handle: Any, field_id: int, scope: int) -> Any:
        """Return one value of a card, or of a part of it or the module around it; None where it is not offered."""
        try:
            with self._told():
                field = self._nvml.nvmlDeviceGetFieldValues(handle, [(field_id, scope)])[0]
        except NvmlNotSupported:
            return None
        return field.value if field.nvmlReturn == self._nvml.NVML_SUCCESS else None

    def _is_shared(self, handle: Any) -> bool:
        """Tell whether the GPU is cut into instances (MIG), which have no power of their own."""
        try:
            with self._told():
                return bool(self._nvml.nvmlDeviceGetMigMode(handle)[0] == self._nvml.NVML_DEVICE_MIG_ENABLE)
        except NvmlNotSupported:
            return False

    def _is_newer_power(self, handle: Any, name: str) -> bool:
        """Ampere and newer give the mean of a second, except GA100, the chip of A100 and A30."""
        try:
            with self._told():
                is_ampere = self._nvml.nvmlDeviceGetArchitecture(handle) >= self._nvml.NVML_DEVICE_ARCH_AMPERE
        except NvmlNotSupported:
            return False
        return bool(is_ampere) and _GA100.search(name) is None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the binding's errors into ours."""
        nvml = self._nvml
        if nvml is None:
            raise NvmlError("the NVIDIA library was not started")
        try:
            yield
        except nvml.NVMLError as error:
            text = f"NVML: {error}"
            if error.value in {
                nvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                nvml.NVML_ERROR_DRIVER_NOT_LOADED,
                nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
                nvml.NVML_ERROR_NO_PERMISSION,
            }:
                raise NvmlAway(text) from error
            if error.value in {nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND}:
                raise NvmlNotSupported(text) from error
            raise NvmlError(text) from error

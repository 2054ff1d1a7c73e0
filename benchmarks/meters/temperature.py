"""Temperatures of processors (from the kernel's hwmon tree) and of NVIDIA GPUs, for the cooldown before an answer."""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.meters.nvml_library import NvmlAway, NvmlError, NvmlLibrary, PynvmlLibrary

DEFAULT_HWMON_ROOT = Path("/sys/class/hwmon")
PROCESSOR_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal"})

_MILLIDEGREES_PER_DEGREE = 1_000

TemperatureReader = Callable[[], Mapping[str, float | None]]
"""Returns degrees Celsius by sensor; None for a sensor that is there and cannot be read, which is not cold."""


class HwmonThermometer:
    """Reads every temperature of the processors' chips, found by the chips' names."""

    def __init__(self, root: Path = DEFAULT_HWMON_ROOT) -> None:
        self._root = root

    def __call__(self) -> dict[str, float | None]:
        """Return the temperatures (degrees Celsius) now; empty where the kernel shows no such chip."""
        temperatures: dict[str, float | None] = {}
        for chip in sorted(self._root.glob("hwmon*")):
            name = _text(chip / "name")
            if name not in PROCESSOR_CHIPS:
                continue
            for path in sorted(chip.glob("temp*_input")):
                place = path.name.removesuffix("_input")
                label = _text(chip / f"{place}_label") or place
                sensor = f"{name} {label}"
                if sensor in temperatures:  # a second socket
                    sensor = f"{sensor} ({chip.name})"
                temperatures[sensor] = _degrees(path)
        return temperatures


class NvmlThermometer:
    """Reads the chip's temperature of each NVIDIA GPU; a machine without a driver has no such sensor."""

    def __init__(self, library: NvmlLibrary | None = None) -> None:
        self._library = library or PynvmlLibrary()
        self._uuids: list[str] = []
        self._is_started = False

    def __call__(self) -> dict[str, float | None]:
        """Return the temperatures (degrees Celsius) now; a GPU that was there and is lost stays, as None."""
        if not self._is_started:
            try:
                self._library.start()
            except NvmlAway:  # no GPU at all, or one whose driver was unloaded
                return {f"gpu {uuid}": None for uuid in self._uuids}
            except NvmlError:
                return {f"gpu {uuid}": None for uuid in self._uuids} or {"gpu": None}
            self._is_started = True
        try:
            present = [gpu.uuid for gpu in self._library.gpus()]
        except NvmlError:
            self._is_started = False  # next time the library is started anew
            present = []
        self._uuids += [uuid for uuid in present if uuid not in self._uuids]
        return {f"gpu {uuid}": self._temperature_c(uuid) for uuid in self._uuids}

    def close(self) -> None:
        """Let go of the library."""
        self._library.shut_down()
        self._is_started = False

    def _temperature_c(self, uuid: str) -> float | None:
        try:
            return float(self._library.temperature_c(uuid))
        except NvmlError:
            return None


def read_all(readers: tuple[TemperatureReader, ...]) -> dict[str, float | None]:
    """Return what several readers say together."""
    return {sensor: value for reader in readers for sensor, value in reader().items()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf8", errors="replace").strip()
    except OSError:
        return ""


def _degrees(path: Path) -> float | None:
    try:
        return int(path.read_text(encoding="ascii")) / _MILLIDEGREES_PER_DEGREE
    except (OSError, ValueError):
        return None

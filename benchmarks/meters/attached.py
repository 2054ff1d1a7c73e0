"""What could measure on this machine, whether or not its row names it; for what is missing, why and the remedy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meters.base import MeterError, MeterUnavailable
from benchmarks.meters.configuration import ConfigurationError, MeterConfiguration
from benchmarks.meters.kinds import make_meter
from benchmarks.meters.mcp_port import find_board
from benchmarks.meters.nvml_library import NO_DRIVER_REMEDY, NvmlError, NvmlLibrary, PynvmlLibrary
from benchmarks.meters.powercap import DEFAULT_ROOT, find_zones, read_number
from benchmarks.meters.temperature import DEFAULT_HWMON_ROOT, HwmonThermometer, NvmlThermometer

_RAPL_REMEDY = "a virtual machine has none; in a container mount them: docs/measuring-machine.md"
_RAPL_PERMISSION_REMEDY = "install the rule for the group greenllm: docs/measuring-machine.md"
_SENSOR_REMEDY = "load the kernel's driver (coretemp, k10temp); a virtual machine has none"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: what it is, whether it can be used, what was seen or why not, and the remedy."""

    name: str
    is_there: bool
    detail: str
    remedy: str = ""


def look_around(
    *,
    powercap_root: Path = DEFAULT_ROOT,
    hwmon_root: Path = DEFAULT_HWMON_ROOT,
    nvml: NvmlLibrary | None = None,
    board: Callable[[], str] = find_board,
) -> list[Finding]:
    """Look for a wall meter by its USB id, RAPL zones, NVIDIA GPUs and temperature sensors."""
    library = PynvmlLibrary() if nvml is None else nvml
    return [_board(board), _rapl(powercap_root), *_gpus(library), _temperatures(hwmon_root, library)]


def try_meter(configuration: MeterConfiguration) -> Finding:
    """Open a configured meter, close it again, and say what came of it."""
    try:
        meter = make_meter(configuration)
        meter.open()
    except MeterUnavailable as error:
        return Finding(configuration.kind, False, error.reason, error.remedy)
    except MeterError as error:
        return Finding(configuration.kind, False, str(error), "try again; if it stays, plug the device in anew")
    except ConfigurationError as error:
        return Finding(configuration.kind, False, str(error), "correct the field meters of the machine in the admin")
    try:
        channels = ", ".join(f"{one.name} ({one.boundary}, {one.quality})" for one in meter.channels)
    finally:
        meter.close()
    return Finding(configuration.kind, True, channels)


def _board(board: Callable[[], str]) -> Finding:
    name = "wall meter MCP39F511N"
    try:
        return Finding(name, True, f"at {board()}")
    except MeterUnavailable as error:
        return Finding(name, False, error.reason, error.remedy)


def _rapl(root: Path) -> Finding:
    zones = find_zones(root)
    if not zones:
        return Finding("RAPL", False, f"no zones in {root}", _RAPL_REMEDY)
    unreadable = []
    for zone in zones:
        try:
            read_number(zone.path / "energy_uj")
        except (OSError, ValueError):
            unreadable.append(zone.name)
    if unreadable:
        return Finding("RAPL", False, f"may not read {', '.join(unreadable)} in {root}", _RAPL_PERMISSION_REMEDY)
    return Finding("RAPL", True, f"{', '.join(zone.name for zone in zones)} in {root}")


def _gpus(library: NvmlLibrary) -> list[Finding]:
    try:
        library.start()
        gpus = library.gpus()
    except NvmlError as error:
        return [Finding("NVIDIA GPU", False, str(error), NO_DRIVER_REMEDY)]
    finally:
        library.shut_down()
    if not gpus:
        return [Finding("NVIDIA GPU", False, "the driver shows no GPU", NO_DRIVER_REMEDY)]
    return [
        Finding("NVIDIA GPU", True, f"{gpu.name} {gpu.uuid}{', cut into instances' if gpu.is_shared else ''}")
        for gpu in gpus
    ]


def _temperatures(root: Path, library: NvmlLibrary) -> Finding:
    gpus = NvmlThermometer(library)
    try:
        seen = {**HwmonThermometer(root)(), **gpus()}
    finally:
        gpus.close()
    read = [f"{sensor} {value:.0f} °C" for sensor, value in seen.items() if value is not None]
    if read:
        return Finding("temperature sensors", True, ", ".join(read))
    return Finding("temperature sensors", False, "no temperature can be read; cooldown does not wait", _SENSOR_REMEDY)

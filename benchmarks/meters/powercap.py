"""The zones of the kernel's powercap tree, found by name, and which of them may be added up.

A zone is a folder with `name`, `energy_uj` (µJ, counts up and wraps) and `max_energy_range_uj`. Its own name
(`intel-rapl:0:1`) says only where it hangs: which zone is what differs from machine to machine. AMD's
processors (family 17h and later) are in the same tree under the same names.

    package-0        a socket                                   added up
      core, uncore   lie within the package                     shown
      dram           lies beside it, under the package's folder added up
    psys             the platform; holds the packages           shown, or everything, where it is asked for
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meters.base import Boundary

DEFAULT_ROOT = Path("/sys/class/powercap")
SAME_COUNTER_UJ = 2_000_000  # two looks a few ms apart at one counter; the counters of two dies are far apart

_NUMBER_LENGTH = 64  # bytes; more than 2 ** 64 has
_ZONE = re.compile(r"(?P<control>[a-z]+-rapl(?:-mmio|-tpmi)?)(?P<numbers>(?::\d+)+)")
_CONTROL = re.compile(r"[a-z]+-rapl(?:-mmio|-tpmi)?")
_DIE = re.compile(r"(package-\d+)-die-\d+")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: its place (`intel-rapl:0:1`), what it says it is (`dram`), and its folder."""

    place: str
    name: str
    path: Path

    @property
    def control(self) -> str:
        """Return which driver offers it: `intel-rapl`, or `intel-rapl-mmio` for the same counters again."""
        return self.place.partition(":")[0]

    @property
    def parent_place(self) -> str:
        """Return the place of the zone above it, empty for a zone at the top."""
        above, _, _ = self.place.rpartition(":")
        return above if ":" in above else ""


@dataclass(frozen=True, slots=True)
class CountedZone:
    """A zone with the name of its channel and what it means for a sum."""

    channel: str
    boundary: Boundary
    zone: Zone


def find_zones(root: Path) -> list[Zone]:
    """Return every zone once, whether the tree is flat, nested or both, without the second copy over MMIO."""
    found: dict[str, Zone] = {}
    _collect(root, found)
    zones = sorted(found.values(), key=lambda zone: [int(part) if part.isdigit() else 0 for part in _parts(zone)])
    return _without_copies(zones)


def plan_channels(zones: Sequence[Zone], *, is_psys_preferred: bool = False) -> list[CountedZone]:
    """Say of each zone what it counts for; a zone is never in a sum together with one that holds it.

    `psys` alone is the sum where it is preferred or where there is no package.
    """
    has_package = any(_is_package(zone) for zone in zones)
    has_psys = any(zone.name == "psys" for zone in zones)
    is_psys_counted = has_psys and (is_psys_preferred or not has_package)
    by_place = {zone.place: zone for zone in zones}
    planned = []
    taken: set[str] = set()
    for zone in zones:
        parent = by_place.get(zone.parent_place)
        if zone.name == "psys":
            is_counted = is_psys_counted
        else:
            is_counted = not is_psys_counted and (_is_package(zone) or zone.name == "dram")
        channel = _channel_name(zone, parent)
        if channel in taken:  # nobody promises that names differ
            channel = f"{channel}-{zone.place.replace(':', '-')}"
        taken.add(channel)
        planned.append(CountedZone(channel, Boundary.COMPONENT if is_counted else Boundary.PART, zone))
    return planned


def without_mirrors(zones: Sequence[Zone], values_uj: dict[str, int]) -> list[Zone]:
    """Leave out the dies that show their package's one counter again, with all that hangs below them.

    Early Threadripper and EPYC processors offer a zone for each die, all with the counter of the whole
    socket; Intel's processors of several dies have one counter for each. `values_uj` are the counters by
    place, read one after the other.
    """
    dropped: set[str] = set()
    kept: list[Zone] = []
    for zone in zones:
        die = _DIE.fullmatch(zone.name)
        value_uj = values_uj.get(zone.place)
        is_mirror = (
            die is not None
            and bool(value_uj)
            and any(
                (other := _DIE.fullmatch(earlier.name)) is not None
                and other[1] == die[1]
                and abs(values_uj.get(earlier.place, 0) - (value_uj or 0)) <= SAME_COUNTER_UJ
                for earlier in kept
            )
        )
        if is_mirror or zone.parent_place in dropped:
            dropped.add(zone.place)
        else:
            kept.append(zone)
    return kept


def read_number(path: Path) -> int:
    """Read a file that holds one whole number; raise `OSError`, or `ValueError` where it holds none."""
    return int(path.read_text(encoding="ascii"))


class NumberFile:
    """A file that holds one whole number and is kept open: reading it anew is then one call of the kernel's, not five.

    One that was removed, or put back by another, is opened anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def read(self) -> int:
        """Return the number now; raise `OSError`, or `ValueError` where there is none."""
        if self._descriptor >= 0 and not os.fstat(self._descriptor).st_nlink:
            self.close()
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.pread(self._descriptor, _NUMBER_LENGTH, 0))
        except OSError:
            self.close()  # what is left of a zone that went away stays broken; its successor has the same path
            raise

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _collect(folder: Path, found: dict[str, Zone]) -> None:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if _ZONE.fullmatch(entry.name):
            try:
                name = (entry / "name").read_text(encoding="ascii", errors="replace").strip()
            except OSError:
                continue
            if (entry / "energy_uj").exists():
                found.setdefault(entry.name, Zone(entry.name, name, entry))
            _collect(entry, found)
        elif _CONTROL.fullmatch(entry.name):
            _collect(entry, found)


def _without_copies(zones: Sequence[Zone]) -> list[Zone]:
    """Leave out zones over MMIO whose counters the other driver shows as well."""
    direct = {zone.name for zone in zones if not zone.control.endswith("-mmio") and not zone.parent_place}
    copies = {
        zone.place for zone in zones if zone.control.endswith("-mmio") and not zone.parent_place and zone.name in direct
    }
    return [zone for zone in zones if zone.place not in copies and not _hangs_below(zone, copies)]


def _hangs_below(zone: Zone, places: set[str]) -> bool:
    return any(zone.place.startswith(f"{place}:") for place in places)


def _is_package(zone: Zone) -> bool:
    return zone.name.startswith("package-") and not zone.parent_place


def _channel_name(zone: Zone, parent: Zone | None) -> str:
    if zone.name == "psys":
        return "psys"
    own = _UNFIT.sub("-", zone.name).strip("-") or "zone"
    above = "" if parent is None else f"{_UNFIT.sub('-', parent.name)}-"
    return f"cpu-{above}{own}"[:60]


def _parts(zone: Zone) -> list[str]:
    return [str(int(zone.control.endswith("-mmio"))), *zone.place.split(":")[1:]]

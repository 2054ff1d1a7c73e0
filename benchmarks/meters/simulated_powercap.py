"""A powercap tree of real files whose counters follow given courses of power: the twin of a processor's RAPL.

The tree carries a mark, so that a RAPL meter on it tells its readings as simulated.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meters.rapl import SIMULATED_MARK
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.units import MICROJOULES_PER_JOULE, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

DEFAULT_RANGE_UJ = 262_143_328_850  # of processors that count in steps of 61 µJ
RENEWAL_NS = NANOSECONDS_PER_MILLISECOND

_WIDTH = 24  # a value is always overwritten by one as long, in one piece


@dataclass(frozen=True)
class SimulatedZone:
    """A zone of the tree: its place (`intel-rapl:0:1`), its name, its course of power and its counter."""

    place: str
    name: str
    steps: Sequence[Step]
    range_uj: int = DEFAULT_RANGE_UJ
    begins_at_uj: int = 0


class SimulatedPowercap:
    """Writes the tree; the courses begin when `begins_at_ns` is reached and are repeated."""

    def __init__(self, root: Path, zones: Sequence[SimulatedZone], *, begins_at_ns: int) -> None:
        self._root = root
        self._zones = tuple(zones)
        self._courses = {zone.place: PowerCourse(zone.steps) for zone in zones}
        self._begins_at_ns = begins_at_ns
        root.mkdir(parents=True, exist_ok=True)
        (root / SIMULATED_MARK).touch()
        for zone in self._zones:
            folder = self.folder(zone)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(f"{zone.name}\n", encoding="ascii")
            (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n", encoding="ascii")
        self.advance_to(begins_at_ns)

    def folder(self, zone: SimulatedZone) -> Path:
        """Return a zone's folder; the tree is flat, as `/sys/class/powercap` is."""
        return self._root / zone.place

    def advance_to(self, at_ns: int) -> None:
        """Set every counter to what it shows at a moment; it was renewed at the latest whole millisecond."""
        elapsed_ns = max(0, at_ns - self._begins_at_ns) // RENEWAL_NS * RENEWAL_NS
        for zone in self._zones:
            used_j = self._courses[zone.place].energy_j(elapsed_ns / NANOSECONDS_PER_SECOND)
            value_uj = (zone.begins_at_uj + round(used_j * MICROJOULES_PER_JOULE)) % zone.range_uj
            _overwrite(self.folder(zone) / "energy_uj", value_uj)


def _overwrite(path: Path, value: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, f"{value}\n".rjust(_WIDTH).encode("ascii"), 0)
    finally:
        os.close(descriptor)

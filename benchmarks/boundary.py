"""Which channels make up the energy of a measurement: the wall meter is the machine, components lie below it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.energy import Integration
from benchmarks.units import MILLIWATTS_PER_WATT

# better kinds of energy first
QUALITIES_IN_ORDER = ("measured", "component", "estimated", "simulated", "missing")
MAX_WORDS_LENGTH = 200  # what a measurement's row has room for


@dataclass(frozen=True)
class IntegratedChannel:
    """One channel of one meter, integrated over a measurement.

    `scope` is `machine` where the channel sees the whole machine, `component` where it sees one component of
    it, `part` where another component already holds what it sees.
    """

    name: str
    meter: str
    scope: str
    quality: str
    integration: Integration
    is_shared: bool = False


@dataclass(frozen=True)
class BoundedEnergy:
    """The energy inside the boundary; None where a channel that belongs to it has a gap.

    It is gross: what the machine would have used anyway, idle, is in it, as the standard has it.
    """

    energy_j: float | None
    quality: str
    boundary: str
    counted: frozenset[str]
    is_low_precision: bool
    missing_reason: str
    is_shared: bool = False


@dataclass(frozen=True)
class IdleBaseline:
    """What the same channels saw while the machine did nothing."""

    power_mw: float
    counted: frozenset[str]
    quality: str


def energy_net_of_idle_j(bounded: BoundedEnergy, *, duration_s: float, baseline: IdleBaseline | None) -> float | None:
    """Return the gross energy less idle power times duration (J); None where either is not known.

    A baseline of other channels, or of another quality, does not belong to this energy and gives None. Below
    zero the answer used less than the machine does idle: the baseline was taken on another day, and the figure
    says so.
    """
    if bounded.energy_j is None or baseline is None:
        return None
    if (baseline.counted, baseline.quality) != (bounded.counted, bounded.quality):
        return None
    return bounded.energy_j - baseline.power_mw / MILLIWATTS_PER_WATT * duration_s


def draw_boundary(channels: Sequence[IntegratedChannel]) -> BoundedEnergy:
    """Return the energy of the best channel that sees the whole machine, or else the sum of the components.

    A component is never added to the machine that contains it, and a part of a component to nothing. An
    estimate of the machine gives way to components that a meter reads. A gap makes the energy missing, never
    smaller: neither do components stand in for a wall meter that was silent. Meters that read nothing at
    all make it missing as well.
    """
    counted = _counted(channels)
    if not counted:
        return BoundedEnergy(None, "missing", "", frozenset(), False, "No meter is attached to the machine.")
    names = frozenset(one.name for one in counted)
    boundary = _described(counted)
    gaps = [f"{one.name}: {one.integration.reason}" for one in counted if one.integration.energy_j is None]
    if gaps:
        return BoundedEnergy(None, "missing", boundary, names, False, "; ".join(gaps))
    energy_j = sum(one.integration.energy_j or 0.0 for one in counted)
    if energy_j <= 0:  # a counter that stands still: a cheap answer that nobody gave
        reason = f"{', '.join(sorted(names))}: {energy_j:g} J were read, which no computer at work uses"
        return BoundedEnergy(None, "missing", boundary, names, False, reason)
    return BoundedEnergy(
        energy_j=energy_j,
        quality=max((one.quality for one in counted), key=QUALITIES_IN_ORDER.index),
        boundary=boundary,
        counted=names,
        is_low_precision=any(one.integration.is_low_precision for one in counted),
        missing_reason="",
        is_shared=any(one.is_shared for one in counted),
    )


def _counted(channels: Sequence[IntegratedChannel]) -> list[IntegratedChannel]:
    machines = sorted(
        (one for one in channels if one.scope == "machine"),
        key=lambda one: (QUALITIES_IN_ORDER.index(one.quality), one.name),
    )
    components = [one for one in channels if one.scope == "component"]
    are_read = bool(components) and all(one.quality == "component" for one in components)
    if machines and not (machines[0].quality == "estimated" and are_read):
        return machines[:1]
    return components


def _described(counted: Sequence[IntegratedChannel]) -> str:
    """Say in words what the energy is the energy of, in at most 200 characters as long as names are short."""
    if counted[0].scope == "machine":
        return f"whole machine, by {counted[0].meter} ({counted[0].name})"
    told = "sum of components (no wall meter): "
    named = told + ", ".join(f"{one.name} by {one.meter}" for one in counted)
    if len(named) <= MAX_WORDS_LENGTH:
        return named
    meters = sorted({one.meter for one in counted})
    return told + ", ".join(f"{sum(one.meter == meter for one in counted)} by {meter}" for meter in meters)

"""Which channels make up the energy of a measurement: the wall meter is the machine, components lie below it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.energy import Integration

# better kinds of energy first
QUALITIES_IN_ORDER = ("measured", "component", "estimated", "simulated", "missing")


@dataclass(frozen=True)
class IntegratedChannel:
    """One channel of one meter, integrated over a measurement.

    `scope` is `machine` where the channel sees the whole machine, `component` where it sees a part of it.
    """

    name: str
    meter: str
    scope: str
    quality: str
    integration: Integration


@dataclass(frozen=True)
class BoundedEnergy:
    """The energy inside the boundary; None where a channel that belongs to it has a gap."""

    energy_j: float | None
    quality: str
    boundary: str
    counted: frozenset[str]
    is_low_precision: bool
    missing_reason: str


def draw_boundary(channels: Sequence[IntegratedChannel]) -> BoundedEnergy:
    """Return the energy of the best channel that sees the whole machine, or else the sum of the components.

    A component is never added to the machine that contains it. A gap makes the energy missing, never smaller,
    and so do meters that read nothing at all.
    """
    machines = sorted(
        (one for one in channels if one.scope == "machine"),
        key=lambda one: (QUALITIES_IN_ORDER.index(one.quality), one.name),
    )
    counted = machines[:1] or [one for one in channels if one.scope == "component"]
    if not counted:
        return BoundedEnergy(None, "missing", "", frozenset(), False, "No meter is attached to the machine.")
    names = frozenset(one.name for one in counted)
    if machines:
        boundary = f"whole machine, by {counted[0].meter} ({counted[0].name})"
    else:
        boundary = "sum of components: " + ", ".join(f"{one.name} by {one.meter}" for one in counted)
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
    )

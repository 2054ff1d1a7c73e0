"""Keep what was recorded between two marks: energy inside the boundary, its score, every channel, every sample."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from benchmarks.boundary import BoundedEnergy, IdleBaseline, draw_boundary, energy_net_of_idle_j
from benchmarks.models import Calibration, ChannelReading, Machine, Measurement, Study, StudyMeasurement
from benchmarks.scoring import apply_score, basis_of
from benchmarks.storing import Observation, integrate_observed, measurement_of, save_observed
from benchmarks.studying import StudyError, intensity_for

_BATCH = 500


def keep(
    *,
    seen: Observation,
    study: Study,
    purpose: str,
    answer_count: int = 1,
    bound: Callable[[Machine, BoundedEnergy], BoundedEnergy] = lambda _, drawn: drawn,
) -> Measurement:
    """Store a measurement of a study with its readings and traces; call it within a transaction.

    A response is scored, and has its energy net of idle where the study knows how much that is. Anything else
    is no functional unit and has no score. A span of several answers gives energy and time of each as their
    like part; readings and traces stay those of the whole span. `bound` may widen or refuse the boundary that
    the channels draw, as a router's needs.
    """
    if study.machine is None:
        raise StudyError(f"The study {study} has no machine; nothing can be measured.")
    channels = integrate_observed(seen)
    bounded = bound(study.machine, draw_boundary(channels))
    measurement = measurement_of(purpose=purpose, machine=study.machine, seen=seen, bounded=bounded)
    measurement.answer_count = answer_count
    if measurement.energy_j is not None:
        measurement.energy_j /= answer_count
    if measurement.time_reserved_s is not None:
        measurement.time_reserved_s /= answer_count
    if purpose == Measurement.Purpose.RESPONSE:
        intensity, source = study.carbon_intensity_gco2e_per_kwh, study.carbon_intensity_source
        if intensity is None:
            found = intensity_for(study.machine)
            intensity, source = found.gco2e_per_kwh, found.origin
        apply_score(measurement, basis_of(study.machine, intensity, source))
        measurement.net_energy_j = _net_j(measurement, bounded.counted, idle_baselines(study=study))
    save_observed(measurement=measurement, seen=seen, channels=channels, counted=bounded.counted)
    return measurement


def idle_baselines(*, study: Study) -> list[IdleBaseline]:
    """Return the idle powers that were measured for a study, before and after it, else its machine's calibration."""
    if not study.idle_baseline_s:
        calibrated = Calibration.objects.latest_idle_baseline(study.machine) if study.machine else None
        return [calibrated] if calibrated else []
    idle = StudyMeasurement.objects.filter(study=study, measurement__purpose=Measurement.Purpose.IDLE_BASELINE)
    taken = list(idle.select_related("measurement").order_by("pk"))
    counted = _counted(one.measurement for one in taken)
    return [
        IdleBaseline(power_mw=power_mw, counted=counted[one.measurement_id], quality=one.measurement.quality)
        for one in taken
        if (power_mw := one.mean_power_mw) is not None
    ]


def renew_net_energies(*, study: Study) -> int:
    """Compute the net energy of every response of a study anew from its idle baselines; return how many have one."""
    baselines = idle_baselines(study=study)
    measured = Measurement.objects.filter(response__study=study, energy_j__gt=0).order_by("pk").iterator(_BATCH)
    known = 0
    while batch := list(islice(measured, _BATCH)):
        counted = _counted(batch)
        for one in batch:
            one.net_energy_j = _net_j(one, counted[one.pk], baselines)
            known += one.net_energy_j is not None
        Measurement.objects.bulk_update(batch, ["net_energy_j"])
    return known


def _net_j(measurement: Measurement, counted: frozenset[str], baselines: Sequence[IdleBaseline]) -> float | None:
    """Return the energy net of the mean of those baselines that are of like boundary and quality, None without one."""
    bounded = BoundedEnergy(
        energy_j=measurement.energy_j,
        quality=measurement.quality,
        boundary=measurement.boundary,
        counted=counted,
        is_low_precision=measurement.is_low_precision,
        missing_reason=measurement.missing_reason,
    )
    nets = [
        energy_net_of_idle_j(bounded, duration_s=measurement.time_reserved_s or 0.0, baseline=one) for one in baselines
    ]
    known = [net for net in nets if net is not None]
    return sum(known) / len(known) if known else None


def _counted(measurements: Iterable[Measurement]) -> dict[int, frozenset[str]]:
    """Return the names of the channels that make up the energy of each measurement."""
    names: dict[int, set[str]] = {one.pk: set() for one in measurements}
    readings = ChannelReading.objects.filter(measurement__in=names, is_in_boundary=True)
    for measurement_id, channel in readings.values_list("measurement_id", "channel"):
        names[measurement_id].add(channel)
    return {pk: frozenset(found) for pk, found in names.items()}

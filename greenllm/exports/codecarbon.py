"""A study as CodeCarbon's emissions.csv: one run for each answer, in kg and kWh."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import iso3166

from benchmarks.models import ChannelReading, Study
from benchmarks.models.energy import Quality
from benchmarks.spreadsheets import harmless
from benchmarks.units import grams_to_kilograms, joules_to_kilowatt_hours
from greenllm.exports.answers import Answer, answers_in_chunks, readings_of

# CodeCarbon 3.3 writes these in this order and no others, and appends to a file only where they are the same
COLUMNS = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions", "emissions_rate", "cpu_power",
    "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed", "water_consumed",
    "country_name", "country_iso_code", "region", "cloud_provider", "cloud_region", "os", "python_version",
    "codecarbon_version", "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude", "latitude",
    "ram_total_size", "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
)  # fmt: skip
_BYTES_PER_GIBIBYTE = 1024**3  # CodeCarbon's ram_total_size is in these


@dataclass(frozen=True)
class _Energies:
    """What the channels of each part of a machine saw for one answer (J); None where none or not all of them did."""

    cpu: float | None
    gpu: float | None
    ram: float | None


def codecarbon_rows(study: Study) -> Iterator[tuple[object, ...]]:
    """Yield a row as `COLUMNS` has them for each finished answer; what is not known is None.

    `emissions` are the operational ones, energy times carbon intensity: CodeCarbon knows no embodied emissions.
    Each answer is a run of its own, because the rows of a run are running totals. The quality of the energy stands in
    `tracking_mode`, and that it is simulated in `project_name` too.
    """
    machine = _machine_columns(study)
    for chunk in answers_in_chunks(study):
        readings = readings_of(chunk)
        for answer in chunk:
            known = _answer_columns(study, answer, readings.get(answer.measurement_id or 0, ())) | machine
            yield tuple(_cell(known.get(name)) for name in COLUMNS)


def _cell(value: object) -> object:
    return harmless(value) if isinstance(value, str) else value


def _answer_columns(study: Study, answer: Answer, readings: Sequence[ChannelReading]) -> dict[str, object]:
    duration_s = answer.time_reserved_s
    emissions_g = answer.operational_emissions_gco2e
    emissions_kg = None if emissions_g is None else grams_to_kilograms(emissions_g)
    energies = _energies(answer, readings)
    simulated = " (simulated)" if answer.quality == Quality.SIMULATED else ""
    return {
        "timestamp": None if answer.finished_at is None else answer.finished_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "project_name": f"{study.name}/{answer.model}{simulated}",
        "run_id": str(answer.id_in(study)),
        "experiment_id": str(study.uuid),
        "duration": duration_s,
        "emissions": emissions_kg,
        "emissions_rate": _over(emissions_kg, duration_s),
        "cpu_power": _over(energies.cpu, duration_s),
        "gpu_power": _over(energies.gpu, duration_s),
        "ram_power": _over(energies.ram, duration_s),
        "cpu_energy": _kwh(energies.cpu),
        "gpu_energy": _kwh(energies.gpu),
        "ram_energy": _kwh(energies.ram),
        "energy_consumed": _kwh(answer.energy_j),
        "tracking_mode": f"machine, {answer.quality or Quality.MISSING.value}",
    }


def _machine_columns(study: Study) -> dict[str, object]:
    facts: Mapping[str, Any] = study.machine_snapshot  # Any: as it was stored when the study began
    zone = str(facts.get("zone", ""))
    country = iso3166.countries_by_alpha2.get(zone[:2].upper())
    memory_bytes = facts.get("memory_bytes")
    return {
        "country_name": country.name if country else None,
        "country_iso_code": country.alpha3 if country else None,
        "region": zone[3:] or None,
        "cpu_count": facts.get("cpu_count"),
        "cpu_model": facts.get("cpu_model") or None,
        "ram_total_size": memory_bytes / _BYTES_PER_GIBIBYTE if memory_bytes else None,
    }


def _energies(answer: Answer, readings: Sequence[ChannelReading]) -> _Energies:
    found: dict[str, list[float | None]] = {"cpu": [], "gpu": [], "ram": []}
    for reading in readings:
        part = _part_of(reading.channel)
        if part and reading.is_in_boundary:
            found[part].append(reading.energy_j)
    return _Energies(**{part: _whole(energies, answer.answer_count or 1) for part, energies in found.items()})


def _whole(energies: Sequence[float | None], answer_count: int) -> float | None:
    """Return the sum for one answer; a part that misses some of its energy has none."""
    known = [energy for energy in energies if energy is not None]
    return sum(energy / answer_count for energy in known) if known and len(known) == len(energies) else None


def _part_of(channel: str) -> str:
    """Return the part of a machine that a channel sees; nothing for a meter at the wall, which sees all of them."""
    if "dram" in channel:
        return "ram"
    return next((part for part in ("cpu", "gpu") if channel.startswith(f"{part}-")), "")


def _kwh(energy_j: float | None) -> float | None:
    return None if energy_j is None else joules_to_kilowatt_hours(energy_j)


def _over(amount: float | None, duration_s: float | None) -> float | None:
    return amount / duration_s if amount is not None and duration_s else None

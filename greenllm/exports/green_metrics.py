"""A study as CSV in the style of the Green Metrics Tool: its phase statistics, one phase for each answer."""

from collections.abc import Iterator, Sequence

from benchmarks.models import ChannelReading, Study
from benchmarks.spreadsheets import harmless
from benchmarks.units import MICROGRAMS_PER_GRAM, MICROJOULES_PER_JOULE, MICROSECONDS_PER_SECOND
from greenllm.exports.answers import Answer, answers_in_chunks, readings_of

# the tool's table `phase_stats`, and after it the quality, which it does not know
COLUMNS = ("run_id", "metric", "detail_name", "phase", "value", "type", "max_value", "min_value", "unit", "quality")
_TOTAL, _MEAN = "TOTAL", "MEAN"
_SYSTEM, _MACHINE = "[SYSTEM]", "[MACHINE]"
# the tool's names for what its own providers measure; others are named in its manner
_METERS = {
    "mcp": "psu_energy_ac_mcp_machine",
    "rapl": "cpu_energy_rapl_msr_component",
    "nvml": "gpu_energy_nvidia_nvml_component",
}
_Row = tuple[object, ...]


def green_metrics_rows(study: Study) -> Iterator[_Row]:
    """Yield the rows of each finished answer as `COLUMNS` has them: time (us), energy (uJ), power (mW), carbon (ug).

    The tool keeps whole numbers, so values are rounded to these units. What is missing has no row, as in the tool.
    """
    for chunk in answers_in_chunks(study):
        readings = readings_of(chunk)
        for answer in chunk:
            phase = harmless(f"{answer.sequence:03}_{answer.model} {answer.dataset}/{answer.prompt} {answer.repeat}")
            for row in _rows(answer, readings.get(answer.measurement_id or 0, ())):
                metric, detail, value, kind, unit, quality = row
                yield str(study.uuid), metric, harmless(detail), phase, value, kind, None, None, unit, quality


def _rows(answer: Answer, readings: Sequence[ChannelReading]) -> Iterator[tuple[str, str, int, str, str, str]]:
    quality = answer.quality or "missing"
    if answer.time_reserved_s is not None:
        duration_us = round(answer.time_reserved_s * MICROSECONDS_PER_SECOND)
        yield "phase_time_syscall_system", _SYSTEM, duration_us, _TOTAL, "us", quality
    if answer.energy_j is not None:
        energy_uj = round(answer.energy_j * MICROJOULES_PER_JOULE)
        yield "energy_greenllm_machine", _MACHINE, energy_uj, _TOTAL, "uJ", quality
    for reading in readings:
        metric = _METERS.get(reading.meter, f"energy_{reading.meter}_component")
        if reading.energy_j is not None:
            energy_uj = round(reading.energy_j / (answer.answer_count or 1) * MICROJOULES_PER_JOULE)
            yield metric, reading.channel, energy_uj, _TOTAL, "uJ", reading.quality
        if reading.mean_power_mw is not None:
            power = metric.replace("energy", "power")
            yield power, reading.channel, round(reading.mean_power_mw), _MEAN, "mW", reading.quality
    for metric, mass_g in (
        ("carbon_greenllm_machine", answer.operational_emissions_gco2e),
        ("embodied_carbon_share_machine", answer.embodied_emissions_gco2e),
    ):
        if mass_g is not None:
            yield metric, _MACHINE, round(mass_g * MICROGRAMS_PER_GRAM), _TOTAL, "ug", quality

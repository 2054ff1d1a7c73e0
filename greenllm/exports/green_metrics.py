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
# the tool's names for its own providers of what we measure; others are named in its manner
_PROVIDERS = {"mcp": "ac_mcp", "rapl": "rapl_msr", "nvml": "nvidia_nvml"}
_PARTS = {"cpu": "cpu", "gpu": "gpu", "dram": "memory"}  # by the first or last word of a channel
_OF_MACHINE = "psu_energy_greenllm_machine"  # where no single meter saw the whole machine
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
    whole = _whole(readings)
    if answer.energy_j is not None:
        yield whole, _MACHINE, round(answer.energy_j * MICROJOULES_PER_JOULE), _TOTAL, "uJ", quality
    for reading in readings:
        metric = metric_of(reading)
        detail = _MACHINE if metric == whole else reading.channel
        if reading.energy_j is not None and metric != whole:  # the whole is told above
            energy_uj = round(reading.energy_j / (answer.answer_count or 1) * MICROJOULES_PER_JOULE)
            yield metric, detail, energy_uj, _TOTAL, "uJ", reading.quality
        if reading.mean_power_mw is not None:
            power = metric.replace("_energy_", "_power_")
            yield power, detail, round(reading.mean_power_mw), _MEAN, "mW", reading.quality
    for metric, detail, mass_g in (
        (whole.replace("_energy_", "_carbon_"), _MACHINE, answer.operational_emissions_gco2e),
        ("embodied_carbon_share_machine", _SYSTEM, answer.embodied_emissions_gco2e),
    ):
        if mass_g is not None:
            yield metric, detail, round(mass_g * MICROGRAMS_PER_GRAM), _TOTAL, "ug", quality


def metric_of(reading: ChannelReading) -> str:
    """Return the tool's name for the energy of a channel: what of the machine, who measures it, how much it is of.

    The tool looks for `psu_energy_..._machine`, of which a phase has one, and for `..._energy_..._component`.
    """
    words = reading.channel.split("-")
    provider = _PROVIDERS.get(reading.meter, reading.meter)
    if reading.channel == "psys":
        return f"psu_energy_dc_{provider}_machine"
    if reading.meter == "mcp" and words[0] != "outlet":  # the channel of the board has any name
        return f"psu_energy_{provider}_machine"
    part = _PARTS.get(words[-1]) or _PARTS.get(words[0]) or ("psu" if words[0] == "machine" else words[0])
    return f"{part}_energy_{provider}_{'machine' if part == 'psu' else 'component'}"


def _whole(readings: Sequence[ChannelReading]) -> str:
    """Return the name for the energy of the answer: that of the meter which alone saw the machine, else one of ours."""
    counted = [metric_of(reading) for reading in readings if reading.is_in_boundary]
    return counted[0] if len(counted) == 1 and counted[0].endswith("_machine") else _OF_MACHINE

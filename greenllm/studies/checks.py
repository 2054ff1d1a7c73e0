"""What speaks for and against the figures of one response, as a list that a reader goes through at a glance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.models import ChannelReading, Measurement, Response, ResponseAttempt
from benchmarks.spread import MIN_COUNT_FOR_OUTLIERS


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: fine, not fine, or unknown (None), and what was found."""

    name: str
    is_fine: bool | None
    told: str


def checks_of(
    response: Response, *, readings: Sequence[ChannelReading], attempts: Sequence[ResponseAttempt], is_outlier: bool
) -> list[Check]:
    """Return the checks of a response in the order of measuring; none of one that was never measured."""
    measurement = response.measurement
    if measurement is None:
        return []
    return [
        _temperature(response, attempts),
        *_samples(measurement, readings),
        _company(measurement),
        *_repeats(response, measurement, is_outlier=is_outlier),
        _end(response),
    ]


def _temperature(response: Response, attempts: Sequence[ResponseAttempt]) -> Check:
    limit_c = response.study.cooldown_limit_c
    start_c = attempts[-1].start_temperature_c if attempts else None
    if start_c is None:
        return Check("Temperature at the start", None, "no sensor was read, so it may have started on a warm machine")
    told = f"hottest sensor {start_c:.0f}\u00a0°C, limit {limit_c:.0f}\u00a0°C"
    return Check("Temperature at the start", start_c <= limit_c, told)


def _samples(measurement: Measurement, readings: Sequence[ChannelReading]) -> Iterator[Check]:
    counted = [reading for reading in readings if reading.is_in_boundary]
    if not counted:
        yield Check("Samples", None, "no channel is kept, so nothing tells how well it was sampled")
        return
    fewest = min(reading.sample_count for reading in counted)
    yield Check("Enough samples", not measurement.is_low_precision, f"{fewest} of the channel with the fewest")
    gap_count = sum(reading.gap_count for reading in counted)
    coverage = min(reading.coverage for reading in counted)
    gaps = f"{gap_count} gap{'' if gap_count == 1 else 's'}" if gap_count else "none"
    yield Check("No gap", gap_count == 0, f"{gaps}; samples cover {100 * coverage:.0f}\u00a0% of the time at least")
    irregular = [reading.channel for reading in counted if reading.meter_facts.get("is_irregular")]
    told = f"irregular: {', '.join(irregular)}" if irregular else "in the meters' own rhythm"
    yield Check("Regular samples", not irregular, told)


def _company(measurement: Measurement) -> Check:
    told = "something else used the machine" if measurement.is_shared else "nothing else was seen to use the machine"
    return Check("Alone on the machine", not measurement.is_shared, told)


def _repeats(response: Response, measurement: Measurement, *, is_outlier: bool) -> Iterator[Check]:
    repeats = response.study.repeats
    if measurement.energy_j is None:
        yield Check("Like its repeats", None, "its energy is missing, so there is nothing to hold against the others")
    elif repeats < MIN_COUNT_FOR_OUTLIERS:
        told = f"{repeats} repeat{'' if repeats == 1 else 's'}; from {MIN_COUNT_FOR_OUTLIERS} on outliers can be told"
        yield Check("Like its repeats", None, told)
    else:
        told = "far from their median" if is_outlier else f"within the usual spread of {repeats}"
        yield Check("Like its repeats", not is_outlier, told)
    if measurement.answer_count > 1:
        other_count = response.differing_text_count
        told = f"{other_count} of {measurement.answer_count - 1} further answers said something else"
        yield Check("Same text back to back", other_count == 0, told if other_count else "every time the same")


def _end(response: Response) -> Check:
    if not response.done_reason:
        return Check("Came to its end", None, "the server did not say why it ended")
    if response.done_reason == "length":
        told = f"cut off at {response.parameter_set.num_predict} tokens"
        return Check("Came to its end", is_fine=False, told=told)
    return Check("Came to its end", response.done_reason == "stop", f"ended: {response.done_reason}")

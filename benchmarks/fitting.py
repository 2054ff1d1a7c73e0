"""Fit how the energy of each deployment's answers grows with their lengths, from what studies measured."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.db.models.functions import Length

from benchmarks.energy import integrate
from benchmarks.energy_fit import (
    Answered,
    LengthFit,
    TooFewAnswers,
    fit_lengths,
    load_duration_s,
    load_waits_s,
    mean_power_w,
)
from benchmarks.meters.configuration import readings_period_ns
from benchmarks.models import (
    ChannelReading,
    Deployment,
    EnergyFit,
    EnergyTrace,
    InferenceServer,
    Response,
    ResponseAttempt,
    Study,
)
from benchmarks.models.energy import Quality
from benchmarks.traces import PackedTrace, TraceError, unpack

MOST_ANSWERS = 5000  # the latest ones
MOST_TRACED = 500  # unpacking samples takes about a millisecond an answer
LEAST_PHASE_SAMPLES = 3  # wholly inside a phase; fewer say little of it

_QUALITIES = (Quality.MEASURED, Quality.COMPONENT, Quality.ESTIMATED, Quality.SIMULATED)


@dataclass(frozen=True)
class MeasuredAnswer:
    """One measured answer with what places its phases on the machine's monotonic clock, all in ns."""

    response_id: int
    measurement_id: int
    characters: int
    prompt_tokens: int
    output_tokens: int
    energy_j: float
    time_s: float
    quality: str
    answer_count: int
    started_ns: int | None
    load_ns: int | None
    prompt_eval_ns: int | None
    eval_ns: int | None
    first_token_ns: int | None


def fit_energy(*, deployment: Deployment, now: datetime) -> EnergyFit:
    """Fit a deployment's answers of the best quality that it has, and store the fit; older fits stay as history.

    Raises:
        TooFewAnswers: fewer than eight of its answers have an energy and token counts.
    """
    answers = measured_answers(deployment=deployment, most=MOST_ANSWERS)
    phases = _phases(answers[:MOST_TRACED])
    found = fit_lengths(
        [
            Answered(
                one.characters, one.prompt_tokens, one.output_tokens, one.energy_j, *phases.get(one.measurement_id, ())
            )
            for one in answers
        ]
    )
    waits = _load_waits_s(deployment)
    load_s, power_w = load_duration_s(waits), mean_power_w([(one.energy_j, one.time_s) for one in answers])
    return EnergyFit.objects.create(
        deployment=deployment,
        fitted_at=now,
        quality=answers[0].quality,
        load_count=len(load_waits_s(waits)),
        load_duration_s=load_s,
        load_energy_j=load_s * power_w if load_s and power_w else None,
        **_columns(found),
    )


def fit_after_study(*, study: Study, now: datetime) -> list[EnergyFit]:
    """Fit anew every deployment that a study asked; one with too few answers stays as it is."""
    made = []
    for deployment in Deployment.objects.of_models().filter(studies=study).order_by("pk"):
        try:
            made.append(fit_energy(deployment=deployment, now=now))
        except TooFewAnswers:
            continue
    return made


def measured_answers(*, deployment: Deployment, most: int) -> list[MeasuredAnswer]:
    """Return a deployment's latest answers with token counts and an energy of the best quality that it has."""
    known = (
        Response.objects.finished()
        .filter(
            deployment=deployment,
            measurement__energy_j__gt=0,
            prompt_token_count__gt=0,
            output_token_count__gt=0,
        )
        .exclude(study__kind__in=[Study.Kind.ROUTER, Study.Kind.IMPORTED])
    )
    there = set(known.values_list("measurement__quality", flat=True).distinct().order_by())
    quality = next((one for one in _QUALITIES if one in there), None)
    rows = known.filter(measurement__quality=quality).order_by("-pk")[:most]
    return [
        MeasuredAnswer(*row)
        for row in rows.values_list(
            "pk",
            "measurement_id",
            Length("prompt__text"),
            "prompt_token_count",
            "output_token_count",
            "measurement__energy_j",
            F("measurement__time_reserved_s"),
            "measurement__quality",
            "measurement__answer_count",
            "measurement__started_monotonic_ns",
            "load_duration_ns",
            "prompt_eval_duration_ns",
            "eval_duration_ns",
            "time_to_first_token_ns",
        )
    ]


def _phases(answers: Sequence[MeasuredAnswer]) -> dict[int, tuple[float | None, float | None]]:
    """Return the energies (J) of prefill and decode by measurement, where the samples show them. Two queries."""
    placed = {one.measurement_id: marks for one in answers if (marks := _marks(one)) is not None}
    traces: dict[int, dict[str, PackedTrace]] = defaultdict(dict)
    for trace in EnergyTrace.objects.filter(measurement__in=placed).order_by("pk"):
        traces[trace.measurement_id][trace.channel] = trace.packed()
    counted: dict[int, dict[str, str]] = defaultdict(dict)
    readings = ChannelReading.objects.filter(measurement__in=placed, is_in_boundary=True)
    for measurement_id, channel, meter in readings.values_list("measurement_id", "channel", "meter").order_by("pk"):
        counted[measurement_id][channel] = meter
    return {
        measurement_id: (
            _energy_between(traces[measurement_id], counted[measurement_id], began, turned),
            _energy_between(traces[measurement_id], counted[measurement_id], turned, ended),
        )
        for measurement_id, (began, turned, ended) in placed.items()
    }


def _marks(one: MeasuredAnswer) -> tuple[int, int, int] | None:
    """Return when prefill began, gave way to decode, and decode ended; None where the server told too little.

    The client saw the first token; where it did not, the server's durations are laid one after the other.
    """
    if one.started_ns is None or one.prompt_eval_ns is None or one.eval_ns is None or one.answer_count > 1:
        return None
    turned = one.started_ns + (one.first_token_ns or (one.load_ns or 0) + one.prompt_eval_ns)
    return max(one.started_ns, turned - one.prompt_eval_ns), turned, turned + one.eval_ns


def _energy_between(
    traces: dict[str, PackedTrace], channels: Mapping[str, str], start_ns: int, stop_ns: int
) -> float | None:
    """Return the energy (J) of the channels of the boundary between two moments, None where they do not show it.

    `channels` have their meters.
    """
    energies = [
        _channel_energy(traces[name], meter, start_ns, stop_ns) if name in traces else None
        for name, meter in channels.items()
    ]
    known = [energy for energy in energies if energy is not None]
    return sum(known) if known and len(known) == len(energies) else None


def _channel_energy(trace: PackedTrace, meter: str, start_ns: int, stop_ns: int) -> float | None:
    try:
        readings = unpack(trace)
    except TraceError:
        return None
    inside = sum(start_ns <= one.begins_at_ns and one.at_ns <= stop_ns for one in readings)
    if inside < LEAST_PHASE_SAMPLES:
        return None
    period_ns = readings_period_ns(meter, period_ns=trace.period_ns, window_ns=trace.window_ns)
    return integrate(readings, start_ns, stop_ns, period_ns, quantity=trace.quantity).energy_j


def _load_waits_s(deployment: Deployment) -> list[float]:
    """Return how long studies waited for the model to be in memory; only Ollama loads without generating."""
    if deployment.server.kind != InferenceServer.Kind.OLLAMA:
        return []
    waits = ResponseAttempt.objects.filter(response__deployment=deployment, load_wait_s__isnull=False)
    return [wait for wait in waits.order_by("-pk").values_list("load_wait_s", flat=True)[:MOST_ANSWERS] if wait]


def _columns(found: LengthFit) -> dict[str, float | int | str | None]:
    return {name: getattr(found, name) for name in LengthFit.__dataclass_fields__}

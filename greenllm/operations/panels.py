"""What the operations page shows: a chart, its numbers as a table, and the same numbers for CSV. Pure of requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from benchmarks.moments import written_day, written_moment
from greenllm.charts import Chart, in_words
from greenllm.dashboards.sheets import Sheet, Value, joined
from greenllm.operations import figures
from greenllm.operations.calibration import by_step, calibrations, carbon_calibrations
from greenllm.operations.reading import (
    CarbonPoint,
    Names,
    SavingPoint,
    carbon_over_time,
    latencies,
    names,
    routed_shares,
    saving_over_time,
)
from greenllm.operations.spans import GROUPS, Asked, Span
from greenllm.templatetags.figures import NONE, milligrams, percent, percent_interval, signed, significant

_PARTS = {
    "decision": "Deciding",
    "first_token": "Server: first token",
    "upstream": "Server: whole answer",
    "total": "Whole request",
}
_HEAT_LEVELS = 5


@dataclass(frozen=True)
class Look:
    """What a reader asked for, and the names of what there is."""

    asked: Asked
    known: Names

    @property
    def span(self) -> Span:
        """Return the time that is looked at."""
        return self.asked.span

    @cached_property
    def savings(self) -> list[SavingPoint]:
        """Return what was saved against the baseline that was asked for, over time; the panel and the sums read it."""
        return saving_over_time(self.asked.baseline, self.span)


@dataclass(frozen=True)
class Shown:
    """One cell of a table: words, what stands small beneath them, and how dark it is (0 to 5).

    `value` is what a table sorts it by, None where there is no number; `qualities` are those of the energies in it.
    """

    text: str
    under: str = ""
    heat: int = 0
    value: float | None = None
    qualities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One part of the page; without a chart there is nothing to show, and `empty` says what would bring it."""

    slug: str
    title: str
    hint: str
    chart: Chart | None
    header: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    sheet: Sheet
    empty: str


def routed(look: Look) -> Panel:
    """Return which share of each category went to which model."""
    counts = routed_shares(look.span, look.known)
    categories = sorted({category for category, _ in counts})
    models = sorted(
        {model for _, model in counts}, key=lambda one: (-sum(counts.get((c, one), 0) for c in categories), one)
    )
    sums = {name: sum(counts.get((name, model), 0) for model in models) for name in categories}
    rows = tuple(
        (Shown(name, f"n = {sums[name]:,}"), *(_share(counts.get((name, model), 0), sums[name]) for model in models))
        for name in categories
    )
    sheet = Sheet(
        ("category", "model", "prompts", "share", "n"),
        tuple((c, m, n, n / sums[c] if sums[c] else None, sums[c]) for (c, m), n in sorted(counts.items())),
    )
    size = f"{in_words(len(categories), 'category', 'categories')} over {in_words(len(models), 'model')}"
    chart = Chart(
        "routed-share",
        "Where prompts of each category went",
        f"Stacked bars of {size}; see the table.",
        figures.shares(categories, models, counts),
    )
    return Panel(
        "routed-share", "Routed share", "Prompts that the router decided on; those whose caller named the model are "
        "left out. The category is that of the nearest known prompt.", chart if counts else None,
        ("Category", *models), rows, sheet,
        "No prompt was routed in this time. Ask the model auto, at the page Chat or through the endpoint.",
    )  # fmt: skip


def carbon(look: Look) -> Panel:
    """Return the predicted carbon over time, parted as asked for."""
    points = carbon_over_time(look.asked, look.span, look.known)
    groups = _largest_first(points)
    drawn = figures.carbon(
        [_iso(one.at) for one in points], {name: [one.gco2e.get(name, 0.0) for one in points] for name in groups}
    )
    rows = tuple(
        (_time(one.at, look.span),
         _mass(sum(one.gco2e.values()), sum(one.counts.values()), one.all_qualities),
         *(_mass(one.mass_g(name), one.counts.get(name, 0), _qualities(one, name)) for name in groups))
        for one in points
    )  # fmt: skip
    sheet = Sheet(
        ("begins_at", GROUPS[look.asked.group].lower(), "predicted_gco2e", "n", "quality"),
        tuple(
            (_iso(one.at), name, one.mass_g(name), one.counts[name], joined(_qualities(one, name)))
            for one in points
            for name in sorted(one.gco2e)
        ),
    )
    chart = Chart(
        "carbon", "Predicted carbon over time, mgCO₂e", f"Stacked bars of {in_words(len(points), 'step')}.", drawn
    )
    return Panel(
        "carbon", f"Carbon by {GROUPS[look.asked.group].lower()}", "SCI that decisions expected of the chosen models, "
        "summed up; n counts the decisions that had one. A missing SCI is left out and never zero.",
        chart if any(sum(one.counts.values()) for one in points) else None,
        ("Time", "All (mgCO₂e)", *(f"{name} (mgCO₂e)" for name in groups)), rows, sheet,
        "No decision of this time had an expected SCI: measure a study and build an index.",
    )  # fmt: skip


def saved(look: Look) -> Panel:
    """Return what was saved against the baseline that was asked for, over time."""
    points = look.savings
    drawn = figures.saving(
        [_iso(one.at) for one in points],
        [one.saving.chosen_gco2e for one in points],
        [one.saving.baseline_gco2e for one in points],
    )
    sheet = Sheet(
        ("begins_at", "n", "chosen_gco2e", "baseline_gco2e", "saved_gco2e", "saved_share", "quality"),
        tuple(_saving_values(one) for one in points),
    )
    chart = Chart(
        "saving", "Chosen models beside the baseline, mgCO₂e", f"Two lines over {in_words(len(points), 'step')}.", drawn
    )
    return Panel(
        "saving", "Saving against the baseline", "Over the decisions in which both the choice and the baseline had an "
        "SCI of the same quality. Discarded runs are charged to the choice.", chart if points else None,
        ("Time", "Chosen (mgCO₂e)", "Baseline (mgCO₂e)", "Saved (mgCO₂e)", "Saved"),
        tuple(_saving_row(one, look.span) for one in points), sheet,
        "No decision of this time can be compared with this baseline. Choose another baseline, or a longer time.",
    )  # fmt: skip


def latency(look: Look) -> Panel:
    """Return how long the parts of answering took."""
    found = [one for one in latencies(look.span) if one.n]
    drawn = figures.latency(
        [_PARTS[one.part] for one in found], [one.median_ms for one in found], [one.p95_ms for one in found]
    )
    rows = tuple(
        (
            Shown(_PARTS[one.part], f"n = {one.n:,}"),
            *(Shown(_ms(ms), value=ms) for ms in (one.mean_ms, one.median_ms, one.p95_ms)),
        )
        for one in found
    )
    sheet = Sheet(
        ("part", "n", "mean_ms", "median_ms", "p95_ms"),
        tuple((one.part, one.n, one.mean_ms, one.median_ms, one.p95_ms) for one in found),
    )
    chart = Chart("latency", "How long each part takes", "Two bars for each part; see the table.", drawn)
    return Panel(
        "latency", "Latency",
        "Measured by the endpoint itself; percentiles come from logarithmic buckets and are off by "
        "less than a tenth. What the whole request takes beyond deciding and the server is waiting for the server's "
        "turn and the endpoint's own work.", chart if found else None,
        ("Part", "Mean (ms)", "Median (ms)", "95th percentile (ms)"), rows, sheet,
        "No request of this time was answered.",
    )  # fmt: skip


def calibration(look: Look) -> Panel:
    """Return how the probabilities of decisions stood beside verdicts."""
    found = calibrations(look.span)
    steps = by_step(found)
    drawn = figures.calibration(
        [_iso(at) for at in steps], [one.supposed for one in steps.values()], [one.right for one in steps.values()]
    )
    rows = tuple(
        (
            _time(one.at, look.span, f"version {one.version_id}" if one.version_id else "no version"),
            Shown(percent(one.supposed), f"n = {one.n:,}", value=one.supposed),
            Shown(
                percent(one.right.value if one.right else None),
                percent_interval(one.right),
                value=one.right.value if one.right else None,
            ),
            Shown(f"{signed(100 * one.drift, 1)} points", value=one.drift),
        )
        for one in found
    )
    sheet = Sheet(
        ("begins_at", "policy_version", "n", "told_probability", "right_share", "drift"),
        tuple((_iso(o.at), o.version_id, o.n, o.supposed, o.right_count / o.n, o.drift) for o in found),
    )
    chart = Chart(
        "calibration", "Probability told beside share right", f"Two lines over {in_words(len(steps), 'step')}.", drawn
    )
    return Panel(
        "calibration", "Calibration drift", "Decisions on prompts whose answers are judged: known prompts of "
        "comparisons, and kept answers of live traffic. Above 0 the router promises more than comes true.",
        chart if found else None, ("Time", "Told", "Right", "Drift"), rows, sheet,
        "No decision of this time was on a prompt that is judged. Run manage.py compare, or judge kept live answers.",
    )  # fmt: skip


def carbon_calibration(look: Look) -> Panel:
    """Return how predicted SCI stood beside what was measured of live requests."""
    found = carbon_calibrations(look.span)
    drawn = figures.saving(
        [_iso(one.at) for one in found], [one.predicted_gco2e for one in found], [one.measured_gco2e for one in found]
    )
    for trace, name in zip(drawn["data"], ("Measured", "Predicted"), strict=True):
        trace["name"] = name
    rows = tuple(
        (_time(one.at, look.span),
         Shown(milligrams(one.predicted_gco2e), f"n = {one.n:,}", value=one.predicted_gco2e),
         Shown(milligrams(one.measured_gco2e), value=one.measured_gco2e, qualities=tuple(one.qualities)),
         Shown(NONE if one.ratio is None else f"{one.ratio:.2f}", value=one.ratio))
        for one in found
    )  # fmt: skip
    sheet = Sheet(
        ("begins_at", "n", "predicted_gco2e", "measured_gco2e", "quality"),
        tuple((_iso(o.at), o.n, o.predicted_gco2e, o.measured_gco2e, " ".join(o.qualities)) for o in found),
    )
    chart = Chart(
        "carbon-calibration", "Predicted beside measured carbon, mgCO₂e", f"{in_words(len(found), 'step')}.", drawn
    )
    return Panel(
        "carbon-calibration", "Predicted against measured carbon", "Live requests that were measured, where the "
        "prediction rests on energy of the same quality.", chart if found else None,
        ("Time", "Predicted (mgCO₂e)", "Measured (mgCO₂e)", "Predicted by measured"), rows, sheet,
        "No live request of this time was measured. The setting GREENLLM_MEASURE_EVERY has some measured.",
    )  # fmt: skip


Maker = Callable[[Look], Panel]
PANELS: dict[str, Maker] = {
    "routed-share": routed,
    "carbon": carbon,
    "saving": saved,
    "latency": latency,
    "calibration": calibration,
    "carbon-calibration": carbon_calibration,
}


def look_of(asked: Asked) -> Look:
    """Return what the parts of the page share."""
    return Look(asked, names())


def panels(look: Look) -> list[Panel]:
    """Return every part of the page."""
    return [make(look) for make in PANELS.values()]


def panel_sheet(slug: str, asked: Asked) -> Sheet:
    """Return the numbers of one part."""
    return PANELS[slug](look_of(asked)).sheet


def _largest_first(points: Sequence[CarbonPoint]) -> list[str]:
    found = {name for one in points for name in one.gco2e}
    return sorted(found, key=lambda name: (-sum(one.gco2e.get(name, 0.0) for one in points), name))


def _qualities(point: CarbonPoint, name: str) -> tuple[str, ...]:
    return tuple(sorted(point.qualities.get(name, ()))) or ("missing",)


def _saving_values(one: SavingPoint) -> tuple[Value, ...]:
    saving = one.saving
    return (
        _iso(one.at), saving.n, saving.chosen_gco2e, saving.baseline_gco2e, saving.saved_gco2e, saving.share,
        joined(saving.qualities),
    )  # fmt: skip


def _saving_row(one: SavingPoint, span: Span) -> tuple[Shown, ...]:
    saving = one.saving
    return (
        _time(one.at, span, f"n = {saving.n:,}"),
        Shown(milligrams(saving.chosen_gco2e), value=saving.chosen_gco2e),
        Shown(milligrams(saving.baseline_gco2e), value=saving.baseline_gco2e),
        Shown(milligrams(saving.saved_gco2e), value=saving.saved_gco2e, qualities=saving.qualities),
        Shown(percent(saving.share), value=saving.share),
    )


def _share(count: int, total: int) -> Shown:
    if not total or not count:
        return Shown(NONE)
    heat = min(_HEAT_LEVELS, 1 + int(_HEAT_LEVELS * count / total))
    return Shown(percent(count / total), f"{count:,} of {total:,}", heat, count / total)


def _mass(mass_g: float | None, n: int, qualities: tuple[str, ...]) -> Shown:
    if not n or mass_g is None:
        return Shown(NONE, "n = 0")
    return Shown(milligrams(mass_g), f"n = {n:,}", value=mass_g, qualities=qualities)


def _ms(duration_ms: float | None) -> str:
    return NONE if duration_ms is None else significant(duration_ms)


def _time(at: datetime, span: Span, under: str = "") -> Shown:
    return Shown(_when(at, span), under, value=at.timestamp())


def _when(at: datetime, span: Span) -> str:
    return written_moment(at) if span.step.days == 0 else written_day(at)


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z"

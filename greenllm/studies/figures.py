"""The power curve of one response: what each channel saw, as numbers and as a chart. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.meters.base import Quantity, Reading
from benchmarks.units import mean_power_mw, milliwatts_to_watts, nanoseconds_to_seconds
from greenllm.charts import PALETTE, Chart

MAX_STEPS = 4_000  # per channel: more than a screen has points, few enough to draw at once
_BAND_COLORS = {"load": PALETTE[3], "prefill": PALETTE[4], "decode": PALETTE[5]}
_NAME_HEIGHT_PX = 14
_NAME_SHARE = 0.08  # of the height of a chart, on a phone
_NARROWEST_NAMED = 0.02  # of the answer's time
_BRIDGED_PERIODS = 3  # as integration does: a longer time without a reading is a gap


@dataclass(frozen=True)
class Step:
    """The mean power (mW) of one window, on the machine's monotonic clock."""

    start_ns: int
    end_ns: int
    power_mw: float


@dataclass(frozen=True)
class Curve:
    """The steps of one channel in order of time; `merged_count` samples stand behind each step."""

    channel: str
    quality: str
    period_ns: int
    steps: tuple[Step, ...]
    merged_count: int = 1


@dataclass(frozen=True)
class Phase:
    """A part of an answer, in seconds since the start mark."""

    name: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Return how long it lasted."""
        return self.end_s - self.start_s


def steps_of(readings: Sequence[Reading], quantity: Quantity) -> tuple[Step, ...]:
    """Return each reading as the mean power of its window."""
    return tuple(
        Step(
            reading.begins_at_ns,
            reading.at_ns,
            reading.value if quantity is Quantity.POWER_MW else mean_power_mw(reading.value, reading.window_ns),
        )
        for reading in readings
    )


def thinned(curve: Curve, max_steps: int = MAX_STEPS) -> Curve:
    """Return a curve of at most so many steps, each the mean of several by the time that they saw."""
    size = -(-len(curve.steps) // max_steps)
    if size <= 1:
        return curve
    groups = [curve.steps[first : first + size] for first in range(0, len(curve.steps), size)]
    return Curve(curve.channel, curve.quality, curve.period_ns * size, tuple(_merged(group) for group in groups), size)


def _merged(steps: Sequence[Step]) -> Step:
    seen_ns = sum(step.end_ns - step.start_ns for step in steps)
    energy = sum(step.power_mw * (step.end_ns - step.start_ns) for step in steps)
    return Step(steps[0].start_ns, steps[-1].end_ns, energy / seen_ns)


def phases(
    *, reserved_ns: int, load_ns: int | None, prompt_eval_ns: int | None, eval_ns: int | None
) -> tuple[Phase, ...]:
    """Return load, prefill and decode one after the other from the start mark on, as long as the server said.

    The model was in memory before the mark; what the server still calls loading is a phase of its own where there is
    any. Durations that are missing, or longer than the answer took, give no phases. The server tells no moments, so
    that each phase may lie later, by up to what `unplaced_s` returns.
    """
    if prompt_eval_ns is None or eval_ns is None:
        return ()
    lengths_ns = {"load": load_ns or 0, "prefill": prompt_eval_ns, "decode": eval_ns}
    if sum(lengths_ns.values()) > reserved_ns:
        return ()
    found, start_ns = [], 0
    for name, length_ns in lengths_ns.items():
        if length_ns or name != "load":
            end_ns = start_ns + length_ns
            found.append(Phase(name, nanoseconds_to_seconds(start_ns), nanoseconds_to_seconds(end_ns)))
            start_ns = end_ns
    return tuple(found)


def unplaced_s(parts: Sequence[Phase], *, reserved_ns: int) -> float:
    """Return for how long (s) of an answer the server's durations do not tell what it did."""
    return nanoseconds_to_seconds(reserved_ns) - sum(part.duration_s for part in parts)


def power_chart(curves: Sequence[Curve], *, start_ns: int, stop_ns: int, parts: Sequence[Phase], title: str) -> Chart:
    """Return the chart of every channel's power (W) over the seconds since the start mark.

    A line steps, because a reading is the mean of its window; a gap breaks it.
    """
    shown = [thinned(curve) for curve in curves]
    stop_s = nanoseconds_to_seconds(stop_ns - start_ns)
    names = _names(parts, stop_s)
    return Chart(
        id="power",
        title=title,
        description=_description(curves, stop_s, parts),
        figure={
            "data": [line_of(curve, start_ns, color) for curve, color in zip(shown, colors(), strict=False)],
            "layout": {
                "xaxis": {"title": {"text": "Seconds since the start mark"}},
                "yaxis": {"title": {"text": "Power (W)"}, **_reach(curves, len(names))},
                "shapes": [*_marks(stop_s), *_bands(parts)],
                "annotations": names,
                "showlegend": True,
            },
        },
    )


def colors() -> Iterator[str]:
    """Yield the palette's colours over and over."""
    while True:
        yield from PALETTE


def line_of(curve: Curve, start_ns: int, color: str) -> dict[str, Any]:
    """Return a curve as a line of a chart, over the seconds since a moment; a gap breaks it."""
    moments_s: list[float | None] = []
    powers_w: list[float | None] = []
    previous: Step | None = None
    for step in curve.steps:
        power_w = round(milliwatts_to_watts(step.power_mw), 6)
        if previous is None or step.start_ns - previous.end_ns > _BRIDGED_PERIODS * curve.period_ns:
            if previous is not None:
                moments_s.append(None)
                powers_w.append(None)
            moments_s.append(_seconds_since(start_ns, step.start_ns))
            powers_w.append(power_w)
        moments_s.append(_seconds_since(start_ns, step.end_ns))
        powers_w.append(power_w)
        previous = step
    merged = f", means of {curve.merged_count}" if curve.merged_count > 1 else ""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{curve.channel} ({curve.quality}{merged})",
        "x": moments_s,
        "y": powers_w,
        "connectgaps": False,
        "line": {"shape": "vh", "color": color, "width": 2},
        "hovertemplate": "%{x:.3f} s: %{y:.4g} W<extra>%{fullData.name}</extra>",
    }


def _seconds_since(start_ns: int, moment_ns: int) -> float:
    return nanoseconds_to_seconds(moment_ns - start_ns)


def _marks(stop_s: float) -> list[dict[str, Any]]:
    line = {"dash": "dot", "width": 1.5, "color": "#7f7f7f"}
    return [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at_s, "x1": at_s, "y0": 0, "y1": 1, "line": line}
        for at_s in (0.0, stop_s)
    ]


def _bands(parts: Sequence[Phase]) -> list[dict[str, Any]]:
    return [
        {
            "type": "rect", "xref": "x", "yref": "paper", "x0": part.start_s, "x1": part.end_s, "y0": 0, "y1": 1,
            "fillcolor": _BAND_COLORS[part.name], "opacity": 0.14, "line": {"width": 0}, "layer": "below",
        }
        for part in parts
    ]  # fmt: skip


def _names(parts: Sequence[Phase], stop_s: float) -> list[dict[str, Any]]:
    """Return the names within their bands, each a line lower; a band that is too narrow to be seen has none."""
    wide = [part for part in parts if part.duration_s >= _NARROWEST_NAMED * stop_s]
    return [
        {
            "xref": "x", "yref": "paper", "x": (part.start_s + part.end_s) / 2, "y": 1, "yanchor": "top",
            "yshift": -place * _NAME_HEIGHT_PX, "text": part.name, "showarrow": False,
        }
        for place, part in enumerate(wide)
    ]  # fmt: skip


def _reach(curves: Sequence[Curve], name_count: int) -> dict[str, Any]:
    """Return how far the axis of power reaches: from nothing to the peak, and higher by the lines of the names."""
    peak_mw = max((step.power_mw for curve in curves for step in curve.steps), default=0)
    if not name_count or peak_mw <= 0:
        return {"rangemode": "tozero"}
    return {"range": [0, round(milliwatts_to_watts(peak_mw) / (1 - _NAME_SHARE * name_count), 6)]}


def _description(curves: Sequence[Curve], stop_s: float, parts: Sequence[Phase]) -> str:
    said = [f"Power of {len(curves)} channel{'s' if len(curves) != 1 else ''} over an answer of {stop_s:.3g} s."]
    for curve in curves:
        powers_w = [milliwatts_to_watts(step.power_mw) for step in curve.steps]
        if powers_w:
            said.append(f"{curve.channel}: {min(powers_w):.3g} to {max(powers_w):.3g} W in {len(powers_w)} samples.")
    said += [f"{part.name} from {part.start_s:.3g} to {part.end_s:.3g} s." for part in parts]
    return " ".join(said)

"""The power and the temperatures of a machine while a study runs, as its page shows them. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmarks.meters.ring_glance import ChannelGlance, Glance
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, nanoseconds_to_seconds
from greenllm.charts import Chart
from greenllm.studies.figures import Curve, Step, colors, line_of

SPAN_S = 60
SPAN_NS = SPAN_S * NANOSECONDS_PER_SECOND
_SHORTEST_GAP_NS = NANOSECONDS_PER_SECOND // 2  # three times as long without a reading break the line
_GPU = "gpu"


@dataclass(frozen=True)
class ChannelRow:
    """One channel of the table under the curve; powers in mW, None where nothing was read."""

    seen: ChannelGlance

    @property
    def name(self) -> str:
        """Return the channel's name."""
        return self.seen.header.identity.channel.name

    @property
    def period_ms(self) -> float:
        """Return how often the meter is read (ms)."""
        return self.seen.header.identity.period_ns / NANOSECONDS_PER_MILLISECOND

    @property
    def mean_power_mw(self) -> float | None:
        """Return the mean power of all that was seen lately, each part of the time by its length."""
        seen_ns = sum(step.ends_at_ns - step.begins_at_ns for step in self.seen.steps)
        used = sum(step.power_mw * (step.ends_at_ns - step.begins_at_ns) for step in self.seen.steps)
        return used / seen_ns if seen_ns else None

    @property
    def highest_power_mw(self) -> float | None:
        """Return the highest power of half a second."""
        return max((step.power_mw for step in self.seen.steps), default=None)

    @property
    def silent_s(self) -> float:
        """Return for how long its sampler has shown no sign of life, 0 where it does."""
        return nanoseconds_to_seconds(self.seen.silent_ns)


@dataclass(frozen=True)
class Temperature:
    """The hottest sensor of the processor, or one GPU; None where it cannot be read."""

    name: str
    degrees_c: float | None
    sensor_count: int = 1


def rows_of(seen: Glance) -> list[ChannelRow]:
    """Return a row for each channel."""
    return [ChannelRow(one) for one in seen.channels]


def meters_without_channels(configured: Collection[str], seen: Glance) -> list[str]:
    """Return the kinds of meters that the machine should have and none of whose channels is being read."""
    read = {one.header.identity.meter for one in seen.channels}
    return sorted(set(configured) - read)


def temperatures_of(sensors: Mapping[str, float | None]) -> list[Temperature]:
    """Return the processor's hottest sensor, and every GPU."""
    gpus = [
        Temperature(name.replace(_GPU, _GPU.upper(), 1), value)
        for name, value in sorted(sensors.items())
        if name.startswith(_GPU)
    ]
    processors = {name: value for name, value in sensors.items() if not name.startswith(_GPU)}
    known = {name: value for name, value in processors.items() if value is not None}
    if not processors:
        return gpus
    hottest = max(known, key=lambda name: known[name], default=min(processors))
    return [Temperature(f"CPU, {hottest}", known.get(hottest), len(processors)), *gpus]


def live_chart(seen: Glance, *, now_ns: int) -> Chart | None:
    """Return the chart of every channel's power (W) over the latest minute; None where nothing was read."""
    curves = [_curve(one) for one in seen.channels if one.steps]
    if not curves:
        return None
    return Chart(
        id="power-now",
        title="Power of the latest minute",
        description="Power of each channel over the latest minute; the table below has the numbers.",
        figure={
            "data": [line_of(curve, now_ns, color) for curve, color in zip(curves, colors(), strict=False)],
            "layout": {
                "xaxis": {"title": {"text": "Seconds before now"}, "range": [-SPAN_S, 0]},
                "yaxis": {"title": {"text": "Power (W)"}, "rangemode": "tozero"},
                "showlegend": True,
                "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
                "uirevision": "live",  # a zoom stays when the curve is renewed
            },
        },
    )


def _curve(one: ChannelGlance) -> Curve:
    identity = one.header.identity
    return Curve(
        channel=identity.channel.name,
        quality=identity.channel.quality,
        period_ns=max(identity.period_ns * one.stride, _SHORTEST_GAP_NS),
        steps=tuple(Step(step.begins_at_ns, step.ends_at_ns, step.power_mw) for step in one.steps),
    )

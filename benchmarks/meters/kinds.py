"""The kinds of meters that a configuration can name."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.meters.base import Meter
from benchmarks.meters.configuration import DEFAULT_PERIOD_MS, ConfigurationError, MeterConfiguration
from benchmarks.units import NANOSECONDS_PER_MILLISECOND


def make_meter(configuration: MeterConfiguration) -> Meter:
    """Make the meter that a configuration names; raise `ConfigurationError` for a wrong kind or option.

    Each kind is imported only when it is asked for, which keeps the sampler small.
    """
    makers = {
        "estimate": _make_estimate,
        "replay": _make_replay,
        "mcp": _make_mcp,
        "rapl": _make_rapl,
        "nvml": _make_nvml,
        "simulated_nvml": _make_simulated_nvml,
    }
    maker = makers.get(configuration.kind)
    if maker is None:
        raise ConfigurationError(f"no meter is of kind {configuration.kind!r}; known: {', '.join(makers)}")
    options = _Options(configuration)
    try:
        meter = maker(options)
    except ValueError as error:
        raise ConfigurationError(f"meter {configuration.kind}: {error}") from error
    options.check_all_used()
    return meter


class _Options:
    """The options of one meter, each asked for by name and type."""

    def __init__(self, configuration: MeterConfiguration) -> None:
        self._kind = configuration.kind
        self._rest = dict(configuration.options)
        self.period_ms = DEFAULT_PERIOD_MS if configuration.period_ms is None else configuration.period_ms

    def number(self, name: str, default: float | None = None) -> float:
        value = self._rest.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self._rest.pop(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        return value

    def texts(self, name: str) -> list[str]:
        value = self._rest.pop(name, [])
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, "a list of texts")
        return list(value)

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._rest.pop(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def whole(self, name: str, default: int | None) -> int | None:
        value = self._rest.pop(name, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._wrong(name, "a whole number")
        return value

    def wholes(self, name: str, default: Sequence[int]) -> list[int]:
        value = self._rest.pop(name, default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(name, "a list of whole numbers")
        wholes = [one for one in value if isinstance(one, int) and not isinstance(one, bool)]
        if len(wholes) < len(value):
            raise self._wrong(name, "a list of whole numbers")
        return wholes

    def moment(self, name: str) -> int | None:
        value = self._rest.pop(name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._wrong(name, "a whole number of nanoseconds")
        return value

    def number_pairs(self, name: str) -> list[tuple[float, float]]:
        value = self._rest.pop(name, None)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(name, "a list of pairs of numbers")
        pairs = []
        for pair in value:
            match pair:
                case [int() | float() as first, int() | float() as second]:
                    pairs.append((float(first), float(second)))
                case _:
                    raise self._wrong(name, "a list of pairs of numbers")
        return pairs

    def check_all_used(self) -> None:
        if self._rest:
            raise ConfigurationError(f"meter {self._kind} has no option {', '.join(sorted(self._rest))}")

    def _wrong(self, name: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"meter {self._kind}: option {name} must be {wanted}")


def _make_estimate(options: _Options) -> Meter:
    from benchmarks.meters.estimate import EstimateMeter

    return EstimateMeter(
        tdp_w=options.number("tdp_w"),
        idle_power_w=options.number("idle_power_w"),
        channel=options.text("channel", "machine"),
    )


def _make_replay(options: _Options) -> Meter:
    from benchmarks.meters.recorded import read_steps
    from benchmarks.meters.replay import ReplayMeter, Step

    path = options.text("file", "")
    return ReplayMeter(
        steps=read_steps(Path(path))
        if path
        else [Step(duration_s, power_w) for duration_s, power_w in options.number_pairs("steps")],
        channel=options.text("channel", "machine"),
        is_repeated=options.truth("is_repeated", default=True),
        begins_at_ns=options.moment("begins_at_ns"),
    )


def _make_mcp(options: _Options) -> Meter:
    from benchmarks.meters.mcp import McpMeter
    from benchmarks.meters.mcp_options import McpOptions

    usual = McpOptions()
    return McpMeter(
        McpOptions(
            port=options.text("port", usual.port),
            outlets=options.wholes("outlets", usual.outlets),
            channel=options.text("channel", usual.channel),
            accumulation_interval=options.whole("accumulation_interval", None),
            is_simulated=options.truth("is_simulated", default=False),
            voltage_range=options.whole("voltage_range", usual.voltage_range) or 0,
            current_range=options.whole("current_range", usual.current_range) or 0,
            power_unit_mw=options.number("power_unit_mw", usual.power_unit_mw),
            current_unit_ma=options.number("current_unit_ma", usual.current_unit_ma),
        ),
        period_ns=options.period_ms * NANOSECONDS_PER_MILLISECOND,
    )


def _make_rapl(options: _Options) -> Meter:
    from benchmarks.meters.powercap import DEFAULT_ROOT
    from benchmarks.meters.rapl import MAX_POWER_W, RaplMeter

    return RaplMeter(
        root=Path(options.text("root", str(DEFAULT_ROOT))),
        is_psys_preferred=options.truth("psys", default=False),
        max_power_w=options.number("max_power_w", MAX_POWER_W),
    )


def _make_nvml(options: _Options) -> Meter:
    from benchmarks.meters.nvml import NvmlMeter

    window_ms = options.number("power_window_ms", 0)
    return NvmlMeter(
        uuids=options.texts("uuids"),
        is_counter_used=options.truth("counter", default=True),
        power_window_ns=round(window_ms * NANOSECONDS_PER_MILLISECOND) if window_ms else None,
    )


def _make_simulated_nvml(options: _Options) -> Meter:
    from benchmarks.meters.base import Quality
    from benchmarks.meters.nvml import NvmlMeter
    from benchmarks.meters.replay import Step
    from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml

    gpu = SimulatedGpu(
        uuid=options.text("uuid", "GPU-simulated"),
        steps=[Step(duration_s, power_w) for duration_s, power_w in options.number_pairs("steps")],
        has_counter=options.truth("has_counter", default=True),
        is_shared=options.truth("is_shared", default=False),
    )
    return NvmlMeter(library=SimulatedNvml([gpu]), quality=Quality.SIMULATED)

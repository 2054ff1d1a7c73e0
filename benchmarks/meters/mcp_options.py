"""What the owner of an MCP39F511N may say about it, and what its own settings say; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.meters.base import SINCE_PREVIOUS, Boundary, Channel, Fact, MeterUnavailable, Quality, Quantity
from benchmarks.meters.mcp_registers import (
    CURRENT_UNIT_MA,
    MAX_EXPONENT,
    MAX_POWER_RANGE,
    MIN_EXPONENT,
    OUTLETS,
    POWER_UNIT_MW,
    USUAL_CURRENT_RANGE,
    USUAL_VOLTAGE_RANGE,
    Outputs,
    Ranges,
)


@dataclass(frozen=True)
class McpOptions:
    """What the owner of a board may say about it.

    The first of `outlets` feeds the machine, on channel `channel`; another one is a component on a channel of
    its own. `accumulation_interval` is the exponent N of 2^N cycles; None chooses the longest not above the
    period. The units are of one count at the usual ranges. `is_simulated` allows `manage.py simulate_board` and
    nothing else at the port.
    """

    port: str = ""
    outlets: Sequence[int] = (1,)
    channel: str = "machine"
    accumulation_interval: int | None = None
    is_simulated: bool = False
    voltage_range: int = USUAL_VOLTAGE_RANGE
    current_range: int = USUAL_CURRENT_RANGE
    power_unit_mw: float = POWER_UNIT_MW
    current_unit_ma: float = CURRENT_UNIT_MA

    def __post_init__(self) -> None:
        if not self.outlets or len(set(self.outlets)) < len(self.outlets) or set(self.outlets) - set(OUTLETS):
            raise ValueError(f"outlets: {list(self.outlets)} are not one or both of 1 and 2")
        interval = self.accumulation_interval
        if interval is not None and not MIN_EXPONENT <= interval <= MAX_EXPONENT:
            raise ValueError(f"accumulation_interval: {interval} is not from {MIN_EXPONENT} to {MAX_EXPONENT}")
        if self.power_unit_mw <= 0 or self.current_unit_ma <= 0:
            raise ValueError("power_unit_mw and current_unit_ma must be above 0")
        if self.is_simulated and not self.port:
            raise ValueError("port: a simulated board has no USB id, so its port must be named")

    def channels(self, window_ns: int = SINCE_PREVIOUS) -> tuple[Channel, ...]:
        """Return a channel for each outlet, in their order."""
        quality = Quality.SIMULATED if self.is_simulated else Quality.MEASURED
        machine = Channel(self.channel, Boundary.MACHINE, quality, Quantity.POWER_MW, window_ns)
        others = (
            Channel(f"outlet-{outlet}", Boundary.COMPONENT, quality, Quantity.POWER_MW, window_ns)
            for outlet in self.outlets[1:]
        )
        return (machine, *others)


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """What decides the meaning of the board's numbers, and can be changed by any program that opens its port."""

    exponent: int
    ranges: Ranges


def tell_facts(
    options: McpOptions, outputs: Outputs, configuration: bytes, found: BoardSettings, used: BoardSettings
) -> dict[str, Fact]:
    """Return what decides the meaning of the readings, as it was found and as it is used."""
    return {
        "version": f"{outputs.version:04X}",
        "is_simulated": options.is_simulated,
        "system_configuration": f"{int.from_bytes(configuration, 'little'):08X}",
        "accumulation_interval": used.exponent,
        "accumulation_interval_found": found.exponent,
        "line_frequency_hz": round(outputs.line_frequency_hz, 3),
        **tell_ranges(used.ranges),
        "power_unit_mw": options.power_unit_mw,
        "current_unit_ma": options.current_unit_ma,
    }


def tell_ranges(ranges: Ranges) -> dict[str, Fact]:
    """Return the ranges as facts."""
    return {
        "voltage_range": ranges.voltage,
        "current_range_1": ranges.currents[0],
        "current_range_2": ranges.currents[1],
        "power_range_1": ranges.powers[0],
        "power_range_2": ranges.powers[1],
    }


def require_known_ranges(options: McpOptions, ranges: Ranges) -> None:
    """Raise `MeterUnavailable` for ranges whose units nobody named; any power range is understood."""
    currents = {ranges.currents[outlet - 1] for outlet in options.outlets}
    if ranges.voltage != options.voltage_range or currents != {options.current_range}:
        raise MeterUnavailable(
            f"the board's voltage range is {ranges.voltage} and its current ranges are {ranges.currents}, "
            f"not {options.voltage_range} and {options.current_range}",
            remedy="switch the board off and on, or name its ranges and units in the meter's options",
        )
    powers = {ranges.powers[outlet - 1] for outlet in options.outlets}
    if max(powers) > MAX_POWER_RANGE:
        raise MeterUnavailable(f"no power range is {max(powers)}", remedy="switch the board off and on")

"""A wall meter: Microchip's MCP39F511N on its evaluation board, between the plug and the machine."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from benchmarks.meters.base import Channel, Fact, MeterError, MeterUnavailable, Reading
from benchmarks.meters.mcp_frames import ACCUMULATION_INTERVAL, RANGE_1, RANGE_2, SYSTEM_CONFIGURATION
from benchmarks.meters.mcp_link import BoardLink, NoAnswer
from benchmarks.meters.mcp_options import BoardSettings, McpOptions, require_known_ranges, tell_facts, tell_ranges
from benchmarks.meters.mcp_port import Port, PortLost, SerialPort, find_board
from benchmarks.meters.mcp_refresh import RefreshTracker
from benchmarks.meters.mcp_registers import (
    MAX_EXPONENT,
    OUTPUTS,
    OUTPUTS_COUNT,
    SIMULATED_VERSION,
    Outputs,
    Ranges,
    exponent_for,
    power_mw,
    window_ns,
)
from benchmarks.units import MILLIWATTS_PER_WATT, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

_OPEN_NS = 600 * NANOSECONDS_PER_MILLISECOND  # a sampler that is silent for a second counts as dead
_OPEN_ATTEMPTS = 10
_READ_ATTEMPTS = 3
_MIN_READ_NS = 60 * NANOSECONDS_PER_MILLISECOND
_RESTORE_NS = 100 * NANOSECONDS_PER_MILLISECOND
_SETTINGS_CHECK_NS = 5 * NANOSECONDS_PER_SECOND
_CLOSER_LOOK_NS = 30 * NANOSECONDS_PER_SECOND
_CLOSER_LOOK_PAUSE_S = 0.004
_WELL_KNOWN_SHARE = 0.25
_SETTLING_MARGIN_NS = 10 * NANOSECONDS_PER_MILLISECOND
_LINE_FREQUENCIES_HZ = (40.0, 70.0)
# A wrong power range is wrong by at least a factor of 2; voltage times current tells it from a real power.
_POWER_TOLERANCE = 0.25
_POWER_TOLERANCE_MW = 3 * MILLIWATTS_PER_WATT

logger = logging.getLogger(__name__)


class McpMeter:
    """Read the mean power of each outlet in the board's own windows.

    A reading is one accumulation of the board: its window ends where the board finished it, as far as the polls
    can tell (`mcp_refresh`), and no accumulation is told twice, however often it is read. A read gives up after
    `period_ns`, or 60 ms where that is longer; then there is a gap. Every few seconds the settings are read
    again, because another program may have changed them or the board may have lost its power.
    """

    def __init__(
        self,
        options: McpOptions,
        *,
        period_ns: int,
        open_port: Callable[[str], Port] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options
        self._period_ns = period_ns
        self._open_port = self._open_serial if open_port is None else open_port
        self._clock = clock
        self._sleep = sleep
        self._channels = options.channels()
        self._facts: dict[str, Fact] = {}
        self._former_exponent: int | None = None
        self._latest_at_ns = 0
        self._port: Port | None = None
        self._warned: set[int] = set()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for each outlet; its window is known once the meter is open."""
        return self._channels

    def facts(self) -> Mapping[str, Fact]:
        """Return the board's version and settings as they were found, and the ranges that are used."""
        return dict(self._facts)

    def open(self) -> None:
        """Take hold of the board, read its settings and have it average over windows that fit the period.

        Raises `MeterUnavailable` where a person must do something, `MeterError` where trying again may help.
        """
        if self._port is not None:
            return
        path = self._options.port or find_board()
        port = self._open_port(path)
        try:
            self._link = BoardLink(port, clock=self._clock)
            self._set_up(path)
        except BaseException:
            port.close()
            raise
        self._port = port

    def read(self) -> Mapping[str, Reading | None]:
        """Return each outlet's mean power in the latest accumulation, None when that was told before.

        Raises `MeterError` when the board gave no usable answer in time, or one that contradicts itself.
        """
        if self._port is None:
            raise MeterError("the board's port is not open")
        deadline_ns = self._clock() + max(self._period_ns, _MIN_READ_NS)
        try:
            readings = self._poll(deadline_ns, _READ_ATTEMPTS)
            self._check_settings(deadline_ns)
            return readings if self._period_ns < self._channels[0].window_ns else self._look_closer(readings)
        except PortLost:
            self._port.close()
            self._port = None
            raise

    def close(self) -> None:
        """Give the board its former accumulation interval back, where it answers, and let go of the port."""
        if self._port is None:
            return
        if self._former_exponent not in {None, self._settings.exponent}:
            with contextlib.suppress(MeterError):
                self._write_exponent(self._former_exponent or 0, self._clock() + _RESTORE_NS, attempts=3)
                self._former_exponent = None
        self._port.close()
        self._port = None

    def _open_serial(self, path: str) -> Port:
        port = SerialPort(path, clock=self._clock)
        try:
            if port.is_pseudo_terminal and not self._options.is_simulated:
                raise MeterUnavailable(
                    f"at {path} there is a program, not a board",
                    remedy="for a simulated board set the option is_simulated; its figures then count as simulated",
                )
        except BaseException:
            port.close()
            raise
        return port

    def _set_up(self, path: str) -> None:
        deadline_ns = self._clock() + _OPEN_NS
        self._link.ping(deadline_ns=deadline_ns, attempts=_OPEN_ATTEMPTS)
        outputs = self._read_outputs(deadline_ns, _OPEN_ATTEMPTS)
        self._require_right_kind(outputs.version, path)
        frequency_hz = self._require_line_frequency(outputs)
        configuration = self._read(SYSTEM_CONFIGURATION, 4, deadline_ns, _OPEN_ATTEMPTS)
        found = self._read_settings(deadline_ns, _OPEN_ATTEMPTS)
        require_known_ranges(self._options, found.ranges)
        if self._former_exponent is None:
            self._former_exponent = found.exponent
        wanted = self._options.accumulation_interval or exponent_for(self._period_ns, frequency_hz)
        self._settings = BoardSettings(wanted, found.ranges)
        self._version, self._line_frequency_hz = outputs.version, frequency_hz
        if self._channels[0].window_ns == 0:  # kept when the board is opened again: a ring has one window
            self._channels = self._options.channels(window_ns(wanted, frequency_hz))
        board_facts = tell_facts(self._options, outputs, configuration, found, self._settings)
        self._facts = {"port": path, "window_ns": self._channels[0].window_ns, **board_facts}
        self._settled_at_ns = self._clock()
        if wanted != found.exponent:
            self._write_exponent(wanted, deadline_ns, _OPEN_ATTEMPTS)
            self._settle_after(found.exponent, frequency_hz)
            self._sleep((self._settled_at_ns - self._clock()) / NANOSECONDS_PER_SECOND)
        self._settings_checked_at_ns = self._clock()
        self._refresh = RefreshTracker()
        self._looked_closer_at_ns = -_CLOSER_LOOK_NS
        with contextlib.suppress(NoAnswer):
            self._look_closer(self._poll(self._clock() + _MIN_READ_NS, _READ_ATTEMPTS))

    def _require_right_kind(self, version: int, path: str) -> None:
        """Keep simulated and real boards apart, also where something carries the line over a network."""
        if (version == SIMULATED_VERSION) == self._options.is_simulated:
            return
        if self._options.is_simulated:
            raise MeterUnavailable(f"the board at {path} is a real one", remedy="leave out the option is_simulated")
        raise MeterUnavailable(
            f"the board at {path} is a simulated one",
            remedy="set the option is_simulated; its figures then count as simulated",
        )

    def _require_line_frequency(self, outputs: Outputs) -> float:
        low_hz, high_hz = _LINE_FREQUENCIES_HZ
        if not low_hz <= outputs.line_frequency_hz <= high_hz:
            raise MeterError(f"the board sees mains of {outputs.line_frequency_hz:g} Hz: is its inlet connected?")
        return outputs.line_frequency_hz

    def _settle_after(self, former_exponent: int, frequency_hz: float) -> None:
        """Say when the board will show a window of the new length: it may end one of the former length first.

        No window is longer than `MAX_EXPONENT` makes it, whatever another program left in the register.
        """
        exponents = (min(former_exponent, MAX_EXPONENT), self._settings.exponent)
        former_ns, wanted_ns = (window_ns(one, frequency_hz) for one in exponents)
        self._settled_at_ns = self._clock() + former_ns + wanted_ns + _SETTLING_MARGIN_NS

    def _poll(self, deadline_ns: int, attempts: int) -> dict[str, Reading | None]:
        if self._clock() < self._settled_at_ns:
            raise MeterError("the board is changing to other windows")
        outputs = self._read_outputs(deadline_ns, attempts)
        if outputs.version != self._version:
            raise MeterError(f"the board says version {outputs.version:04X}, at first it was {self._version:04X}")
        self._require_plausible(outputs, deadline_ns)
        end_ns = self._refresh.observe(
            sent_ns=self._link.sent_ns,
            received_ns=self._link.received_ns,
            window_ns=window_ns(self._settings.exponent, self._require_line_frequency(outputs)),
            fingerprint=outputs.fingerprint,
        )
        if end_ns is None or end_ns <= self._latest_at_ns:
            return {channel.name: None for channel in self._channels}
        self._latest_at_ns = end_ns
        return {
            channel.name: Reading(end_ns, channel.window_ns, round(self._power_mw(outputs, outlet)))
            for channel, outlet in zip(self._channels, self._options.outlets, strict=True)
        }

    def _power_mw(self, outputs: Outputs, outlet: int) -> float:
        count, power_range = outputs.active_powers[outlet - 1], self._settings.ranges.powers[outlet - 1]
        return power_mw(count, power_range, unit_mw=self._options.power_unit_mw)

    def _require_plausible(self, outputs: Outputs, deadline_ns: int) -> None:
        for outlet in self._options.outlets:
            if not outputs.is_positive(outlet) and outputs.active_powers[outlet - 1] and outlet not in self._warned:
                self._warned.add(outlet)
                logger.warning("outlet %s shows a negative power; its sign is ignored", outlet)
            told_mw = self._power_mw(outputs, outlet)
            apparent_mw = outputs.apparent_power_mw(outlet, current_unit_ma=self._options.current_unit_ma)
            expected_mw = apparent_mw * abs(outputs.power_factor(outlet))
            if abs(told_mw - expected_mw) > _POWER_TOLERANCE * expected_mw + _POWER_TOLERANCE_MW:
                self._settings_checked_at_ns = self._clock() - _SETTINGS_CHECK_NS
                self._check_settings(deadline_ns)
                raise MeterError(
                    f"outlet {outlet} shows {told_mw / MILLIWATTS_PER_WATT:.4g} W, but voltage, current and power "
                    f"factor make {expected_mw / MILLIWATTS_PER_WATT:.4g} W"
                )

    def _check_settings(self, deadline_ns: int) -> None:
        """Read the settings again when it is time to; take over what changed and raise `MeterError` then.

        Without an answer the next read tries again.
        """
        if self._clock() - self._settings_checked_at_ns < _SETTINGS_CHECK_NS:
            return
        try:
            found = self._read_settings(deadline_ns, _READ_ATTEMPTS)
        except NoAnswer:
            return
        if found != self._settings:
            logger.warning("the settings of the board changed from %s to %s", self._settings, found)
            require_known_ranges(self._options, found.ranges)
            if found.exponent != self._settings.exponent:
                self._write_exponent(self._settings.exponent, deadline_ns, _READ_ATTEMPTS)
                self._settle_after(found.exponent, self._line_frequency_hz)
            self._settings = BoardSettings(self._settings.exponent, found.ranges)
            self._facts.update(tell_ranges(found.ranges))
            self._refresh = RefreshTracker()
            raise MeterError("the settings of the board had been changed; they are followed from now on")
        self._settings_checked_at_ns = self._clock()

    def _look_closer(self, readings: dict[str, Reading | None]) -> dict[str, Reading | None]:
        """Poll fast for up to a window when it is not known well enough when the board refreshes.

        Polls that are less than a window apart find that out by themselves. Returns the latest readings, which are
        the given ones where none came of it.
        """
        uncertainty_ns, length_ns = self._refresh.uncertainty_ns, self._channels[0].window_ns
        begun_at_ns = self._clock()
        is_known = uncertainty_ns is not None and uncertainty_ns <= length_ns // 2
        if is_known or begun_at_ns - self._looked_closer_at_ns < _CLOSER_LOOK_NS:
            return readings
        self._looked_closer_at_ns = begun_at_ns
        with contextlib.suppress(NoAnswer):
            while (
                self._clock() - begun_at_ns < length_ns
                and (self._refresh.uncertainty_ns or length_ns) > _WELL_KNOWN_SHARE * length_ns
            ):
                self._sleep(_CLOSER_LOOK_PAUSE_S)
                found = self._poll(self._clock() + _MIN_READ_NS, 1)
                readings = found if any(found.values()) else readings
        return readings

    def _read_settings(self, deadline_ns: int, attempts: int) -> BoardSettings:
        exponent = int.from_bytes(self._read(ACCUMULATION_INTERVAL, 2, deadline_ns, attempts), "little")
        range_1, range_2 = (self._read(address, 4, deadline_ns, attempts) for address in (RANGE_1, RANGE_2))
        return BoardSettings(exponent, Ranges.from_registers(range_1, range_2))

    def _read_outputs(self, deadline_ns: int, attempts: int) -> Outputs:
        return Outputs.from_registers(self._read(OUTPUTS, OUTPUTS_COUNT, deadline_ns, attempts))

    def _read(self, address: int, count: int, deadline_ns: int, attempts: int) -> bytes:
        return self._link.read(address, count, deadline_ns=deadline_ns, attempts=attempts)

    def _write_exponent(self, exponent: int, deadline_ns: int, attempts: int) -> None:
        self._link.write_accumulation_interval(exponent, deadline_ns=deadline_ns, attempts=attempts)

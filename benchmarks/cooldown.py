"""Waiting until a machine is cool enough to measure on. Pure: readers, clock and sleep come in as arguments.

A hot processor draws more for the same work and may throttle, so an answer begins only when every sensor is
at or below the limit. Once one was above it, all have to fall below a lower one (hysteresis): otherwise the
next answer would begin at the very edge and wait again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_LIMIT_C = 60.0  # the paper's
DEFAULT_HYSTERESIS_C = 5.0
DEFAULT_TIMEOUT_S = 600.0
DEFAULT_INTERVAL_S = 1.0


class Ending(StrEnum):
    """Why the wait ended, or was none."""

    COOL = "cool"
    COOLED = "cooled"
    TIMED_OUT = "timed_out"
    HALTED = "halted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CooldownRule:
    """Above `limit_c` wait until all are at or below `limit_c - hysteresis_c`, for `timeout_s` at most."""

    limit_c: float = DEFAULT_LIMIT_C
    hysteresis_c: float = DEFAULT_HYSTERESIS_C
    timeout_s: float = DEFAULT_TIMEOUT_S
    interval_s: float = DEFAULT_INTERVAL_S

    def __post_init__(self) -> None:
        if self.hysteresis_c < 0 or self.timeout_s < 0 or self.interval_s <= 0:
            raise ValueError(f"{self} cannot be followed")


@dataclass(frozen=True, slots=True)
class Cooling:
    """A wait that begins: from the hottest sensor's temperature to the target, for `timeout_s` at most."""

    hottest_c: float
    target_c: float
    timeout_s: float

    @property
    def words(self) -> str:
        """Say what is being waited for."""
        return (
            f"cooling down from {_degrees(self.hottest_c)} to {_degrees(self.target_c)}, "
            f"for {self.timeout_s:.0f} s at most"
        )


@dataclass(frozen=True, slots=True)
class Watch:
    """Who goes along with a wait: asked after each look whether it is still wanted, told when it begins."""

    is_wanted: Callable[[], bool] = lambda: True
    on_begin: Callable[[Cooling], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Cooldown:
    """What came of a wait.

    `hottest_before_c` and `hottest_after_c` are the hottest sensor's when it began and ended, None where none
    could be read. `unread` names the sensors that could not be read at the end.
    """

    ending: Ending
    waited_s: float
    hottest_before_c: float | None
    hottest_after_c: float | None
    unread: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Say in words why measuring goes on."""
        told = {
            Ending.COOL: f"cool at {_degrees(self.hottest_after_c)}",
            Ending.COOLED: f"cooled from {_degrees(self.hottest_before_c)} to {_degrees(self.hottest_after_c)} "
            f"in {self.waited_s:.0f} s",
            Ending.TIMED_OUT: f"still at {_degrees(self.hottest_after_c)} after {self.waited_s:.0f} s, went on hot",
            Ending.HALTED: f"given up at {_degrees(self.hottest_after_c)} after {self.waited_s:.0f} s",
            Ending.UNKNOWN: "no temperature can be read, so nobody knows whether it is cool",
        }[self.ending]
        return f"{told}; not readable: {', '.join(self.unread)}" if self.unread else told


def cool_down(
    *,
    read: Callable[[], Mapping[str, float | None]],
    rule: CooldownRule,
    clock_s: Callable[[], float],
    sleep: Callable[[float], None],
    watch: Watch = Watch(),
) -> Cooldown:
    """Wait as the rule says and return how long and why it ended.

    `read` returns degrees Celsius by sensor, None for one that cannot be read. Such a sensor is not taken as
    cold: while waiting it counts as warm as it was when it was read last, and without any reading at all the
    ending is `UNKNOWN`, at once. `watch` is asked after each interval whether the wait is still wanted.
    """
    began_s = clock_s()
    latest: dict[str, float] = {}
    unread = _look(read, latest)
    before_c = max(latest.values(), default=None)
    if before_c is None:
        return Cooldown(Ending.UNKNOWN, 0.0, None, None, unread)
    if before_c <= rule.limit_c:
        return Cooldown(Ending.COOL, 0.0, before_c, before_c, unread)
    watch.on_begin(Cooling(before_c, rule.limit_c - rule.hysteresis_c, rule.timeout_s))
    while True:
        hottest_c = max(latest.values())
        waited_s = clock_s() - began_s
        if hottest_c <= rule.limit_c - rule.hysteresis_c:
            return Cooldown(Ending.COOLED, waited_s, before_c, hottest_c, unread)
        if waited_s >= rule.timeout_s:
            return Cooldown(Ending.TIMED_OUT, waited_s, before_c, hottest_c, unread)
        sleep(min(rule.interval_s, rule.timeout_s - waited_s))
        if not watch.is_wanted():
            return Cooldown(Ending.HALTED, clock_s() - began_s, before_c, hottest_c, unread)
        unread = _look(read, latest)


def _look(read: Callable[[], Mapping[str, float | None]], latest: dict[str, float]) -> tuple[str, ...]:
    """Bring the temperatures up to date; return the sensors that could not be read, also those that vanished."""
    seen = read()
    latest.update({sensor: value for sensor, value in seen.items() if value is not None})
    return tuple(sorted(sensor for sensor in {*seen, *latest} if seen.get(sensor) is None))


def _degrees(temperature_c: float | None) -> str:
    return "an unknown temperature" if temperature_c is None else f"{temperature_c:.0f} °C"

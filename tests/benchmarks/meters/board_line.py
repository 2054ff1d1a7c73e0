"""A simulated board on a line without a port, in simulated time: minutes of polling take a moment."""

from collections.abc import Sequence

from benchmarks.energy import integrate
from benchmarks.meters.base import MeterError, Reading
from benchmarks.meters.board_faults import FOREIGN_POWER_RANGE, BoardFault, FaultDice, FaultKind
from benchmarks.meters.mcp import McpMeter
from benchmarks.meters.mcp_options import McpOptions
from benchmarks.meters.mcp_port import PortLost
from benchmarks.meters.power_curve import CurvePoint, PowerCurve
from benchmarks.meters.reading_loop import FAILURES_BEFORE_REOPEN, next_deadline_ns
from benchmarks.meters.simulated_board import Mains, SimulatedBoard

MS = 1_000_000
SECOND = 1_000 * MS
BYTE_NS = 86_806  # 10 bits at 115,200 baud
USB_NS = 1 * MS
VANISHED_NS = 500 * MS


class Clock:
    """A clock that moves only when somebody waits."""

    def __init__(self, now_ns: int = 1_000 * SECOND) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += max(0, round(seconds * SECOND))


class BoardLine:
    """A port whose far end is a board; `delays_ns` hold the next replies back, each one once."""

    def __init__(self, board: SimulatedBoard, clock: Clock, faults: Sequence[BoardFault] = (), seed: int = 0) -> None:
        self.board = board
        self.clock = clock
        self.dice = FaultDice(faults, seed=seed)
        self.sent: list[bytes] = []
        self.delays_ns: list[int] = []
        self.is_plugged_in = True
        self.open_count = 0
        self._begun_at_ns = clock()
        self._away_until_ns = 0
        self._handle_is_dead = False
        self._arriving: list[tuple[int, int]] = []

    def open(self, path: str) -> "BoardLine":
        if not self.is_plugged_in or self.clock() < self._away_until_ns:
            raise MeterError(f"there is no port {path}")
        self.open_count += 1
        self._handle_is_dead = False
        return self

    def write(self, content: bytes) -> None:
        self._require_there()
        self.sent.append(content)
        self.clock.now_ns += USB_NS + len(content) * BYTE_NS
        for reply in self.board.receive(content, self.clock()):
            self._reply(reply)

    def receive(self, limit: int, deadline_ns: int) -> bytes:
        self._require_there()
        taken = [entry for entry in self._arriving[:limit] if entry[0] <= deadline_ns]
        del self._arriving[: len(taken)]
        until_ns = taken[-1][0] if taken else deadline_ns
        self.clock.now_ns = max(self.clock.now_ns, until_ns)
        return bytes(byte for _, byte in taken)

    def drain(self, deadline_ns: int) -> None:
        while self.receive(64, min(deadline_ns, self.clock() + 3 * MS)):
            pass

    def close(self) -> None:
        self._arriving.clear()

    def _require_there(self) -> None:
        if self._handle_is_dead or not self.is_plugged_in:
            self._handle_is_dead = True
            raise PortLost("the device is gone")

    def _reply(self, reply: bytes) -> None:
        kind = self.dice.throw((self.clock() - self._begun_at_ns) / SECOND)
        if kind is FaultKind.VANISH:
            self._handle_is_dead = True
            self._away_until_ns = self.clock() + VANISHED_NS
            self.board.restart(self._away_until_ns)
            return
        if kind is FaultKind.RANGE_6:
            self.board.set_power_range(FOREIGN_POWER_RANGE)
        arrived = reply if kind is None else self.dice.spoil(reply, kind)
        begins_ns = self.clock() + USB_NS + (self.delays_ns.pop(0) if self.delays_ns else 0)
        self._arriving += [(begins_ns + (index + 1) * BYTE_NS, byte) for index, byte in enumerate(arrived)]


def curve_of(*points: tuple[float, float], is_linear: bool = False, is_repeated: bool = False) -> PowerCurve:
    return PowerCurve(
        [CurvePoint(time_s, power_w) for time_s, power_w in points], is_linear=is_linear, is_repeated=is_repeated
    )


class Bench:
    """A meter on a board in simulated time, polled on a grid like the sampler does it."""

    def __init__(
        self,
        *curves: PowerCurve,
        period_ms: int = 30,
        faults: Sequence[BoardFault] = (),
        seed: int = 0,
        mains: Mains | None = None,
        power_range: int = 19,
        begins_in_ms: int = 0,
        **options: object,
    ) -> None:
        self.clock = Clock()
        self.period_ns = period_ms * MS
        self.begins_at_ns = self.clock() + begins_in_ms * MS
        self.board = SimulatedBoard(curves, begins_at_ns=self.begins_at_ns, mains=mains, power_range=power_range)
        self.line = BoardLine(self.board, self.clock, faults, seed)
        self.meter = McpMeter(
            McpOptions(port="/dev/ttyACM0", is_simulated=True, **options),  # type: ignore[arg-type]
            period_ns=self.period_ns,
            open_port=self.line.open,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.errors: list[str] = []
        self.readings: dict[str, list[Reading]] = {}
        self._failure_count = 0

    def run(self, seconds: float, jitter_ms: Sequence[int] = (0,)) -> list[Reading]:
        """Poll for some time; return the readings of the machine's channel so far."""
        origin_ns = self.clock()
        number = 0
        while self.clock() < origin_ns + seconds * SECOND:
            deadline_ns = next_deadline_ns(self.clock(), origin_ns=origin_ns, period_ns=self.period_ns)
            self.clock.now_ns = deadline_ns + jitter_ms[number % len(jitter_ms)] * MS
            number += 1
            self._tick()
        return self.readings.get("machine", [])

    def energy_j(self, begin_s: float, end_s: float) -> float | None:
        """Return what the readings say about a stretch of the curve."""
        period_ns = max(self.period_ns, self.meter.channels[0].window_ns)
        start_ns, stop_ns = (self.begins_at_ns + round(moment_s * SECOND) for moment_s in (begin_s, end_s))
        return integrate(self.readings["machine"], start_ns, stop_ns, period_ns).energy_j

    def _tick(self) -> None:
        try:
            for name, reading in self.meter.read().items():
                if reading is not None:
                    self.readings.setdefault(name, []).append(reading)
            self._failure_count = 0
        except MeterError as error:
            self.errors.append(str(error))
            self._failure_count += 1
            if self._failure_count % FAILURES_BEFORE_REOPEN == 0:
                self._reopen()

    def _reopen(self) -> None:
        self.meter.close()
        try:
            self.meter.open()
        except MeterError as error:
            self.errors.append(str(error))

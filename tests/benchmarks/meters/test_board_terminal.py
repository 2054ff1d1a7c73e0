"""The board behind a real pseudo-terminal, read by the meter with pyserial and by the sampler, in real time."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

import benchmarks
from benchmarks.energy import integrate
from benchmarks.meters.base import MeterError, MeterUnavailable, Quality, Reading
from benchmarks.meters.board_faults import BoardFault, FaultDice, FaultKind
from benchmarks.meters.board_terminal import BoardTerminal
from benchmarks.meters.configuration import MeterConfiguration, SamplerConfiguration
from benchmarks.meters.mcp import McpMeter
from benchmarks.meters.mcp_options import McpOptions
from benchmarks.meters.mcp_port import PortLost, SerialPort, find_board
from benchmarks.meters.power_curve import PowerCurve
from benchmarks.meters.sampling import SamplerProcess
from benchmarks.meters.simulated_board import SimulatedBoard
from tests.benchmarks.meters.board_line import MS, SECOND, curve_of

pytestmark = pytest.mark.slow

ROOT = Path(benchmarks.__file__).parent.parent
FLAT = curve_of((0, 184.37))
PERIOD_NS = 30 * MS

Serve = Callable[..., BoardTerminal]


def until(condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve boards in threads that end with the test."""
    with ExitStack() as stack:

        def serving(
            curve: PowerCurve = FLAT, *faults: BoardFault, begins_at_ns: int | None = None, **options: Any
        ) -> BoardTerminal:
            begins_at_ns = time.monotonic_ns() if begins_at_ns is None else begins_at_ns
            board = SimulatedBoard([curve], begins_at_ns=begins_at_ns, **options)
            terminal = BoardTerminal(board, FaultDice(faults, seed=1), link=tmp_path / "board")
            terminal.plug_in()
            stop = threading.Event()
            thread = threading.Thread(target=terminal.serve, args=(stop,), daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(stop.set)
            return terminal

        yield serving


def meter_at(path: str, **options: Any) -> McpMeter:
    return McpMeter(McpOptions(port=path, **{"is_simulated": True, **options}), period_ns=PERIOD_NS)


def read_for(meter: McpMeter, seconds: float) -> list[Reading]:
    readings, give_up_at = [], time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        with suppress(MeterError):  # the machine is busy: a gap
            readings += [reading for reading in meter.read().values() if reading is not None]
        time.sleep(0.02)
    return readings


class TestMeterAtATerminal:
    def test_reads_the_board(self, serve: Serve) -> None:
        meter = meter_at(serve().path)
        meter.open()
        readings = read_for(meter, 0.5)
        meter.close()

        assert {reading.value for reading in readings} == {184_370}
        assert [channel.quality for channel in meter.channels] == [Quality.SIMULATED]

    def test_is_refused_unless_it_is_allowed_to_be_simulated(self, serve: Serve) -> None:
        with pytest.raises(MeterUnavailable, match="there is a program, not a board"):
            meter_at(serve(version=0x5711).path, is_simulated=False).open()

    def test_can_be_opened_once_only(self, serve: Serve) -> None:
        path = serve().path
        first, second = meter_at(path), meter_at(path)
        first.open()

        with pytest.raises(MeterError, match="another program"):
            second.open()

        first.close()
        second.open()
        second.close()

    def test_names_a_port_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(MeterUnavailable, match="there is no port"):
            meter_at(str(tmp_path / "nothing")).open()

    def test_names_a_port_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(MeterUnavailable, match="no serial port"):
            meter_at(str(tmp_path / "file")).open()

    def test_comes_back_after_an_unplugging(self, serve: Serve) -> None:
        meter = meter_at(serve(FLAT, BoardFault(FaultKind.VANISH, at_s=1)).path)
        meter.open()
        before, lost = len(read_for(meter, 0.3)), []

        def is_lost() -> bool:
            try:
                meter.read()
            except PortLost as error:
                lost.append(error)
            except MeterError:
                pass
            return bool(lost)

        assert until(is_lost)

        def is_open_again() -> bool:
            meter.close()
            try:
                meter.open()
            except MeterError:
                return False
            return True

        assert until(is_open_again)
        assert before > 0
        assert {reading.value for reading in read_for(meter, 0.3)} == {184_370}
        meter.close()


class TestPort:
    def test_without_a_board_tells_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serial.tools.list_ports.comports", list)

        with pytest.raises(MeterUnavailable, match="plug it in"):
            find_board()

    def test_is_found_by_its_usb_id_at_any_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ports = [_Listed("/dev/ttyACM0", 0x2341, 0x43), _Listed("/dev/ttyACM3", 0x04D8, 0x00DD)]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)

        assert find_board() == "/dev/ttyACM3"

    def test_of_several_boards_must_be_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ports = [_Listed(f"/dev/ttyACM{number}", 0x04D8, 0x00DD) for number in (1, 0)]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)

        with pytest.raises(MeterUnavailable, match="/dev/ttyACM0, /dev/ttyACM1"):
            find_board()

    def test_that_breaks_with_an_error_of_its_own_is_lost(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        """termios.error is neither an OSError nor pyserial's error: an unplugged port raises it."""
        import termios

        port = SerialPort(serve().path)

        def broken() -> None:
            raise termios.error(5, "Input/output error")

        monkeypatch.setattr(port._serial, "fileno", broken)
        for use in (lambda: port.write(b""), lambda: port.receive(1, 0), lambda: port.drain(2**62)):
            with pytest.raises(PortLost):
                use()
        port.close()

    def test_imports_pyserial_only_when_a_board_is_opened(self) -> None:
        code = (
            "import sys; from benchmarks.meters.kinds import make_meter; "
            "from benchmarks.meters.configuration import MeterConfiguration; "
            "make_meter(MeterConfiguration('mcp', {})); sys.exit('serial' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


class _Listed:
    def __init__(self, device: str, vid: int, pid: int) -> None:
        self.device, self.vid, self.pid = device, vid, pid


def sampled_energy_j(path: str, begins_at_ns: int, begin_s: float, end_s: float) -> tuple[float | None, SamplerProcess]:
    meter = MeterConfiguration("mcp", {"port": path, "is_simulated": True})
    sampler = SamplerProcess(SamplerConfiguration((meter,), name=f"test-mcp-{os.getpid()}"))
    try:
        sampler.start()
        start_ns, stop_ns = (begins_at_ns + round(moment_s * SECOND) for moment_s in (begin_s, end_s))
        assert time.monotonic_ns() < start_ns, "the sampler took too long to start"
        until(lambda: time.monotonic_ns() > stop_ns)
        sampled = sampler.channels()[0]
        readings = sampler.readings("machine", start_ns, stop_ns, 2.0)
        period_ns = max(sampled.period_ns, sampled.channel.window_ns)
        return integrate(readings, start_ns, stop_ns, 4 * period_ns).energy_j, sampler
    finally:
        sampler.stop()


class TestSampler:
    def test_gives_the_energy_of_the_curve(self, serve: Serve) -> None:
        """Idle, and from 3 s to 5 s an answer of 110 W, 220 W and a ramp down.

        A machine that is too busy to read in time has no energy, which is told; then it is measured again.
        """
        points = [(0, 60), (2.999, 60), (3, 110), (3.5, 110), (3.501, 220), (4.5, 220), (4.999, 150), (5, 60)]
        curve = curve_of(*points, is_linear=True)

        energy_j = None
        for _ in range(5):
            begins_at_ns = time.monotonic_ns()
            path = serve(curve, begins_at_ns=begins_at_ns).path
            energy_j, sampler = sampled_energy_j(path, begins_at_ns, 3, 5)
            if energy_j is not None:
                break

        assert energy_j == pytest.approx(curve.energy_j(5) - curve.energy_j(3), rel=0.01)
        assert sampler.facts["machine"]["power_range_1"] == 19

    def test_goes_on_with_every_fault_switched_on(self, serve: Serve) -> None:
        begins_at_ns = time.monotonic_ns()
        faults = [
            BoardFault(kind, rate=0.02) for kind in FaultKind if kind not in {FaultKind.VANISH, FaultKind.RANGE_6}
        ]
        path = serve(
            curve_of((0, 60), (6, 160)),
            *faults,
            BoardFault(FaultKind.VANISH, at_s=3),
            BoardFault(FaultKind.RANGE_6, at_s=3.8),
            begins_at_ns=begins_at_ns,
        ).path

        energy_j, _ = sampled_energy_j(path, begins_at_ns, 6.2, 7.2)

        assert energy_j is None or energy_j == pytest.approx(160, rel=0.01)


class TestSimulateBoard:
    def test_serves_until_it_is_asked_to_stop(self, tmp_path: Path) -> None:
        (tmp_path / "curve.csv").write_text("time_s,power_w\n0,184.37\n")
        link = tmp_path / "board"
        command = [sys.executable, "manage.py", "simulate_board", "--curve", str(tmp_path / "curve.csv")]
        before_ns = time.monotonic_ns()
        with subprocess.Popen(
            [*command, "--port-link", str(link)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"Simulated board at {link}\n"
            began = re.fullmatch(r"Its curve began at (\d+) ns on the monotonic clock.\n", process.stdout.readline())
            assert began is not None
            assert before_ns <= int(began[1]) <= time.monotonic_ns()
            meter = meter_at(str(link))
            meter.open()
            readings = read_for(meter, 0.4)
            meter.close()
            process.terminate()
            said = process.stdout.read()

        assert {reading.value for reading in readings} == {184_370}
        assert said == "Stopped. Faults: none.\n"
        assert process.returncode == 0
        assert not link.is_symlink()

    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            (None, [], "cannot be read"),
            ("time,power\n", [], "columns time_s and power_w"),
            ("time_s,power_w\n0,-1\n", [], "cannot be played"),
            ("time_s,power_w\n0,1\n", ["--fault", "smoke=1"], "KIND is one of truncated"),
            ("time_s,power_w\n0,1\n", ["--fault", "vanish=0.1"], "--port-link"),
            ("time_s,power_w\n0,1\n", ["--line-frequency", "0"], "from 40 to 65"),
            ("time_s,power_w\n0,1\n", ["--power-range", "40"], "from 0 to 31"),
            ("time_s,power_w\n0,1\n", ["--port-link", "/nowhere/at/all"], "cannot be made"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path: Path, text: str | None, options: list[str], message: str) -> None:
        path = tmp_path / "curve.csv"
        if text is not None:
            path.write_text(text)

        with pytest.raises(CommandError, match=message):
            call_command("simulate_board", "--curve", str(path), *options)

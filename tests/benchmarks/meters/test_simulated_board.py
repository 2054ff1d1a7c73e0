"""The board's bytes: replies are those of the frame table in `test_mcp_frames`, made by registers."""

from itertools import pairwise

import pytest

from benchmarks.meters.mcp_frames import parse_data_reply, read_request, write_accumulation_interval
from benchmarks.meters.mcp_frames import write_system_configuration as configure
from benchmarks.meters.mcp_registers import OUTPUTS_LAYOUT, STATUS
from benchmarks.meters.power_curve import PowerCurve
from benchmarks.meters.simulated_board import Mains, SimulatedBoard
from tests.benchmarks.meters.board_line import MS, SECOND, curve_of
from tests.benchmarks.meters.test_mcp_frames import WHOLE_REPLY

DESTRUCTIVE = ("A5 04 53 FC", "A5 04 4F F8", "A5 04 5A 03", "A5 04 7A 23", "A5 04 76 1F")
STEADY = Mains(flickers=False)


def board_of(*curves: PowerCurve, mains: Mains = STEADY, power_range: int = 19) -> SimulatedBoard:
    return SimulatedBoard(
        curves or (curve_of((0, 184.37)),), begins_at_ns=0, mains=mains, power_range=power_range, version=0x5711
    )


def ask(board: SimulatedBoard, request: str | bytes, at_ms: float = 0) -> str:
    content = bytes.fromhex(request) if isinstance(request, str) else request
    return b"".join(board.receive(content, round(at_ms * MS))).hex(" ").upper()


def read(board: SimulatedBoard, address: int, count: int, at_ms: float) -> int:
    reply = b"".join(board.receive(read_request(address, count), round(at_ms * MS)))
    return int.from_bytes(parse_data_reply(reply, count), "little")


class TestReplies:
    @pytest.mark.parametrize(
        ("registers", "request_", "reply"),
        [
            ([(0x0016, 4, 18437), (0x001A, 4, 0)], "A5 08 41 00 16 4E 08 5A", "06 0B 05 48 00 00 00 00 00 00 5E"),
            ([(0x0016, 4, 634), (0x001A, 4, 12345)], "A5 08 41 00 16 4E 08 5A", "06 0B 7A 02 00 00 39 30 00 00 F6"),
            ([(0x0016, 4, 12345)], "A5 08 41 00 16 4E 04 56", "06 07 39 30 00 00 76"),
            ([(0x0006, 2, 2304)], "A5 08 41 00 06 4E 02 44", "06 05 00 09 14"),
            ([(0x0008, 2, 49987)], "A5 08 41 00 08 4E 02 46", "06 05 43 C3 11"),
            ([], "A5 08 41 00 02 4E 02 40", "06 05 F0 00 FB"),
            ([(0x00A0, 4, 0x300)], "A5 08 41 00 A0 4E 04 E0", "06 07 00 03 00 00 10"),
            ([(0x00A8, 2, 1)], "A5 08 41 00 A8 4E 02 E6", "06 05 01 00 0C"),
            ([], "A5 08 41 00 AE 4E 04 EE", "06 07 12 0C 13 00 3E"),
            ([(0x002E, 8, 1000)], "A5 08 41 00 2E 4E 08 72", "06 0B E8 03 00 00 00 00 00 00 FC"),
            (
                [(0x002E, 8, 3687)],
                "A5 08 41 00 2E 4E 10 7A",
                "06 13 67 0E 00 00 00 00 00 00 00 00 00 00 00 00 00 00 8E",
            ),
            ([], "A5 0C 41 00 A0 4D 04 00 03 00 00 E6", "06"),
            ([], "A5 0A 41 00 A8 4D 02 01 00 E8", "06"),
            ([], "A5 0C 41 00 AE 4D 04 12 0C 06 00 15", "06"),
            ([], "5A 03 5D", "15 03"),
        ],
    )
    def test_are_the_known_bytes(self, registers: list[tuple[int, int, int]], request_: str, reply: str) -> None:
        board = board_of()
        for address, size, value in registers:
            board.put(address, size, value)

        assert ask(board, request_) == reply

    def test_of_a_whole_frame_are_the_known_bytes(self) -> None:
        board = board_of()
        values = (0xF0, 0x5711, 2304, 49987, 32276, 0, 8123, 0, 18437, 0, 3212)
        board.image[STATUS : STATUS + 32] = OUTPUTS_LAYOUT.pack(*values)

        assert ask(board, "A5 08 41 00 02 4E 20 5E") == WHOLE_REPLY

    def test_at_range_6_have_8192_times_the_counts(self) -> None:
        assert ask(board_of(power_range=6), "A5 08 41 00 16 4E 08 5A") == "06 0B 00 A0 00 09 00 00 00 00 BA"

    @pytest.mark.parametrize(
        ("request_", "reply"),
        [
            ("A5 08 41 00 16 4E 08 5B", "51"),
            ("A5 08 41 00 16 4E 21 73", "15"),
            ("A5 08 41 00 16 4E 00 52", "15"),
            ("A5 08 41 00 FE 4E 04 3E", "15"),
            ("A5 05 44 04 F2", "15"),
            ("A5 24", "15"),
            ("A5 03", "15"),
            ("FF", "15"),
        ],
        ids=["checksum", "too many bytes", "no bytes", "behind the image", "of another chip", "long", "short", "noise"],
    )
    def test_refuse_what_a_board_refuses(self, request_: str, reply: str) -> None:
        assert ask(board_of(), request_) == reply

    def test_wait_for_the_whole_frame(self) -> None:
        board = board_of()

        assert ask(board, "A5 08 41 00", 0) == ""
        assert ask(board, "08 4E 02 46", 5) == "06 05 50 C3 1E"

    def test_come_to_each_of_several_frames(self) -> None:
        assert ask(board_of(), "5A 03 5D 5A 03 5D") == "15 03 15 03"

    def test_forget_the_begin_of_a_frame_after_a_pause(self) -> None:
        board = board_of()
        ask(board, "A5 08 41 00", 0)

        assert ask(board, "5A 03 5D", 50) == "15 03"

    @pytest.mark.parametrize("request_", DESTRUCTIVE)
    def test_to_destructive_commands_remember_the_damage(self, request_: str) -> None:
        board = board_of()

        assert ask(board, request_) == "06"
        assert board.destroyed_with == [bytes.fromhex(request_)[2]]


class TestAccumulation:
    def test_shows_averages_of_whole_windows_only(self) -> None:
        """A step of 100 W in the middle of the second window of 320 ms."""
        board = board_of(curve_of((0, 100), (0.48, 200)))

        shown = {at_ms: read(board, 0x0016, 4, at_ms) for at_ms in (100, 330, 630, 650, 950, 970)}
        assert shown == {100: 10000, 330: 10000, 630: 10000, 650: 15000, 950: 15000, 970: 20000}

    def test_begins_anew_when_the_interval_is_written(self) -> None:
        board = board_of(curve_of((0, 100), (0.2, 200)))

        ask(board, write_accumulation_interval(2), 150)

        assert [read(board, 0x0016, 4, at_ms) for at_ms in (200, 231, 311)] == [10000, 13750, 20000]

    def test_is_as_long_as_the_mains_make_it(self) -> None:
        board = board_of(curve_of((0, 100), (0.26, 200)), mains=Mains(line_frequency_hz=60.0, flickers=False))

        assert [read(board, 0x0016, 4, at_ms) for at_ms in (266, 267)] == [10000, 10250]

    def test_keeps_voltage_current_and_power_consistent(self) -> None:
        board = board_of(mains=Mains(voltage_v=230.4, power_factor=0.9, flickers=False))

        power_w = read(board, 0x0016, 4, 400) / 100
        apparent_w = read(board, 0x0006, 2, 400) / 10 * read(board, 0x000E, 4, 400) / 10_000
        factor = read(board, 0x000A, 2, 400) / 2**15
        assert power_w == pytest.approx(apparent_w * factor, rel=1e-3)
        assert read(board, 0x0026, 4, 400) / 100 == pytest.approx(apparent_w, rel=1e-3)
        assert (read(board, 0x001E, 4, 400) / 100) ** 2 == pytest.approx(apparent_w**2 - power_w**2, rel=1e-2)

    def test_of_both_outlets_are_apart(self) -> None:
        board = board_of(curve_of((0, 100)), curve_of((0, 7)))

        assert [read(board, address, 4, 400) for address in (0x0016, 0x001A)] == [10000, 700]

    def test_no_two_windows_look_the_same_while_the_voltage_flickers(self) -> None:
        board = board_of(mains=Mains())
        voltages = [read(board, 0x0006, 2, 330 + 320 * number) for number in range(20)]

        assert all(earlier != later for earlier, later in pairwise(voltages))
        assert max(abs(voltage - 2300) for voltage in voltages) <= 5


class TestEnergyCounters:
    def test_stand_still_until_they_are_switched_on(self) -> None:
        board = board_of(curve_of((0, 100)), curve_of((0, 50)))
        assert read(board, 0x002E, 8, 10_000) == 0

        ask(board, configure(0x100), 10_000)

        assert read(board, 0x002E, 8, 12_330) == pytest.approx(2 * 100 * 2.16, abs=1)
        assert read(board, 0x0036, 8, 12_330) == 0

    def test_are_off_after_a_restart(self) -> None:
        board = board_of()
        ask(board, configure(0x300), 0)

        board.restart(5 * SECOND)

        assert read(board, 0x00A0, 4, 5_001) == 0
        assert read(board, 0x00A8, 2, 5_001) == 4

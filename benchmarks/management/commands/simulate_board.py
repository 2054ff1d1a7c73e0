"""Serve a simulated wall meter on a pseudo-terminal."""

import signal
import time
from pathlib import Path
from threading import Event
from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.management.curves import add_curve_arguments, curve_from
from benchmarks.management.telling import TellingCommand
from benchmarks.meters.board_faults import BoardFault, FaultDice, FaultKind, parse_fault
from benchmarks.meters.board_terminal import BoardTerminal
from benchmarks.meters.power_curve import PowerCurveError
from benchmarks.meters.simulated_board import Mains, SimulatedBoard


class Command(TellingCommand):
    help = (
        "Simulate an MCP39F511N wall meter: print its serial port and answer there until Ctrl-C. A machine with the "
        'meter {"kind": "mcp", "options": {"port": PATH, "is_simulated": true}} reads it; its figures are simulated.'
    )
    requires_system_checks = []
    told = (PowerCurveError,)

    def add_arguments(self, parser: CommandParser) -> None:
        add_curve_arguments(parser)
        parser.add_argument("--curve-2", type=Path, help="The same for the second outlet; 0 W where absent.")
        parser.add_argument("--port-link", type=Path, help="Where to put a link that always leads to the port.")
        parser.add_argument(
            "--fault",
            action="append",
            default=[],
            metavar="KIND=RATE",
            help=f"KIND=RATE per reply, or KIND@SECONDS once; repeatable. Kinds: {', '.join(FaultKind)}.",
        )
        parser.add_argument("--seed", type=int, default=0, help="Decides which replies faults strike.")
        parser.add_argument("--line-frequency", type=float, default=50.0, metavar="HZ")
        parser.add_argument("--power-range", type=int, default=19, help="6 is what another program may leave it in.")

    def handle(self, *args: Any, **options: Any) -> None:
        faults = self._faults(options["fault"])
        if any(fault.kind is FaultKind.VANISH for fault in faults) and options["port_link"] is None:
            raise CommandError("A board that vanishes comes back as another device: give it a --port-link.")
        if not 40 <= options["line_frequency"] <= 65:
            raise CommandError("--line-frequency is from 40 to 65 Hz.")
        if not 0 <= options["power_range"] <= 31:
            raise CommandError("--power-range is from 0 to 31.")
        curves = [curve_from(path, options) for path in (options["curve"], options["curve_2"]) if path is not None]
        begins_at_ns = time.monotonic_ns()
        board = SimulatedBoard(
            curves,
            begins_at_ns=begins_at_ns,
            mains=Mains(line_frequency_hz=options["line_frequency"]),
            power_range=options["power_range"],
        )
        dice = FaultDice(faults, seed=options["seed"])
        self._serve(BoardTerminal(board, dice, link=options["port_link"]), begins_at_ns)
        struck = ", ".join(f"{count} {kind}" for kind, count in dice.struck.items() if count)
        self.stdout.write(f"Stopped. Faults: {struck or 'none'}.")
        if board.destroyed_with:
            raise CommandError("A program sent commands that would have overwritten a real board's calibration.")

    def _serve(self, terminal: BoardTerminal, begins_at_ns: int) -> None:
        stop = Event()
        former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            terminal.plug_in()
            self.stdout.write(f"Simulated board at {terminal.path}")
            self.stdout.write(f"Its curve began at {begins_at_ns} ns on the monotonic clock.")
            self.stdout.flush()
            terminal.serve(stop)
        except OSError as error:
            raise CommandError(f"The port cannot be made: {error}") from error
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _faults(self, texts: list[str]) -> list[BoardFault]:
        try:
            return [parse_fault(text) for text in texts]
        except ValueError as error:
            raise CommandError(f"--fault {error}") from error

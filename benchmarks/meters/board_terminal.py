"""Puts a simulated board behind a pseudo-terminal, which other programs open like a serial port."""

import contextlib
import os
import select
import time
import tty
from collections.abc import Callable
from pathlib import Path
from threading import Event

from benchmarks.meters.board_faults import FOREIGN_POWER_RANGE, FaultDice, FaultKind
from benchmarks.meters.simulated_board import SimulatedBoard
from benchmarks.units import NANOSECONDS_PER_SECOND

VANISHED_S = 0.5
_LOOK_S = 0.1  # how often a stop is looked for


class BoardTerminal:
    """The far end of a serial line: a board, its faults, and a link under which the port is found.

    A board that is unplugged and plugged in again gets another device, as a real one does; `link` leads to it.
    """

    def __init__(
        self,
        board: SimulatedBoard,
        faults: FaultDice,
        *,
        link: Path | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._board = board
        self._faults = faults
        self._link = link
        self._clock = clock
        self._begins_at_ns = clock()
        self._near = self._far = -1
        self._device = ""

    @property
    def path(self) -> str:
        """Return the port to open; it stays the same over unplugging only where there is a link."""
        return self._device if self._link is None else str(self._link)

    def plug_in(self) -> None:
        """Make the port; raise `OSError` when something else is in the place of the link."""
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self._device = os.ttyname(self._far)
        if self._link is not None:
            if self._link.is_symlink():
                self._link.unlink()
            self._link.symlink_to(self._device)

    def unplug(self) -> None:
        """Take the port away from whoever has it open; harmless when it is away."""
        if self._near < 0:
            return
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        # Our own hold on the far end goes first, so that the other program is the one that sees the line break.
        for descriptor in (self._far, self._near):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._near = self._far = -1

    def serve(self, stop: Event) -> None:
        """Answer until asked to stop; the port must be plugged in and is away afterwards."""
        try:
            while not stop.is_set():
                ready, _, _ = select.select([self._near], [], [], _LOOK_S)
                if ready:
                    self._answer(os.read(self._near, 256), stop)
        finally:
            self.unplug()

    def _answer(self, content: bytes, stop: Event) -> None:
        for reply in self._board.receive(content, self._clock()):
            kind = self._faults.throw((self._clock() - self._begins_at_ns) / NANOSECONDS_PER_SECOND)
            if kind is FaultKind.VANISH:
                self.unplug()
                stop.wait(VANISHED_S)
                self._board.restart(self._clock())
                self.plug_in()
                return
            if kind is FaultKind.RANGE_6:
                self._board.set_power_range(FOREIGN_POWER_RANGE)
            os.write(self._near, reply if kind is None else self._faults.spoil(reply, kind))

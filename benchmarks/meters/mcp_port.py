"""The serial port of an MCP39F511N board: found by its USB id, opened for us alone, read with a deadline.

pyserial is imported only when a port is looked for or opened.
"""

import contextlib
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.meters.base import MeterError, MeterUnavailable
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

USB_IDS = (0x04D8, 0x00DD)  # MCP2221, the bridge on the evaluation board and on other boards too
BAUD_RATE = 115_200
_QUIET_NS = 3 * NANOSECONDS_PER_MILLISECOND  # a pause longer than any between two bytes of one reply
_PSEUDO_TERMINAL_MAJORS = range(136, 144)  # Linux: the far ends of pseudo-terminals


class PortLost(MeterError):
    """The port went away or broke while it was open; only opening it anew can help."""


class Port(Protocol):
    """A line to a board. Every method but `close` raises `PortLost`."""

    def write(self, content: bytes) -> None:
        """Send bytes."""

    def receive(self, limit: int, deadline_ns: int) -> bytes:
        """Return the next bytes, `limit` at most; none when the deadline on the monotonic clock comes first."""

    def drain(self, deadline_ns: int) -> None:
        """Throw away what came, until the line is quiet or the deadline comes."""

    def close(self) -> None:
        """Let go of the line; harmless when that was done or the line is lost."""


class SerialPort:
    """A serial port in Linux, held by us alone."""

    def __init__(self, path: str, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        import serial

        self._clock = clock
        # termios.error is neither an OSError nor pyserial's error: an unplugged port raises it now and then.
        import termios

        self._errors = (serial.SerialException, OSError, termios.error)
        try:
            self._serial = serial.Serial(path, BAUD_RATE, timeout=0, exclusive=True)
        except self._errors as error:
            raise _why_not_open(path, error) from error

    @property
    def is_pseudo_terminal(self) -> bool:
        """Tell whether a program is at the other end, not a device; asked of the open port, not of its path."""
        return os.major(os.fstat(self._serial.fileno()).st_rdev) in _PSEUDO_TERMINAL_MAJORS

    def write(self, content: bytes) -> None:
        """Send bytes."""
        try:
            written_count = os.write(self._serial.fileno(), content)
        except self._errors as error:
            raise PortLost(f"writing to the port failed: {error}") from error
        if written_count < len(content):
            raise PortLost(f"the port took {written_count} of {len(content)} bytes")

    def receive(self, limit: int, deadline_ns: int) -> bytes:
        """Return the next bytes, none when the deadline comes first."""
        # pyserial's own read asks the kernel three times as often, which is half of what sampling costs.
        remaining_s = max(0, deadline_ns - self._clock()) / NANOSECONDS_PER_SECOND
        try:
            descriptor = self._serial.fileno()
            if not select.select([descriptor], [], [], remaining_s)[0]:
                return b""
            content = os.read(descriptor, limit)
        except self._errors as error:
            raise PortLost(f"reading from the port failed: {error}") from error
        if not content:
            raise PortLost("the port was hung up")
        return content

    def drain(self, deadline_ns: int) -> None:
        """Throw away what came, until nothing comes for a few milliseconds or the deadline comes."""
        while self._clock() < deadline_ns and self.receive(64, min(deadline_ns, self._clock() + _QUIET_NS)):
            pass

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(*self._errors):
            self._serial.close()


def find_board() -> str:
    """Return the path of the only board that is plugged in.

    Raises `MeterUnavailable` with a remedy when there is none or more than one.
    """
    from serial.tools import list_ports

    found = sorted(port.device for port in list_ports.comports() if (port.vid, port.pid) == USB_IDS)
    if not found:
        raise MeterUnavailable(
            "no MCP39F511N board (USB 04D8:00DD) is plugged in",
            remedy="plug it in, or name its serial port with the option port",
        )
    if len(found) > 1:
        raise MeterUnavailable(
            f"there are several boards with a USB bridge 04D8:00DD: {', '.join(found)}",
            remedy="name one with the option port, best by its path below /dev/serial/by-id",
        )
    return str(found[0])


def _why_not_open(path: str, error: Exception) -> MeterError:
    """Say what keeps a port from being opened, with a remedy where a person must act."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return MeterUnavailable(f"there is no port {path}", remedy="plug the board in or correct the option port")
    if not stat.S_ISCHR(mode):
        return MeterUnavailable(f"{path} is no serial port", remedy="correct the option port")
    if not os.access(path, os.R_OK | os.W_OK):
        return MeterUnavailable(
            f"{path} may not be opened by this user",
            remedy="add the user to the port's group (sudo usermod -aG dialout USER) and log in again",
        )
    return MeterError(f"{path} cannot be opened, perhaps another program holds it: {error}")

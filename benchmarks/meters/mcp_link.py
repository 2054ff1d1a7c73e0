"""Questions to an MCP39F511N and their answers: bounded retries, and never the answer to another question."""

import time
from collections.abc import Callable
from typing import TypeVar

from benchmarks.meters.base import MeterError
from benchmarks.meters.mcp_frames import (
    DEVICE_ID,
    PING,
    Answer,
    FrameError,
    FrameNoise,
    data_reply_length,
    parse_acknowledgement,
    parse_data_reply,
    parse_ping_reply,
    read_request,
    require_harmless,
    write_accumulation_interval,
)
from benchmarks.meters.mcp_port import Port
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

_MAX_REPLY_NS = 50 * NANOSECONDS_PER_MILLISECOND
_MIN_REPLY_NS = 12 * NANOSECONDS_PER_MILLISECOND  # a whole exchange takes 3 to 5 ms on USB

_PING_REPLY_LENGTH = 2

_Told = TypeVar("_Told")


class NoAnswer(MeterError):
    """The board gave no usable answer in the time and the attempts that there were."""


class BoardLink:
    """A line to one board.

    Replies do not say what they answer. So after any failure a late reply might pass for the next one's, as
    long as it is: 8 bytes of another register look like a power. Replies come in order, though; a ping whose
    own answer came proves that nothing older is under way. Until then nothing else is asked.
    """

    def __init__(self, port: Port, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._port = port
        self._clock = clock
        self._is_in_step = False
        self.sent_ns = 0
        self.received_ns = 0

    def ping(self, *, deadline_ns: int, attempts: int) -> None:
        """Make sure that an MCP39F511N answers."""
        self._ask(self._ping, deadline_ns, attempts)

    def read(self, address: int, count: int, *, deadline_ns: int, attempts: int) -> bytes:
        """Return `count` bytes from an address; `sent_ns` and `received_ns` then say when that was."""
        request = read_request(address, count)

        def exchange(until_ns: int) -> bytes:
            return parse_data_reply(self._exchange(request, data_reply_length(count), until_ns), count)

        return self._ask(exchange, deadline_ns, attempts)

    def write_accumulation_interval(self, exponent: int, *, deadline_ns: int, attempts: int) -> None:
        """Have the board average over `2 ** exponent` cycles from now on."""
        request = write_accumulation_interval(exponent)
        self._ask(lambda until_ns: parse_acknowledgement(self._exchange(request, 1, until_ns)), deadline_ns, attempts)

    def _ask(self, question: Callable[[int], _Told], deadline_ns: int, attempts: int) -> _Told:
        latest: FrameError | None = None
        for _ in range(attempts):
            if self._clock() >= deadline_ns:
                break
            try:
                if not self._is_in_step:
                    self._get_in_step(deadline_ns)
                answer = question(self._until_ns(deadline_ns))
            except FrameError as error:
                self._is_in_step, latest = False, error
            else:
                return answer
        reason = "there was no time to ask" if latest is None else str(latest)
        raise NoAnswer(f"the board gave no answer: {reason}") from latest

    def _until_ns(self, deadline_ns: int) -> int:
        """Return until when to wait for a reply, so that there is time for another attempt."""
        now_ns = self._clock()
        return min(deadline_ns, now_ns + max(_MIN_REPLY_NS, min(_MAX_REPLY_NS, (deadline_ns - now_ns) // 3)))

    def _get_in_step(self, deadline_ns: int) -> None:
        self._port.drain(deadline_ns)
        self._ping(self._until_ns(deadline_ns))
        self._is_in_step = True

    def _ping(self, until_ns: int) -> None:
        device_id = parse_ping_reply(self._exchange(PING, _PING_REPLY_LENGTH, until_ns, begin=Answer.REFUSED))
        if device_id != DEVICE_ID:
            raise FrameNoise(f"device {device_id:02X} answers, not an MCP39F511N ({DEVICE_ID:02X})")

    def _exchange(
        self, request: bytes, reply_length: int, until_ns: int, *, begin: Answer = Answer.ACKNOWLEDGED
    ) -> bytes:
        """Return the reply, which is shorter where it does not begin as it should or does not come in time."""
        require_harmless(request)  # the last gate, whoever built the bytes
        self.sent_ns = self._clock()
        self._port.write(request)
        reply = received = self._port.receive(reply_length, until_ns)
        while received and reply[0] == begin and len(reply) < reply_length:
            received = self._port.receive(reply_length - len(reply), until_ns)
            reply += received
        self.received_ns = self._clock()
        return reply

"""Frames of the measuring board and packed traces: generated, taken apart, held against an independent reading."""

from dataclasses import replace
from random import Random

from benchmarks.meters.base import Quantity, Reading
from benchmarks.meters.mcp_frames import (
    ForbiddenFrame,
    FrameError,
    parse_acknowledgement,
    parse_data_reply,
    parse_ping_reply,
    require_harmless,
)
from benchmarks.meters.mcp_registers import Outputs, Ranges
from benchmarks.meters.simulated_board import SimulatedBoard
from benchmarks.traces import PackedTrace, TraceError, pack, unpack
from tests.fuzz.tally import Tally, each

_READ, _WRITE, _SET = 0x4E, 0x4D, 0x41
_WRITABLE = {(0x00A0, 4), (0x00A8, 2)}
_FIRST_BYTES = (0x06, 0x06, 0x06, 0x15, 0x51, 0x00, 0xA5)
_OPERATIONS = (_SET, _SET, _READ, _WRITE, 0x53, 0x4F, 0x5A, 0x42, 0x50)


class Broken(AssertionError):
    """What was taken for sound is not."""


def fuzz_replies(random: Random, count: int) -> Tally:
    """Take replies apart: whatever passes is as long as was asked for and adds up."""
    tally = Tally("replies of the board")

    def one(_number: int) -> None:
        reply, wanted = reply_of(random)
        try:
            if wanted == 0:
                parse_acknowledgement(reply)
            elif wanted < 0:
                parse_ping_reply(reply)
            else:
                _check_content(reply, parse_data_reply(reply, wanted))
        except FrameError:
            tally.refused += 1
        except Exception as error:  # noqa: BLE001  whatever it is counts
            tally.fault(error, (reply, wanted))

    return each(tally, count, one)


def reply_of(random: Random) -> tuple[bytes, int]:
    """Return a reply and how many bytes were asked for; 0 for a write, -1 for the ping. Half of them are sound."""
    wanted = random.choice((-1, 0, 2, 4, 8, 16, 32))
    body = random.randbytes(max(wanted, 0))
    if wanted > 0:
        reply = bytes((0x06, wanted + 3)) + body
        reply += bytes((sum(reply) & 0xFF,))
    else:
        reply = b"\x06" if wanted == 0 else b"\x15\x03"
    step = random.random()
    if step < 0.5:
        return reply, wanted
    if step < 0.7:
        at = random.randrange(len(reply))
        return reply[:at] + random.randbytes(1) + reply[at + 1 :], wanted
    if step < 0.8:
        return reply[: random.randrange(len(reply))], wanted
    if step < 0.9:
        return reply + random.randbytes(random.randint(1, 3)), wanted
    return bytes((random.choice(_FIRST_BYTES),)) + random.randbytes(random.randint(0, 36)), wanted


def _check_content(reply: bytes, content: bytes) -> None:
    if len(reply) != len(content) + 3 or sum(reply[:-1]) & 0xFF != reply[-1] or reply[2:-1] != content:
        raise Broken("a reply passed that does not add up")
    if len(content) == 32:
        Outputs.from_registers(content)
    if len(content) == 8:
        Ranges.from_registers(content[:4], content[4:])


def fuzz_requests(random: Random, count: int) -> Tally:
    """Hold frames before the gate: what passes does nothing but point, read and write two known registers."""
    tally = Tally("frames on their way to the board")
    board = SimulatedBoard([], begins_at_ns=0)

    def one(number: int) -> None:
        frame = request_of(random)
        try:
            require_harmless(frame)
            _check_harmless(frame)
            board.receive(frame, number * 1_000_000)
        except ForbiddenFrame:
            tally.refused += 1
        except Exception as error:  # noqa: BLE001  whatever it is counts
            tally.fault(error, frame)

    each(tally, count, one)
    if board.destroyed_with:
        tally.note("the simulated board was destroyed", board.destroyed_with)
    return tally


def request_of(random: Random) -> bytes:
    """Return a frame of commands that mostly look sound, with a right checksum in most."""
    body = b"".join(_command(random) for _ in range(random.randint(1, 3)))
    unchecked = bytes((0xA5, (len(body) + 3) & 0xFF)) + body
    frame = unchecked + bytes((sum(unchecked) & 0xFF,))
    if random.random() < 0.1:
        at = random.randrange(len(frame))
        frame = frame[:at] + random.randbytes(1) + frame[at + 1 :]
    return frame


def _command(random: Random) -> bytes:
    operation = random.choice(_OPERATIONS)
    if operation == _SET:
        return bytes((_SET, 0, random.choice((0x02, 0xA0, 0xA8, 0xAE, random.randrange(256)))))
    if operation == _READ:
        return bytes((_READ, random.choice((1, 2, 32, 33, 0, 255))))
    if operation == _WRITE:
        return bytes((_WRITE, random.choice((2, 4, 0, 255)))) + random.randbytes(random.choice((2, 4)))
    return bytes((operation,)) + random.randbytes(random.randrange(3))


def _check_harmless(frame: bytes) -> None:
    """Take a frame apart without the product's code."""
    if frame == b"\x5a\x03\x5d":
        return
    if frame[0] != 0xA5 or frame[1] != len(frame) or sum(frame[:-1]) % 256 != frame[-1]:
        raise Broken("a frame passed that is none")
    at, address = 2, -1
    while at < len(frame) - 1:
        operation, length = frame[at], frame[at + 1]
        if operation == _SET:
            address, at = frame[at + 1] * 256 + frame[at + 2], at + 3
        elif operation == _READ and 1 <= length <= 32:
            address, at = -1, at + 2
        elif operation == _WRITE and (address, length) in _WRITABLE:
            address, at = -1, at + 2 + length
        else:
            raise Broken("a command passed that may not be sent")
    if at != len(frame) - 1:
        raise Broken("a frame passed whose last command lacks bytes")


def fuzz_board(random: Random, count: int) -> Tally:
    """Send anything to the simulated board, which must bear it and answer with sound replies."""
    tally, board = Tally("bytes sent to the simulated board"), SimulatedBoard([], begins_at_ns=0)

    def one(number: int) -> None:
        frame = request_of(random) if random.random() < 0.7 else random.randbytes(random.randint(1, 40))
        try:
            board.receive(frame, number * 10_000_000)
        except Exception as error:  # noqa: BLE001  whatever it is counts
            tally.fault(error, frame)

    return each(tally, count, one)


def fuzz_traces(random: Random, count: int) -> Tally:
    """Pack readings and read them back; spoil what was packed, which is read or refused."""
    tally = Tally("packed traces of samples")

    def one(_number: int) -> None:
        readings = _readings(random)
        trace = pack(readings, 99_000_000, 0, Quantity.POWER_MW)
        if [(read.at_ns, read.value) for read in unpack(trace)] != [(read.at_ns, read.value) for read in readings]:
            tally.note("readings were lost", readings)
        spoilt = _spoilt(random, trace)
        try:
            for reading in unpack(spoilt):
                if reading.window_ns <= 0:
                    raise Broken("a window that is none")
        except TraceError:
            tally.refused += 1
        except Exception as error:  # noqa: BLE001  whatever it is counts
            tally.fault(error, spoilt)

    return each(tally, count, one)


def _readings(random: Random) -> list[Reading]:
    at_ns, found = random.choice((0, 10**15, 2**62)), []
    for _ in range(random.randint(1, 6)):
        at_ns += random.choice((99_000_000, 1, 1_000, 10**12))
        window_ns = random.choice((99_000_000, 1, 10**9))
        found.append(Reading(at_ns, window_ns, random.choice((0, 5, -3, 10**6, 2**61, -(2**61)))))
    return found


def _spoilt(random: Random, trace: PackedTrace) -> PackedTrace:
    packed = bytearray(trace.packed)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(packed))
        packed[at : at + random.randint(0, 2)] = random.choice(
            (b"", b"\x80" * 12, b"\xff" * 9 + b"\x01", random.randbytes(1))
        )
        if not packed:
            packed = bytearray(b"\x00")
    strange: dict[str, object] = random.choice(
        (
            {},
            {},
            {},
            {"sample_count": random.choice((0, -1, 10**9, 2**40))},
            {"period_ns": random.choice((0, -5, 2**63))},
            {"window_ns": random.choice((-1, 2**63))},
            {"offset_unit_ns": random.choice((0, -1, 7))},
            {"format_version": random.choice((0, 1, 3))},
        )
    )
    return replace(trace, packed=bytes(packed), **strange)  # type: ignore[arg-type]

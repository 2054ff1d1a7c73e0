"""What can go wrong between a board and a computer, played with dice that a seed decides; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class FaultKind(StrEnum):
    """A way in which a reply, the line or the board goes wrong."""

    TRUNCATED = "truncated"
    WRONG_LENGTH = "wrong-length"
    WRONG_CHECKSUM = "wrong-checksum"
    NOISE = "noise"
    SILENCE = "silence"
    NAK = "nak"
    VANISH = "vanish"
    RANGE_6 = "range-6"


FOREIGN_POWER_RANGE = 6  # what another program that is in wide use leaves the board in
_NAK = b"\x15"


@dataclass(frozen=True, slots=True)
class BoardFault:
    """A fault that strikes each reply with a probability, or the first reply after a moment (s from the begin)."""

    kind: FaultKind
    rate: float = 0.0
    at_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1 or (self.at_s is not None and self.at_s < 0):
            raise ValueError(f"fault {self.kind}: a rate is from 0 to 1 and a time is not negative")


def parse_fault(text: str) -> BoardFault:
    """Read `KIND=RATE` or `KIND@SECONDS`; raise `ValueError` with what is wrong."""
    mark = "=" if "=" in text else "@"
    name, found, number_text = text.partition(mark)
    kinds = ", ".join(kind.value for kind in FaultKind)
    if not found or name not in set(FaultKind):
        raise ValueError(f"{text!r} is no fault: say KIND=RATE or KIND@SECONDS, where KIND is one of {kinds}")
    try:
        number = float(number_text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {number_text!r} is no number") from error
    kind = FaultKind(name)
    return BoardFault(kind, rate=number) if mark == "=" else BoardFault(kind, at_s=number)


class FaultDice:
    """Decide which fault strikes which reply, the same way for the same seed."""

    def __init__(self, faults: Sequence[BoardFault], *, seed: int = 0) -> None:
        self._rates = [fault for fault in faults if fault.at_s is None]
        self._moments = sorted((fault for fault in faults if fault.at_s is not None), key=lambda one: one.at_s or 0.0)
        self._random = Random(seed)
        self.struck: dict[FaultKind, int] = dict.fromkeys(FaultKind, 0)

    def throw(self, elapsed_s: float) -> FaultKind | None:
        """Return the fault that strikes the reply at that moment (s), None when it goes through unharmed."""
        kind = self._throw(elapsed_s)
        if kind is not None:
            self.struck[kind] += 1
        return kind

    def spoil(self, reply: bytes, kind: FaultKind) -> bytes:
        """Return what arrives of a reply."""
        match kind:
            case FaultKind.TRUNCATED:
                return reply[: self._random.randrange(len(reply))]
            case FaultKind.WRONG_LENGTH if len(reply) > 1:
                return bytes((reply[0], self._other(reply[1]))) + reply[2:]
            case FaultKind.WRONG_CHECKSUM if len(reply) > 1:
                return reply[:-1] + bytes((self._other(reply[-1]),))
            case FaultKind.NOISE:
                return bytes((self._random.randrange(256),)) + reply
            case FaultKind.SILENCE:
                return b""
            case FaultKind.NAK:
                return _NAK
        return reply

    def _throw(self, elapsed_s: float) -> FaultKind | None:
        if self._moments and (self._moments[0].at_s or 0.0) <= elapsed_s:
            return self._moments.pop(0).kind
        for fault in self._rates:
            if self._random.random() < fault.rate:
                return fault.kind
        return None

    def _other(self, byte: int) -> int:
        return (byte + self._random.randrange(1, 256)) % 256

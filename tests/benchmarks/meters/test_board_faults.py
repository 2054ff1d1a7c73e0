import pytest

from benchmarks.meters.board_faults import BoardFault, FaultDice, FaultKind, parse_fault

REPLY = bytes.fromhex("06 05 01 00 0C")


def dice(kind: FaultKind, *, rate: float = 1.0, seed: int = 0) -> FaultDice:
    return FaultDice([BoardFault(kind, rate=rate)], seed=seed)


class TestParseFault:
    def test_reads_a_rate(self) -> None:
        assert parse_fault("wrong-checksum=0.05") == BoardFault(FaultKind.WRONG_CHECKSUM, rate=0.05)

    def test_reads_a_moment(self) -> None:
        assert parse_fault("vanish@12.5") == BoardFault(FaultKind.VANISH, at_s=12.5)

    @pytest.mark.parametrize("text", ["vanish", "=0.1", "smoke=0.1", "noise=often", "noise=2", "noise=-1", "nak@-1"])
    def test_says_what_is_wrong(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"fault|number"):
            parse_fault(text)


class TestFaultDice:
    def test_strike_at_their_rate_the_same_way_for_a_seed(self) -> None:
        first, second = (dice(FaultKind.NAK, rate=0.1, seed=7) for _ in range(2))
        throws = [first.throw(0) for _ in range(2_000)]

        assert throws == [second.throw(0) for _ in range(2_000)]
        assert first.struck[FaultKind.NAK] == pytest.approx(200, abs=50)

    def test_strike_once_at_a_moment(self) -> None:
        thrown = FaultDice([BoardFault(FaultKind.SILENCE, at_s=2), BoardFault(FaultKind.NAK, at_s=1)])

        assert [thrown.throw(at_s) for at_s in (0.5, 1.5, 1.6, 2.1, 3)] == [
            None,
            FaultKind.NAK,
            None,
            FaultKind.SILENCE,
            None,
        ]

    @pytest.mark.parametrize("seed", range(20))
    def test_spoil_a_reply_as_they_say(self, seed: int) -> None:
        spoilt = {kind: dice(kind, seed=seed).spoil(REPLY, kind) for kind in FaultKind}

        assert REPLY.startswith(spoilt[FaultKind.TRUNCATED])
        assert len(spoilt[FaultKind.TRUNCATED]) < len(REPLY)
        assert spoilt[FaultKind.WRONG_LENGTH][1] != REPLY[1]
        assert spoilt[FaultKind.WRONG_LENGTH][2:] == REPLY[2:]
        assert spoilt[FaultKind.WRONG_CHECKSUM][:-1] == REPLY[:-1]
        assert spoilt[FaultKind.WRONG_CHECKSUM][-1] != REPLY[-1]
        assert spoilt[FaultKind.NOISE][1:] == REPLY
        assert spoilt[FaultKind.SILENCE] == b""
        assert spoilt[FaultKind.NAK] == b"\x15"

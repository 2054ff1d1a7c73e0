from collections.abc import Mapping, Sequence

import pytest

from benchmarks.cooldown import Cooldown, CooldownRule, Cooling, Ending, Watch, cool_down

RULE = CooldownRule(limit_c=60, hysteresis_c=5, timeout_s=10, interval_s=1)

Look = Mapping[str, float | None]


def cooled(looks: Sequence[Look], rule: CooldownRule = RULE) -> Cooldown:
    """Wait on sensors that say `looks` one after the other, the latest for ever; sleeping moves the clock."""
    now_s = [100.0]
    rest = list(looks)

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    return cool_down(
        read=lambda: rest.pop(0) if len(rest) > 1 else rest[0], rule=rule, clock_s=lambda: now_s[0], sleep=sleep
    )


def cpu(*temperatures_c: float | None) -> list[Look]:
    return [{"cpu": temperature_c} for temperature_c in temperatures_c]


class TestCoolDown:
    @pytest.mark.parametrize(
        ("looks", "ending", "waited_s", "before_c", "after_c"),
        [
            (cpu(60), Ending.COOL, 0, 60, 60),
            (cpu(57), Ending.COOL, 0, 57, 57),
            (cpu(61, 58, 56, 55), Ending.COOLED, 3, 61, 55),
            (cpu(61, 54, 70), Ending.COOLED, 1, 61, 54),
            (cpu(80, 70), Ending.TIMED_OUT, 10, 80, 70),
            ([{"cpu": 50, "gpu": 75}, {"cpu": 58, "gpu": 50}, {"cpu": 50, "gpu": 50}], Ending.COOLED, 2, 75, 50),
            (cpu(70, None, None, 50), Ending.COOLED, 3, 70, 50),
            (cpu(70, None), Ending.TIMED_OUT, 10, 70, 70),
            ([{"cpu": 70}, {}], Ending.TIMED_OUT, 10, 70, 70),
            (cpu(None), Ending.UNKNOWN, 0, None, None),
            ([{}], Ending.UNKNOWN, 0, None, None),
        ],
        ids=[
            "at the limit",
            "between the two limits without having been hot",
            "hot, so it waits for the lower limit",
            "cold once is enough",
            "stays hot",
            "the hottest sensor decides",
            "unreadable in between",
            "unreadable from then on counts as hot",
            "a sensor that vanished counts as hot",
            "no sensor can be read",
            "no sensor at all",
        ],
    )
    def test_ends(
        self, looks: list[Look], ending: Ending, waited_s: float, before_c: float | None, after_c: float | None
    ) -> None:
        result = cooled(looks)

        assert (result.ending, result.waited_s) == (ending, waited_s)
        assert (result.hottest_before_c, result.hottest_after_c) == (before_c, after_c)

    def test_sleeps_no_longer_than_it_may(self) -> None:
        assert cooled(cpu(80), CooldownRule(timeout_s=2.5, interval_s=2)).waited_s == 2.5

    @pytest.mark.parametrize(
        ("looks", "reason"),
        [
            (cpu(41.4), "cool at 41 °C"),
            (cpu(72, 54), "cooled from 72 °C to 54 °C in 1 s"),
            (cpu(72), "still at 72 °C after 10 s, went on hot"),
            (cpu(None), "no temperature can be read, so nobody knows whether it is cool; not readable: cpu"),
            ([{"cpu": 40, "gpu A": None}], "cool at 40 °C; not readable: gpu A"),
        ],
    )
    def test_says_why_it_went_on(self, looks: list[Look], reason: str) -> None:
        assert cooled(looks).reason == reason


class TestWatch:
    def wait(self, looks: Sequence[Look], wanted: Sequence[bool]) -> tuple[Cooldown, list[Cooling]]:
        answers, begun, now_s = iter(wanted), [], [0.0]
        rest = list(looks)

        def sleep(seconds: float) -> None:
            now_s[0] += seconds

        cooldown = cool_down(
            read=lambda: rest.pop(0) if len(rest) > 1 else rest[0],
            rule=RULE,
            clock_s=lambda: now_s[0],
            sleep=sleep,
            watch=Watch(is_wanted=lambda: next(answers), on_begin=begun.append),
        )
        return cooldown, begun

    def test_ends_a_wait_that_nobody_wants_any_more(self) -> None:
        cooldown, begun = self.wait(cpu(71), [True, True, False])

        assert (cooldown.ending, cooldown.waited_s) == (Ending.HALTED, 3)
        assert cooldown.reason == "given up at 71 °C after 3 s"
        assert [one.words for one in begun] == ["cooling down from 71 °C to 55 °C, for 10 s at most"]

    def test_is_told_of_no_wait_where_it_is_cool(self) -> None:
        cooldown, begun = self.wait(cpu(60), [])

        assert (cooldown.ending, begun) == (Ending.COOL, [])


class TestCooldownRule:
    @pytest.mark.parametrize("wrong", [{"hysteresis_c": -1}, {"timeout_s": -1}, {"interval_s": 0}])
    def test_refuses_what_cannot_be_followed(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="cannot be followed"):
            CooldownRule(**wrong)

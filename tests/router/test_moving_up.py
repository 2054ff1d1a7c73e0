import dataclasses

import pytest

from router.moving_up import move_up, probability
from router.policy import Candidate, Choice, Evidence, NoLargerModel


def known(key: int, sci: float | None, p: float | None, *, quality: str = "measured") -> Evidence:
    return Evidence(key, f"model-{key}", sci, quality if sci is not None else "missing", None, 1, p=p)


def choice_of(*evidence: Evidence) -> Choice:
    return Choice(evidence[0], "dial", "as before", tuple(Candidate(one, one is evidence[0], "") for one in evidence))


class TestMoveUp:
    @pytest.mark.parametrize(
        ("evidence", "refused", "chosen"),
        [
            pytest.param(
                [known(1, 1, 0.5), known(2, 9, 0.9), known(3, 4, 0.7)], [1], 3, id="the next, not the largest"
            ),
            pytest.param([known(1, 1, 0.5), known(2, 2, 0.4), known(3, 4, 0.7)], [1], 3, id="not a less probable one"),
            pytest.param([known(1, 3, 0.5), known(2, 2, 0.9), known(3, 4, 0.6)], [1], 3, id="not a cheaper one"),
            pytest.param(
                [known(1, 1, 0.5), known(2, 2, 0.6), known(3, 4, 0.7)], [1, 2], 3, id="not one refused before"
            ),
            pytest.param([known(1, 1, 1.0), known(2, 2, 1.0)], [1], 2, id="one that is as probable"),
            pytest.param([known(1, 1, 0.5), known(2, 2, None), known(3, 4, 0.7)], [1], 3, id="a judged one first"),
            pytest.param([known(1, 1, 0.5), known(2, 2, None), known(3, 4, 0.1)], [1], 2, id="else an unjudged one"),
            pytest.param([known(1, 1, 0.5), known(2, None, 0.9), known(3, 4, 0.7)], [1], 3, id="not one without SCI"),
            pytest.param([known(1, None, 0.5), known(2, 2, 0.7)], [1], 2, id="the refused one without SCI"),
            pytest.param([known(1, 1, 0.5), known(2, 2, 0.7)], [99], 1, id="the refused one is active no more"),
            pytest.param(
                [known(1, 1, 0.5), known(2, 2, 0.9, quality="estimated"), known(3, 4, 0.7)],
                [1],
                3,
                id="of like quality",
            ),
        ],
    )
    def test_goes_to_the_next_larger_model(self, evidence: list[Evidence], refused: list[int], chosen: int) -> None:
        moved = move_up(choice_of(*evidence), refused)
        assert (moved.chosen.deployment_id, moved.reason) == (chosen, "refused")
        assert [one.evidence.deployment_id for one in moved.candidates if one.is_chosen] == [chosen]
        assert all(one.reason for one in moved.candidates)
        assert f"model-{chosen}" in moved.explanation

    @pytest.mark.parametrize(
        ("evidence", "refused"),
        [
            pytest.param([known(1, 1, 0.5)], [1], id="the only model"),
            pytest.param([known(1, 9, 0.5), known(2, 1, 0.9)], [1], id="the largest"),
            pytest.param([known(1, 1, 0.5), known(2, 2, 0.4)], [1], id="a worse one alone"),
        ],
    )
    def test_says_so_where_none_is_larger(self, evidence: list[Evidence], refused: list[int]) -> None:
        with pytest.raises(NoLargerModel, match="larger than model-1"):
            move_up(choice_of(*evidence), refused)

    def test_tells_why_each_was_passed_over(self) -> None:
        evidence = [
            known(1, 2, 0.5), known(2, 1, 0.9), known(3, 3, 0.4), known(4, 4, 0.7), known(5, 5, 0.9),
            known(6, None, 0.9), known(7, 6, 0.9, quality="estimated"),
        ]  # fmt: skip
        told = [one.reason for one in move_up(choice_of(*evidence), [1]).candidates]
        assert [reason.split(" ")[1] for reason in told] == ["answer", "costs", "is", "is", "costs", "has", "energy"]
        assert told[2] == "It is less likely to be right than the refused one."
        assert told[3] == "It is the next larger model."


class TestProbability:
    @pytest.mark.parametrize(
        ("p", "verdict", "expected"), [(0.3, True, 0.3), (None, True, 1), (None, False, 0), (None, None, None)]
    )
    def test_is_estimated_or_the_verdict(self, p: float | None, verdict: bool | None, expected: float | None) -> None:
        assert probability(dataclasses.replace(known(1, 1, p), is_correct=verdict)) == expected

"""What is expected of a cascade over measured answers to one prompt."""

import pytest

from router.expected_answers import AnswerOutcome, expected_answer, plan_as_json, plan_from_json
from router.policy import PlannedRun, Trust

TRUST = Trust(acceptance=0.5, precision=0.75, right_share=0.5)  # accepts 3/4 of right answers, 1/4 of wrong ones
PLAN = (PlannedRun(1, "tests", None, TRUST), PlannedRun(3))


def answers(*, cheap: bool | None = True, dear: bool | None = True) -> dict[int, AnswerOutcome]:
    return {
        1: AnswerOutcome(7, 1, "cheap", 2.0, 1.0, "measured", cheap),
        2: AnswerOutcome(7, 2, "beside", 6.0, 3.0, "measured", True),
        3: AnswerOutcome(7, 3, "dear", 20.0, 10.0, "measured", dear),
    }


class TestExpectedAnswer:
    def test_charges_every_run_and_weighs_whose_answer_stands(self) -> None:
        found = expected_answer(PLAN, answers(dear=False))
        assert found is not None
        assert (found.prompt_id, found.deployment_id, found.model, found.quality) == (7, 1, "cheap", "measured")
        assert found.sci_gco2e == pytest.approx(1 + 0.25 * 10)
        assert found.energy_j == pytest.approx(2 + 0.25 * 20)
        assert found.is_correct == pytest.approx(0.75)

    def test_charges_the_model_beside_it(self) -> None:
        found = expected_answer((PlannedRun(1, "agreement", 2, TRUST), PlannedRun(3)), answers())
        assert found is not None
        assert found.sci_gco2e == pytest.approx(1 + 3 + 0.25 * 10)

    def test_does_not_know_what_was_not_judged(self) -> None:
        found = expected_answer(PLAN, answers(cheap=None))
        assert found is not None
        assert (found.is_correct, found.sci_gco2e) == (None, pytest.approx(1 + 0.5 * 10))

    def test_adds_no_energies_of_unlike_quality(self) -> None:
        dear = AnswerOutcome(7, 3, "dear", 20.0, 10.0, "estimated", True)
        found = expected_answer(PLAN, answers() | {3: dear})
        assert found is not None
        assert (found.sci_gco2e, found.energy_j, found.quality) == (None, None, "missing")
        assert found.is_correct == pytest.approx(1.0)

    def test_is_not_known_without_an_answer_of_the_first_model(self) -> None:
        without = {key: one for key, one in answers().items() if key != 1}
        assert expected_answer(PLAN, without) is None


def test_a_plan_is_stored_and_read_back() -> None:
    read = plan_from_json(plan_as_json(PLAN))
    assert read == PLAN
    assert read[0].trust == TRUST
    assert plan_from_json([]) == ()

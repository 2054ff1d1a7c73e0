import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy import Candidate, Choice, Evidence, NoCandidate, choose_nearest, stay_with

NUMBERS = itertools.count(1)


def known(
    model: str, sci: float | None = 1.0, *, correct: bool | None = True, quality: str = "estimated", deployment: int = 0
) -> Evidence:
    quality = quality if sci is not None else "missing"
    return Evidence(deployment or next(NUMBERS), model, sci, quality, correct, 1)


def candidate(choice: Choice, model: str) -> Candidate:
    return next(one for one in choice.candidates if one.evidence.model == model)


class TestNearest:
    @pytest.mark.parametrize(
        ("evidence", "chosen", "reason"),
        [
            pytest.param([known("only")], "only", "cheapest_correct", id="one model"),
            pytest.param(
                [known("a", 3.0), known("b", 2.0), known("c", 4.0)],
                "b",
                "cheapest_correct",
                id="all right: the cheapest",
            ),
            pytest.param(
                [known("cheap", 1.0, correct=False), known("dear", 9.0)],
                "dear",
                "cheapest_correct",
                id="cheap one wrong",
            ),
            pytest.param(
                [known("cheap", 1.0, correct=None), known("dear", 9.0)],
                "dear",
                "cheapest_correct",
                id="cheap one unjudged",
            ),
            pytest.param(
                [known("b", 2.0, correct=False), known("a", 3.0, correct=False)],
                "b",
                "cheapest_none_correct",
                id="none right: the cheapest",
            ),
            pytest.param(
                [known("b", 2.0, correct=None), known("a", 3.0, correct=None)],
                "b",
                "cheapest_none_correct",
                id="none judged: the cheapest",
            ),
            pytest.param([known("zeta", 2.0), known("alpha", 2.0)], "alpha", "cheapest_correct", id="tie: by name"),
            pytest.param(
                [known("b", 2.0, correct=False), known("a", 2.0, correct=False)],
                "a",
                "cheapest_none_correct",
                id="tie with none right: by name",
            ),
            pytest.param(
                [known("unmeasured", None), known("dear", 9.0)], "dear", "cheapest_correct", id="right one without SCI"
            ),
            pytest.param(
                [known("unmeasured", None), known("wrong", 9.0, correct=False)],
                "wrong",
                "cheapest_none_correct",
                id="only right one without SCI",
            ),
            pytest.param(
                [known("a", 1.0, quality="simulated"), known("b", 5.0), known("c", 6.0)],
                "b",
                "cheapest_correct",
                id="cheapest is of the rarer quality",
            ),
            pytest.param(
                [known("a", 1.0, quality="estimated"), known("b", 5.0, quality="measured")],
                "b",
                "cheapest_correct",
                id="qualities equally common: the better",
            ),
            pytest.param(
                [
                    known("a", 1.0, correct=False),
                    known("b", 2.0, correct=False),
                    known("c", 5.0, quality="measured"),
                ],
                "c",
                "cheapest_correct",
                id="the only right one is of the rarer quality",
            ),
        ],
    )
    def test_chooses_as_the_paper_does(self, evidence: list[Evidence], chosen: str, reason: str) -> None:
        choice = choose_nearest(evidence)
        assert (choice.chosen.model, choice.reason) == (chosen, reason)

    def test_prefers_the_deployment_added_first_among_equals_of_one_model(self) -> None:
        choice = choose_nearest([known("same", deployment=902), known("same", deployment=901)])
        assert choice.chosen.deployment_id == 901

    def test_refuses_an_empty_federation_with_the_remedy(self) -> None:
        with pytest.raises(NoCandidate, match=r"no active model; add one with manage\.py add_model"):
            choose_nearest([])

    def test_refuses_to_rank_what_was_never_measured(self) -> None:
        with pytest.raises(NoCandidate, match=r"No active model has an SCI .* manage\.py run_study"):
            choose_nearest([known("a", None), known("b", None, correct=False)])


class TestExplanation:
    def test_counts_the_right_models_and_names_the_chosen_with_its_figure(self) -> None:
        choice = choose_nearest([known("a", 0.002), known("b", 0.003), known("c", 0.001, correct=False)])
        assert choice.explanation == (
            "2 of 3 models answered the nearest known prompt right; of these a has the lowest estimated SCI (2 mgCO2e)."
        )

    def test_says_that_none_was_right(self) -> None:
        choice = choose_nearest([known("a", 0.002, correct=False)])
        assert choice.explanation.startswith("No model ")
        assert "the cheapest one was chosen: a (2 mgCO2e, estimated)" in choice.explanation

    def test_does_not_deny_a_right_answer_whose_energy_is_missing(self) -> None:
        choice = choose_nearest([known("right", None), known("wrong", 0.002, correct=False)])
        assert "with an SCI" in choice.explanation
        assert "with an SCI" in candidate(choice, "wrong").reason

    def test_counts_right_models_of_another_quality_too(self) -> None:
        choice = choose_nearest([known("a", 1.0), known("b", 2.0), known("c", 0.5, quality="simulated")])
        assert choice.explanation.startswith("3 of 3 models")


class TestCandidates:
    @pytest.mark.parametrize(
        ("loser", "why"),
        [
            pytest.param(known("x", None), "It has no SCI on the nearest known prompt.", id="not measured"),
            pytest.param(known("x", 0.0005, correct=False), "It answered the nearest known prompt wrong.", id="wrong"),
            pytest.param(
                known("x", 0.0005, correct=None),
                "Nobody has judged its answer to the nearest known prompt.",
                id="unjudged",
            ),
            pytest.param(
                known("x", 0.0005, quality="simulated"),
                "Its energy is simulated, that of most others estimated: they are not ranked together.",
                id="another quality",
            ),
            pytest.param(known("x", 0.002), "It costs more: 2 mgCO2e against 1 mgCO2e.", id="dearer"),
            pytest.param(known("x", 0.001), "It costs the same; ties go to the name that sorts first.", id="tie"),
        ],
    )
    def test_say_why_they_lost(self, loser: Evidence, why: str) -> None:
        choice = choose_nearest([known("chosen", 0.001), known("other", 0.0015), loser])
        assert candidate(choice, "x").reason == why

    @pytest.mark.parametrize("correct", [None, False], ids=["unjudged", "wrong"])
    def test_say_that_they_cost_more_where_none_was_right(self, correct: bool | None) -> None:
        choice = choose_nearest([known("cheap", 0.001, correct=False), known("dear", 0.002, correct=correct)])
        assert candidate(choice, "dear").reason == "It costs more: 2 mgCO2e against 1 mgCO2e."

    def test_are_listed_by_cost_with_the_unmeasured_last(self) -> None:
        choice = choose_nearest([known("none", None), known("b", 2.0), known("a", 1.0, correct=False)])
        assert [one.evidence.model for one in choice.candidates] == ["a", "b", "none"]


EVIDENCE = st.builds(
    Evidence,
    deployment_id=st.integers(1, 10**6),
    model=st.text(st.characters(codec="ascii"), min_size=1, max_size=4),
    sci_gco2e=st.floats(1e-9, 1e3),
    quality=st.sampled_from(["measured", "component", "estimated", "simulated"]),
    is_correct=st.sampled_from([True, False, None]),
    response_count=st.integers(1, 5),
)


class TestProperties:
    @pytest.mark.slow
    @given(st.lists(EVIDENCE, min_size=1, max_size=8, unique_by=lambda one: one.deployment_id))
    def test_one_is_chosen_and_every_candidate_has_a_reason(self, evidence: list[Evidence]) -> None:
        choice = choose_nearest(evidence)
        assert [one.evidence for one in choice.candidates if one.is_chosen] == [choice.chosen]
        assert len(choice.candidates) == len(evidence)
        assert all(one.reason for one in choice.candidates)

    @pytest.mark.slow
    @given(st.lists(EVIDENCE, min_size=1, max_size=8, unique_by=lambda one: one.deployment_id))
    def test_a_right_model_is_never_passed_over_for_a_wrong_one(self, evidence: list[Evidence]) -> None:
        choice = choose_nearest(evidence)
        assert (choice.chosen.is_correct is True) == any(one.is_correct for one in evidence)

    @pytest.mark.slow
    @given(st.lists(EVIDENCE, min_size=1, max_size=8, unique_by=lambda one: one.deployment_id), st.randoms())
    def test_the_order_of_the_evidence_does_not_matter(self, evidence: list[Evidence], random: object) -> None:
        shuffled = sorted(evidence, key=lambda _: random.random())  # type: ignore[attr-defined]
        assert choose_nearest(shuffled).chosen == choose_nearest(evidence).chosen


class TestStaying:
    def test_keeps_the_model_of_the_conversation_and_says_what_else_would_be(self) -> None:
        choice = choose_nearest([known("cheap", 1.0, deployment=1), known("dear", 9.0, deployment=2, correct=False)])
        stayed = stay_with(choice, 2)
        assert (stayed.chosen.model, stayed.reason) == ("dear", "conversation")
        assert "stays on dear" in stayed.explanation
        assert "would go to cheap" in stayed.explanation
        assert choice.explanation in stayed.explanation
        assert [(one.evidence.model, one.is_chosen) for one in stayed.candidates] == [("cheap", False), ("dear", True)]
        assert candidate(stayed, "dear").reason == "The conversation stays on it."
        assert "began a conversation" in candidate(stayed, "cheap").reason

    def test_keeps_a_model_without_an_sci(self) -> None:
        choice = choose_nearest([known("cheap", 1.0, deployment=1), known("new", None, deployment=2)])
        stayed = stay_with(choice, 2)
        assert (stayed.chosen.model, stayed.chosen.sci_gco2e, stayed.chosen.quality) == ("new", None, "missing")

    @pytest.mark.parametrize("deployment", [1, 99], ids=["is the choice anyhow", "is not active any more"])
    def test_changes_nothing_where_there_is_nothing_to_keep(self, deployment: int) -> None:
        choice = choose_nearest([known("cheap", 1.0, deployment=1), known("dear", 9.0, deployment=2)])
        assert stay_with(choice, deployment) is choice

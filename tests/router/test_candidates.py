import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.federating import activate, retire
from benchmarks.models import InferenceServer, Response
from labeling.models import Label
from router.candidates import evidence_on
from router.policy import Evidence
from tests import factories as make

pytestmark = pytest.mark.django_db


def evidence_of(prompt_id: int, model: str) -> Evidence:
    [found] = [one for one in evidence_on([prompt_id])[prompt_id] if one.model == model]
    return found


class TestEvidence:
    def test_holds_the_score_its_quality_and_the_verdict(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        response = make.make_response(prompt, deployment, energy_j=20.0, verdict="correct")
        found = evidence_of(prompt.pk, "tiny")
        assert response.measurement is not None
        assert found == Evidence(deployment.pk, "tiny", response.measurement.sci_gco2e, "estimated", True, 1, 1)

    def test_is_there_for_every_active_model_even_where_nothing_is_known(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("new")
        assert evidence_on([prompt.pk]) == {prompt.pk: [Evidence(deployment.pk, "new", None, "missing", None, 0)]}

    def test_keeps_prompts_apart(self) -> None:
        right, wrong, deployment = make.make_prompt(), make.make_prompt(), make.make_deployment()
        make.make_response(right, deployment, verdict="correct")
        make.make_response(wrong, deployment, verdict="incorrect")
        found = evidence_on([right.pk, wrong.pk])
        assert [found[right.pk][0].is_correct, found[wrong.pk][0].is_correct] == [True, False]

    def test_ignores_answers_that_are_not_finished(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        response = make.make_response(prompt, deployment, verdict="correct")
        Response.objects.filter(pk=response.pk).update(state=Response.State.CANCELLED)
        assert evidence_of(prompt.pk, "tiny").response_count == 0

    @pytest.mark.parametrize("state", ["candidate", "evaluating", "labeling", "retired"])
    def test_leaves_out_a_deployment_that_is_not_active(self, state: str) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny", state=state)
        make.make_response(prompt, deployment, verdict="correct")
        assert evidence_on([prompt.pk]) == {prompt.pk: []}

    def test_takes_nothing_of_what_a_router_answered(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        study = make.make_study(kind="router")
        make.make_response(prompt, deployment, study=study, verdict="correct")
        assert evidence_of(prompt.pk, "tiny").response_count == 0

    def test_leaves_out_a_router_even_if_somebody_made_it_active(self) -> None:
        prompt, router = make.make_prompt(), make.make_deployment("auto")
        InferenceServer.objects.update(is_router=True)
        make.make_response(prompt, router, study=make.make_study(kind="router"), verdict="correct")
        assert evidence_on([prompt.pk]) == {prompt.pk: []}

    def test_leaves_out_embedders(self) -> None:
        make.make_deployment("embedder", purpose="embedding")
        assert evidence_on([make.make_prompt().pk]).popitem()[1] == []

    def test_returns_with_a_model_that_is_active_again(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        make.make_response(prompt, deployment, verdict="correct")
        before = evidence_of(prompt.pk, "tiny")
        retire(deployment=deployment, now=make.NOW)
        assert evidence_on([prompt.pk]) == {prompt.pk: []}
        activate(deployment=deployment, now=make.NOW)
        assert evidence_of(prompt.pk, "tiny") == before


class TestVerdict:
    @pytest.mark.parametrize(
        ("verdicts", "is_correct"),
        [
            pytest.param(["correct", "correct", "incorrect"], True, id="majority right"),
            pytest.param(["incorrect", "incorrect", "correct"], False, id="majority wrong"),
            pytest.param(["correct", "incorrect"], None, id="tie"),
            pytest.param(["correct", ""], True, id="one answer unjudged"),
            pytest.param(["unsure"], None, id="unsure"),
            pytest.param([""], None, id="unjudged"),
        ],
    )
    def test_is_that_of_most_answers(self, verdicts: list[str], is_correct: bool | None) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        for verdict in verdicts:
            make.make_response(prompt, deployment, verdict=verdict)
        found = evidence_of(prompt.pk, "tiny")
        assert (found.is_correct, found.response_count) == (is_correct, len(verdicts))

    def test_is_shared_by_the_deployments_of_one_model_while_the_score_is_not(self) -> None:
        prompt = make.make_prompt()
        near = make.make_deployment("tiny", server=make.make_server(base_url="http://near:1"))
        far = make.make_deployment("tiny", server=make.make_server(base_url="http://far:1"))
        make.make_response(prompt, near, verdict="correct")
        found = {one.deployment_id: one for one in evidence_on([prompt.pk])[prompt.pk]}
        assert (found[near.pk].is_correct, found[far.pk].is_correct) == (True, True)
        assert found[near.pk].sci_gco2e is not None
        assert (found[far.pk].sci_gco2e, found[far.pk].quality) == (None, "missing")

    def test_is_not_shared_by_weights_of_one_name_and_another_digest(self) -> None:
        prompt = make.make_prompt()
        old = make.make_deployment("tiny", digest="old", server=make.make_server(base_url="http://a:1"))
        new = make.make_deployment("tiny", digest="new", server=make.make_server(base_url="http://b:1"))
        make.make_response(prompt, old, verdict="correct")
        found = {one.deployment_id: one.is_correct for one in evidence_on([prompt.pk])[prompt.pk]}
        assert found == {old.pk: True, new.pk: None}

    def test_of_a_person_outweighs_a_grader_at_once(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        response = make.make_response(prompt, deployment, verdict="correct")
        Label.objects.create(
            response=response, verdict="incorrect", source=Label.Source.PERSON, labeler=make.make_user()
        )
        assert evidence_of(prompt.pk, "tiny").is_correct is False


class TestScore:
    def test_is_the_mean_over_the_answers(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        made = [make.make_response(prompt, deployment, energy_j=energy_j) for energy_j in (10.0, 30.0)]
        scores = [response.measurement.sci_gco2e for response in made]  # type: ignore[union-attr]
        assert evidence_of(prompt.pk, "tiny").sci_gco2e == pytest.approx(sum(scores) / 2)  # type: ignore[arg-type]

    def test_is_of_the_best_quality_there_is(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        make.make_response(prompt, deployment, energy_j=1.0, quality="estimated")
        best = make.make_response(prompt, deployment, energy_j=50.0, quality="measured").measurement
        found = evidence_of(prompt.pk, "tiny")
        assert best is not None
        assert (found.sci_gco2e, found.quality) == (best.sci_gco2e, "measured")

    def test_is_missing_where_the_energy_is_missing(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        make.make_response(prompt, deployment, energy_j=None, verdict="correct")
        found = evidence_of(prompt.pk, "tiny")
        assert (found.sci_gco2e, found.quality, found.is_correct) == (None, "missing", True)

    def test_of_a_gap_does_not_pull_the_mean_down(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        whole = make.make_response(prompt, deployment, energy_j=30.0).measurement
        make.make_response(prompt, deployment, energy_j=None)
        assert whole is not None
        assert evidence_of(prompt.pk, "tiny").sci_gco2e == pytest.approx(whole.sci_gco2e)

    def test_of_zero_is_a_score_and_not_a_missing_one(self) -> None:
        prompt, deployment = make.make_prompt(), make.make_deployment("tiny")
        measurement = make.make_response(prompt, deployment).measurement
        assert measurement is not None
        measurement.sci_gco2e = 0.0
        measurement.save()
        found = evidence_of(prompt.pk, "tiny")
        assert (found.sci_gco2e, found.quality) == (0.0, "estimated")


class TestQueries:
    @pytest.mark.slow
    @pytest.mark.parametrize("count", [1, 6])
    def test_are_three_however_much_there_is(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        prompts = [make.make_prompt() for _ in range(count)]
        for number in range(count):
            deployment = make.make_deployment(f"model-{number}")
            for prompt in prompts:
                make.make_response(prompt, deployment, verdict="correct")
        with django_assert_num_queries(3):
            evidence_on([prompt.pk for prompt in prompts])

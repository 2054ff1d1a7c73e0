import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response
from labeling.models import Label
from labeling.verdicts import UNDECIDED, Decision, Judgement, decide, verdicts_of
from tests.factories import (
    NOW,
    make_deployment,
    make_grader_label,
    make_label,
    make_prompt,
    make_response,
    make_study,
    make_user,
)

# Labels as "source: verdicts", c correct, i incorrect, u unsure; then what they decide.
RULE = {
    "nobody said anything": ({}, UNDECIDED),
    "one person: correct": ({"person": "c"}, Decision(True, "person", 1)),
    "one person: incorrect": ({"person": "i"}, Decision(False, "person", 1)),
    "a majority of people": ({"person": "cic"}, Decision(True, "person", 3)),
    "a tie of people": ({"person": "ci"}, Decision(None, "person", 2, is_disputed=True)),
    "a tie of four": ({"person": "ciic"}, Decision(None, "person", 4, is_disputed=True)),
    "unsure votes for neither side": ({"person": "cu"}, Decision(True, "person", 2)),
    "unsure does not break a tie": ({"person": "ciu"}, Decision(None, "person", 3, is_disputed=True)),
    "only unsure": ({"person": "uu"}, UNDECIDED),
    "a grader alone": ({"grader": "i"}, Decision(False, "grader", 1)),
    "a person before a grader": ({"grader": "c", "person": "i"}, Decision(False, "person", 1)),
    "a person before many graders": ({"grader": "ccc", "person": "i"}, Decision(False, "person", 1)),
    "a person before imported labels": ({"imported": "cc", "person": "i"}, Decision(False, "person", 1)),
    "imported labels before a grader": ({"grader": "c", "imported": "i"}, Decision(False, "imported", 1)),
    "a majority of imported labels": ({"imported": "cci"}, Decision(True, "imported", 3)),
    "an unsure person leaves it to the next source": ({"person": "u", "grader": "c"}, Decision(True, "grader", 1)),
    "a dispute of people is not settled by a machine": (
        {"person": "ci", "grader": "c"},
        Decision(None, "person", 2, is_disputed=True),
    ),
}
VERDICTS = {"c": "correct", "i": "incorrect", "u": "unsure"}


class TestDecide:
    @pytest.mark.parametrize(("labels", "decision"), RULE.values(), ids=RULE)
    def test_follows_the_rule(self, labels: dict[str, str], decision: Decision) -> None:
        judgements = [Judgement(source, VERDICTS[letter]) for source, given in labels.items() for letter in given]

        assert decide(judgements) == decision
        assert decide(judgements[::-1]) == decision


@pytest.mark.django_db
class TestVerdictsOf:
    @pytest.fixture
    def response(self) -> Response:
        return make_response(make_prompt(), make_deployment())

    def test_counts_a_persons_label_before_a_graders(self, response: Response) -> None:
        make_grader_label(response, "correct")
        assert verdicts_of([response.pk]) == {response.pk: Decision(True, "grader", 1)}

        make_label(response, "incorrect")

        assert verdicts_of([response.pk]) == {response.pk: Decision(False, "person", 1)}

    def test_does_not_count_superseded_labels(self, response: Response) -> None:
        person = make_user()
        first = make_label(response, "correct", labeler=person, is_current=False)
        make_label(response, "incorrect", labeler=person, supersedes=first)

        assert verdicts_of([response.pk])[response.pk] == Decision(False, "person", 1)

    def test_does_not_count_voided_labels(self, response: Response) -> None:
        make_label(response, "correct", voided_at=NOW, void_reason="did not read the guideline")

        assert verdicts_of([response.pk]) == {}

    def test_leaves_out_answers_without_labels(self, response: Response) -> None:
        other = make_response(make_prompt(), response.deployment, verdict="correct")

        assert set(verdicts_of([response.pk, other.pk])) == {other.pk}

    def test_needs_one_query_for_any_number_of_answers(
        self, response: Response, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        study = make_study()
        ids = [make_response(make_prompt(), response.deployment, study=study, verdict="correct").pk for _ in range(5)]

        with django_assert_num_queries(1):
            found = verdicts_of(ids)

        assert len(found) == 5

    def test_reads_only_current_labels_of_the_model(self, response: Response) -> None:
        make_label(response, "correct", is_current=False)
        kept = make_label(response, "correct")

        assert list(Label.objects.current()) == [kept]

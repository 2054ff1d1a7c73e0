import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response
from labeling.models import JudgementRule, Label
from labeling.standing import place_of, standing_of
from labeling.verdicts import UNDECIDED, Decision, Judgement, Step, decide, next_step, verdicts_of
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

    def test_leaves_graders_out_where_they_are_switched_off(self) -> None:
        assert decide([Judgement("grader", "correct")], grades_count=False) == UNDECIDED
        given = [Judgement("grader", "correct"), Judgement("person", "incorrect")]
        assert decide(given, grades_count=False) == decide(given) == Decision(False, "person", 1)


@pytest.mark.django_db
class TestVerdictsOf:
    @pytest.fixture
    def response(self) -> Response:
        return make_response(make_prompt(), make_deployment())

    @pytest.mark.slow
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


WAITS = {  # what readers said, how many shall at least and at most; whom it waits for
    "nobody has read it": ("", 1, 3, Step.READER),
    "one of one": ("c", 1, 3, Step.NOBODY),
    "one of two": ("c", 2, 3, Step.READER),
    "two agree": ("ii", 2, 3, Step.NOBODY),
    "two disagree": ("ci", 2, 3, Step.READER),
    "a third decides": ("cic", 2, 3, Step.NOBODY),
    "a third is unsure": ("ciu", 2, 3, Step.ADJUDICATOR),
    "two disagree, and no third may read": ("ci", 2, 2, Step.ADJUDICATOR),
    "a majority of three": ("cci", 3, 3, Step.NOBODY),
    "all unsure": ("u", 1, 3, Step.ADJUDICATOR),
    "unsure and one verdict": ("uc", 2, 3, Step.NOBODY),
    "more than are wanted": ("ccc", 1, 3, Step.NOBODY),
    "level after four": ("ccii", 2, 5, Step.READER),
    "settled": ("ciC", 2, 2, Step.NOBODY),
    "settled as unsure": ("ciU", 2, 2, Step.NOBODY),
    "settled before enough have read it": ("cI", 2, 3, Step.NOBODY),
    "self-checks are no readers": ("c~c", 2, 3, Step.READER),
}


def judgements_of(letters: str) -> list[Judgement]:
    """Read a capital as an adjudication, and what follows ~ as a self-check."""
    found = []
    for before, letter in zip(" " + letters, letters, strict=False):
        kind = "adjudication" if letter.isupper() else "self_check" if before == "~" else "judgement"
        if letter != "~":
            found.append(Judgement("person", VERDICTS[letter.lower()], kind))
    return found


class TestNextStep:
    @pytest.mark.parametrize(("said", "wanted", "max_readers", "step"), WAITS.values(), ids=WAITS)
    def test_follows_the_rule(self, said: str, wanted: int, max_readers: int, step: Step) -> None:
        assert next_step(judgements_of(said), wanted=wanted, max_readers=max_readers) is step

    @pytest.mark.django_db
    @pytest.mark.parametrize(("said", "wanted", "max_readers", "step"), WAITS.values(), ids=WAITS)
    def test_is_what_postgres_says(self, said: str, wanted: int, max_readers: int, step: Step) -> None:
        response = make_response(make_prompt(), make_deployment())
        JudgementRule.objects.create(judgements=wanted, max_readers=max_readers)
        person = make_user()
        for one in judgements_of(said):
            make_label(
                response, one.verdict, kind=one.kind, **({"labeler": person} if one.kind == "self_check" else {})
            )
        standing = standing_of(response.pk)
        assert standing.wants_reader is (step is Step.READER)
        assert standing.wants_adjudicator is (step is Step.ADJUDICATOR)


class TestKinds:
    @pytest.mark.parametrize(
        ("said", "wanted", "decision"),
        [
            ("c", 2, Decision(True, "person", 1, is_provisional=True)),
            ("ci", 3, Decision(None, "person", 2, is_disputed=True)),
            ("c~i", 1, Decision(True, "person", 1)),
            ("ciC", 2, Decision(True, "person", 1, is_adjudicated=True)),
            ("ccI", 2, Decision(False, "person", 1, is_adjudicated=True)),
            ("cI", 2, Decision(False, "person", 1, is_adjudicated=True)),
            ("ccU", 2, Decision(None, "person", 1, is_disputed=True, is_adjudicated=True)),
        ],
    )
    def test_weigh_as_the_rule_says(self, said: str, wanted: int, decision: Decision) -> None:
        assert decide(judgements_of(said), wanted=wanted) == decision


@pytest.mark.django_db
class TestRules:
    def test_of_a_category_come_before_the_general_one_and_the_latest_counts(self) -> None:
        math, code = (make_response(make_prompt(category=name), make_deployment(name)) for name in ("math", "code"))
        for category, judgements in ((None, 2), (math.prompt.category, 3), (math.prompt.category, 1)):
            JudgementRule.objects.create(category=category, judgements=judgements)
        for response in (math, code):
            make_label(response)
        found = verdicts_of([math.pk, code.pk])
        assert (found[math.pk].is_provisional, found[code.pk].is_provisional) == (False, True)

    @pytest.mark.slow
    def test_of_a_share_pick_the_same_answers_in_python_and_postgres(self) -> None:
        study, deployment = make_study(), make_deployment()
        responses = [make_response(make_prompt(), deployment, study=study) for _ in range(40)]
        JudgementRule.objects.create(judgements=2, share=0.3)
        wanted = {response.pk: standing_of(response.pk).wanted_count for response in responses}
        assert wanted == {response.pk: 2 if place_of(response.pk) < 0.3 else 1 for response in responses}

    @pytest.mark.parametrize("stride", [1, 2, 3, 7, 10, 64, 1000])
    def test_of_a_share_spread_evenly_however_ids_are_given(self, stride: int) -> None:
        picked = [place_of(5_000_000 + number * stride) < 0.2 for number in range(2000)]
        assert abs(sum(picked) / len(picked) - 0.2) < 0.02

import pytest

from benchmarks.models import Response
from greenllm.models import User
from labeling.agreement import TOO_FEW
from labeling.confusion import SUSPICIOUS, Cell, GradedAnswer, answers_in, disagreements
from labeling.models import GoldAnswer, Grade
from labeling.reliability import ALL, reliability
from tests import factories as make

pytestmark = pytest.mark.django_db


def answer(category: str = "math") -> Response:
    return make.make_response(make.make_prompt(category=category), make.make_deployment(f"m{Response.objects.count()}"))


def graded(response: Response, verdict: str, *, version: int = 1) -> None:
    Grade.objects.create(
        response=response, grader="number", grader_version=version, verdict=verdict, reason="It gives 7.", duration_ms=1
    )


def suspicions() -> list[GradedAnswer]:
    return answers_in(cell=SUSPICIOUS, comparison=reliability().comparison, limit=10)


@pytest.fixture
def anna() -> User:
    return make.make_user("anna")


@pytest.fixture
def ben() -> User:
    return make.make_user("ben")


class TestAgreement:
    def test_is_by_category_and_over_all(self, anna: User, ben: User) -> None:
        for category, word in (("math", "correct"), ("math", "incorrect"), ("sql", "correct"), ("sql", "correct")):
            response = answer(category)
            make.make_label(response, "correct", labeler=anna)
            make.make_label(response, word, labeler=ben)

        found = reliability().by_category

        assert list(found) == ["math", "sql", ALL]
        assert [(one.raw.value, one.raw.n) for one in found.values()] == [(0.5, 2), (1.0, 2), (0.75, 4)]

    def test_of_a_pair_takes_what_both_judged(self, anna: User, ben: User) -> None:
        for _ in range(2):
            response = answer()
            make.make_label(response, labeler=anna)
            make.make_label(response, labeler=ben)
        make.make_label(answer(), labeler=ben)

        found = reliability().by_pair

        assert list(found) == [(anna.pk, ben.pk)]
        assert found[anna.pk, ben.pk].raw.n == 2

    def test_of_pairs_is_by_the_two_people_whoever_judged_first(self, anna: User, ben: User) -> None:
        cleo = make.make_user("cleo")
        said = (
            {ben: "correct", anna: "correct"},
            {anna: "correct", ben: "incorrect"},
            {cleo: "correct", anna: "correct"},
        )
        for one in said:
            response = answer()
            for person, word in one.items():
                make.make_label(response, word, labeler=person)
        found = reliability().by_pair
        assert list(found) == [(anna.pk, ben.pk), (anna.pk, cleo.pk)]
        assert (found[anna.pk, ben.pk].raw.value, found[anna.pk, ben.pk].raw.n) == (0.5, 2)
        assert found[anna.pk, cleo.pk].raw.reason == TOO_FEW

    def test_leaves_out_replaced_and_voided_labels_self_checks_and_graders(self, anna: User, ben: User) -> None:
        response = answer()
        make.make_label(response, labeler=anna)
        make.make_label(response, labeler=anna, kind="self_check")
        make.make_label(response, labeler=ben, is_current=False)
        make.make_label(response, labeler=make.make_user(), voided_at=make.NOW, void_reason="test")
        make.make_grader_label(response, "correct")

        found = reliability()

        assert found.by_category[ALL].judgement_count == 1
        assert found.by_pair == {}


class TestPeople:
    def test_are_held_against_gold_in_use(self, anna: User) -> None:
        for known, word in (("correct", "correct"), ("incorrect", "correct"), ("correct", "unsure")):
            response = answer()
            GoldAnswer.objects.create(response=response, verdict=known, reason="known")
            make.make_label(response, word, labeler=anna)
        retired = answer()
        GoldAnswer.objects.create(response=retired, verdict="correct", reason="known", retired_at=make.NOW)
        make.make_label(retired, "correct", labeler=anna)

        as_gold = reliability().people[0].as_gold

        assert as_gold is not None
        assert (as_gold.value, as_gold.n) == (pytest.approx(1 / 3), 3)

    def test_are_held_against_themselves(self, anna: User) -> None:
        for again in ("correct", "incorrect"):
            response = answer()
            make.make_label(response, "correct", labeler=anna)
            make.make_label(response, again, labeler=anna, kind="self_check")

        as_before = reliability().people[0].as_before

        assert as_before is not None
        assert (as_before.value, as_before.n) == (0.5, 2)

    def test_have_a_pace_of_active_seconds_with_an_end_to_idling(self, anna: User) -> None:
        for seconds in (10.0, 20.0, 900.0, None):
            make.make_label(answer(), labeler=anna, active_seconds=seconds)

        (one,) = reliability().people

        assert (one.label_count, one.timed_count, one.seconds) == (4, 3, 20)
        assert one.labels_per_hour == pytest.approx(3600 * 3 / 150)

    def test_have_no_figure_where_nothing_is_known(self, anna: User) -> None:
        make.make_label(answer(), labeler=anna)
        (one,) = reliability().people
        assert (one.as_gold, one.as_before, one.seconds, one.labels_per_hour) == (None, None, None, None)


class TestConcordance:
    def test_counts_each_pair_of_verdicts(self) -> None:
        for grade, word in (
            ("correct", "correct"), ("correct", "correct"), ("correct", "incorrect"), ("incorrect", "correct"),
            ("incorrect", "incorrect"), ("unsure", "correct"),
        ):  # fmt: skip
            response = answer()
            graded(response, grade)
            make.make_label(response, word)

        (one,) = reliability().graders

        precision, recall = one.precision("correct"), one.recall("correct")
        assert precision is not None
        assert recall is not None
        assert (one.grader, one.category, one.n) == ("number@1", "math", 6)
        assert (precision.value, precision.n) == (pytest.approx(2 / 3), 3)
        assert (recall.value, recall.n) == (0.5, 4)
        assert one.count("unsure", "correct") == 1

    def test_is_by_version_and_by_category(self) -> None:
        for category in ("math", "sql"):
            response = answer(category)
            graded(response, "correct")
            graded(response, "incorrect", version=2)
            make.make_label(response)
        names = [(one.grader, one.category) for one in reliability().graders]
        assert names == [("number@1", "math"), ("number@1", "sql"), ("number@2", "math"), ("number@2", "sql")]

    def test_leaves_disputed_answers_out_until_they_are_settled(self) -> None:
        response = answer()
        graded(response, "correct")
        make.make_label(response, "correct")
        make.make_label(response, "incorrect")
        assert reliability().graders == ()

        make.make_label(response, "incorrect", kind="adjudication")
        assert reliability().graders[0].count("correct", "incorrect") == 1

    def test_is_held_against_blind_labels_alone(self) -> None:
        blind, shown = answer(), answer()
        for response in (blind, shown):
            graded(response, "incorrect")
        make.make_label(blind, "correct")
        make.make_label(shown, "correct", saw_evidence=True)
        found = reliability()
        assert found.graders[0].n == 1
        assert found.suspicious_count == 1
        assert [one.response_id for one in suspicions()] == [blind.pk]
        assert found.unblind_count == 1

    def test_never_holds_a_grader_against_itself(self) -> None:
        make.make_grader_label(answer(), "correct")
        assert reliability().graders == ()

    def test_counts_a_grade_once_however_many_judged_the_answer(self) -> None:
        response = answer()
        graded(response, "correct")
        for _ in range(3):
            make.make_label(response)
        assert reliability().graders[0].n == 1

    def test_suspects_what_people_call_correct_and_a_grader_incorrect(self) -> None:
        suspected, other = answer(), answer()
        graded(suspected, "incorrect")
        graded(other, "correct")
        make.make_label(suspected, "correct")
        make.make_label(other, "incorrect")
        assert suspicions() == [GradedAnswer(suspected.pk, "math", "number@1", "incorrect", "correct", "It gives 7.")]

    def test_lists_the_answers_behind_each_count_in_pages(self) -> None:
        made = {}
        for grade, word, times in (("correct", "incorrect", 3), ("correct", "correct", 2), ("unsure", "incorrect", 1)):
            made[grade, word] = [answer() for _ in range(times)]
            for response in made[grade, word]:
                graded(response, grade)
                graded(response, "correct", version=2)
                make.make_label(response, word)
        found = reliability().comparison
        cell = Cell("correct", "incorrect", "number@1", "math")
        assert found.count(cell) == 3
        assert found.count(Cell("correct", "incorrect")) == 3 + 4
        pages = [answers_in(cell=cell, comparison=found, limit=2, offset=offset) for offset in (0, 2)]
        ids = [[one.response_id for one in page] for page in pages]
        assert ids == [[one.pk for one in made["correct", "incorrect"][:2]], [made["correct", "incorrect"][2].pk]]
        assert found.count(Cell("correct", "incorrect", "number@1", "sql")) == 0
        assert answers_in(cell=Cell("correct", "incorrect", "number@1", "sql"), comparison=found, limit=9) == []
        assert len(disagreements()) == 4 + 4

    def test_takes_what_an_adjudicator_settled_for_peoples_word(self) -> None:
        response = answer()
        graded(response, "correct")
        for word, kind in (("correct", "judgement"), ("correct", "judgement"), ("incorrect", "adjudication")):
            make.make_label(response, word, kind=kind)
        make.make_label(answer(), "unsure")
        assert [verdict for *_, verdict, _ in disagreements()] == ["incorrect"]

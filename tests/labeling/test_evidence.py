"""Evidence from what the real graders store, and when it may be seen."""

from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response
from labeling.evidence import SHOWN_ROWS, Evidence, evidence_modes, evidence_of, has_seen_evidence
from labeling.judging import Vote, change_verdict, judge, take_back_latest
from labeling.models import EvidenceLook, Grade, JudgementRule, Label, Verdict
from labeling.reviewing import latest_label
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers
from tests.labeling.showcase import make_showcase

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

Mode = JudgementRule.Evidence


@pytest.fixture
def showcase(tmp_path: Path) -> dict[str, Response]:
    return make_showcase(tmp_path)


def found_in(answer: Response) -> Evidence:
    return evidence_of([answer])[answer.pk]


class TestEvidence:
    def test_of_mathematics_is_both_numbers(self, showcase: dict[str, Response]) -> None:
        found = found_in(showcase["math"])
        assert (found.verdict, found.grader) == ("Correct", "number@1")
        assert found.facts == (("Reference number", "18"), ("Number read from the answer", "18 (answer is)"))

    def test_of_code_is_every_assert(self, showcase: dict[str, Response]) -> None:
        found = found_in(showcase["code"])
        assert [one.is_passed for one in found.assertions] == [False, True, False]
        assert found.assertions[0].reason == "It gives 5."

    def test_of_sql_is_both_grids(self, showcase: dict[str, Response]) -> None:
        wanted, found = found_in(showcase["sql"]).grids
        assert wanted.columns == ("name", "founded", "budget")
        assert wanted.rows[1] == ("Fulham", "1879", "NULL")
        assert (found.columns, found.row_count) == (("name", "founded"), 2)

    def test_of_questions_is_which_answer_was_found(self, showcase: dict[str, Response]) -> None:
        aliases = found_in(showcase["questions"]).aliases
        assert [(one.text, one.is_found) for one in aliases] == [("Dutch", True), ("French", True), ("German", False)]

    def test_of_translations_is_the_difference_and_chrf(self, showcase: dict[str, Response]) -> None:
        found = found_in(showcase["translation"])
        assert found.facts[0][0] == "chrF to the reference"
        assert ("removed", "cat") in [(piece.kind, piece.text.split()[0]) for piece in found.pieces]

    def test_takes_one_query(
        self, showcase: dict[str, Response], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(1):
            assert len(evidence_of(showcase.values())) == 5

    def test_without_a_grade_asks_only_graders_that_read(self, showcase: dict[str, Response]) -> None:
        Grade.objects.all().delete()
        assert found_in(showcase["math"]).verdict == "Correct"
        for category in ("code", "sql"):
            assert "has not looked at this answer yet" in found_in(showcase[category]).reason

    @pytest.mark.parametrize("extracted", [{}, [], {"wanted": 1, "found": {"rows": [1], "columns": None}}])
    def test_bears_whatever_is_stored(self, showcase: dict[str, Response], extracted: object) -> None:
        Grade.objects.update(extracted=extracted)
        assert len(evidence_of(showcase.values())) == 5

    def test_shows_a_bounded_grid(self, showcase: dict[str, Response]) -> None:
        table = {"columns": [str(n) for n in range(40)], "rows": [list(range(40))] * 50, "row_count": 9000}
        Grade.objects.update(extracted={"wanted": table})
        (grid,) = found_in(showcase["sql"]).grids
        assert (len(grid.rows), len(grid.columns), grid.hidden_column_count, grid.row_count) == (
            SHOWN_ROWS, 12, 28, 9000,
        )  # fmt: skip

    def test_of_a_prompt_without_check_is_none(self) -> None:
        assert evidence_of(make_answers(1)) == {}


class TestModes:
    def test_are_after_the_vote_until_a_rule_says_otherwise(self) -> None:
        own, other = (make.make_prompt(category=name).category for name in ("math", "code"))
        assert evidence_modes().of(own.pk) is Mode.AFTER_VOTE
        JudgementRule.objects.create(evidence=Mode.NEVER)
        JudgementRule.objects.create(category=own, evidence=Mode.AFTER_VOTE)
        JudgementRule.objects.create(category=own, evidence=Mode.ON_DEMAND)
        modes = evidence_modes()
        assert (modes.of(own.pk), modes.of(other.pk)) == (Mode.ON_DEMAND, Mode.NEVER)


class TestBlindness:
    def vote(self, answer: Response) -> Vote:
        return Vote(answer.pk, Verdict.CORRECT, None, make.NOW, 3.0)

    def test_ends_with_the_look_after_the_first_vote(self, showcase: dict[str, Response]) -> None:
        ada, answer = make_annotator("ada"), showcase["math"]
        judge(person_id=ada.pk, vote=self.vote(answer))
        first = Label.objects.get()
        assert not first.saw_evidence
        latest = latest_label(person_id=ada.pk, now=first.created_at)
        assert latest is not None
        assert latest.evidence is not None
        assert has_seen_evidence(person_id=ada.pk, response_id=answer.pk)
        changed = change_verdict(label_id=first.pk, person_id=ada.pk, verdict=Verdict.INCORRECT)
        assert changed.saw_evidence
        take_back_latest(person_id=ada.pk, now=changed.created_at)
        judge(person_id=ada.pk, vote=self.vote(answer))
        assert Label.objects.current().get().saw_evidence

    @pytest.mark.parametrize("mode", [Mode.NEVER, Mode.ON_DEMAND])
    def test_lasts_where_evidence_does_not_come_by_itself(self, showcase: dict[str, Response], mode: Mode) -> None:
        ada = make_annotator("ada")
        JudgementRule.objects.create(evidence=mode)
        judge(person_id=ada.pk, vote=self.vote(showcase["math"]))
        latest = latest_label(person_id=ada.pk, now=Label.objects.get().created_at)
        assert latest is not None
        assert latest.evidence is None
        assert not EvidenceLook.objects.exists()

"""What comes next, in every mode, with what is mixed in."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from benchmarks.models import LanguageModel, Response
from greenllm.models import User
from labeling.assigning import Reader, annotator_of, claim_answer, hold_answers, return_answer, skip_answer
from labeling.flagging import flag_answer
from labeling.judging import Outcome, Undone, Vote, judge, take_back_latest
from labeling.listing import LIST_AGE, _first_waiting, _waiting, claim_values, renew_list
from labeling.models import Annotator, Correction, Flag, GoldAnswer, Label, Lease, QueuePlace, Verdict
from labeling.verdicts import verdicts_of
from labeling.waiting import Mode, QueueFilter, count_in, progress_in
from tests import factories as make
from tests.labeling.queues import NOW, make_annotator, make_answers, make_rule, moment, reader_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def bob() -> User:
    return make_annotator("bob")


def make_grid(prompt_count: int, models: tuple[str, ...]) -> list[list[Response]]:
    """Make answers of several models to the same prompts; one list a prompt."""
    study = make.make_study()
    deployments = [make.make_deployment(name) for name in models]
    for name in models:
        LanguageModel.objects.filter(name=name).update(family=name)
    prompts = make.make_prompts(prompt_count)
    made = make.make_responses(((prompt, one, {}) for prompt in prompts for one in deployments), study=study)
    return [list(of_prompt) for of_prompt in zip(*[iter(made)] * len(models), strict=True)]


def claim_all(reader: Reader) -> list[int]:
    claimed = []
    while (response_id := claim_answer(reader=reader, now=NOW)) is not None:
        claimed.append(response_id)
    return claimed


def vote_on(response_id: int, verdict: Verdict = Verdict.CORRECT, *, is_adjudication: bool = False) -> Vote:
    return Vote(response_id, verdict, None, NOW, 1.0, is_adjudication=is_adjudication)


def set_gold(responses: list[Response]) -> None:
    for response in responses:
        GoldAnswer.objects.create(response=response, verdict="correct", reason="As the reference says.")
        make.make_label(response, kind="adjudication")


class TestList:
    def test_is_made_once_for_many_claims(self, ada: User) -> None:
        make_answers(8)
        claim_answer(reader=reader_of(ada), now=NOW)
        made = Annotator.objects.get()
        claim_answer(reader=reader_of(ada), now=moment(seconds=1))
        later = Annotator.objects.get()
        assert later.list_made_at == made.list_made_at
        assert (len(made.list_ids), len(later.list_ids)) == (7, 6)

    @pytest.mark.slow
    def test_is_made_anew_when_old_or_for_another_filter(self, ada: User) -> None:
        make_answers(3, category="code")
        make_answers(8, category="math")
        claim_answer(reader=reader_of(ada), now=NOW)
        claim_answer(reader=reader_of(ada), now=moment(seconds=LIST_AGE.total_seconds() + 1))
        assert Annotator.objects.get().list_made_at == moment(seconds=LIST_AGE.total_seconds() + 1)
        claim_answer(reader=reader_of(ada, mode=Mode.ROWS), now=moment(minutes=3))
        assert Annotator.objects.get().list_made_at == moment(minutes=3)

    def test_never_gives_what_was_judged_or_cancelled_since(self, ada: User) -> None:
        answers = make_answers(6)
        first = claim_answer(reader=reader_of(ada), now=NOW)
        judged, cancelled, *free = [answer for answer in answers if answer.pk != first]
        make.make_label(judged)
        Response.objects.filter(pk=cancelled.pk).update(state="cancelled")
        assert set(claim_all(reader_of(ada))) == {answer.pk for answer in free}

    @pytest.mark.slow
    def test_loses_nothing_that_was_held_when_it_came_by(self, ada: User, bob: User) -> None:
        answers = make_answers(5)
        renew_list(annotator=annotator_of(person_id=bob.pk, fresh_seed=1), chosen=QueueFilter(), now=NOW)
        held = claim_answer(reader=reader_of(ada), now=NOW)
        assert held is not None
        assert len(claim_all(reader_of(bob))) == 4
        skip_answer(person_id=ada.pk, response_id=held, now=NOW)
        assert claim_all(reader_of(bob)) == [held]
        assert Lease.objects.filter(annotator=bob).count() == len(answers)

    def test_keeps_counting_where_there_are_many(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("labeling.waiting.EXACT_COUNT", 2)
        now = timezone.now()
        answers = make_answers(6)
        make.make_label(answers[0])
        first, second, _ = [lease.response_id for lease in hold_answers(reader=reader_of(ada), now=now)]

        def counts() -> tuple[int, int]:
            kept = Annotator.objects.get()
            told = progress_in(chosen=QueueFilter(), person_id=ada.pk, since=now - timedelta(hours=1), annotator=kept)
            return told.judged_count, told.total_count

        steps = [counts()]
        for response_id in (first, second):
            judge(person_id=ada.pk, vote=vote_on(response_id))
            steps.append(counts())
        take_back_latest(person_id=ada.pk, now=timezone.now())
        steps.append(counts())
        assert steps == [(1, 6), (2, 6), (3, 6), (2, 6)]


def wait_for(reader: Reader, *, annotator: Annotator) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the answers of a reader's next list, looked for among the first in their order, and among all."""
    chosen = reader.chosen
    values = {**chosen.values, **claim_values(reader.person_id, NOW), "seed": annotator.order_seed}
    return _first_waiting(chosen, values, count_in(chosen)), _waiting(chosen, values)


class TestFirstOfMany:
    @pytest.fixture(autouse=True)
    def short_lists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("labeling.listing.LIST_LENGTH", 8)
        monkeypatch.setattr("labeling.listing._FEW", 1)

    @pytest.mark.parametrize("mode", [Mode.EVERYTHING, Mode.ROWS, Mode.ROUTING])
    def test_make_the_list_that_a_look_at_all_makes(self, ada: User, bob: User, mode: Mode) -> None:
        answers = [response for row in make_grid(20, ("a", "b")) for response in row]
        make.make_label(answers[0])
        voided = Correction.objects.create(annotator=ada, until=NOW, reason="Guessed.", created_at=NOW)
        make.make_label(answers[1], labeler=ada, voided_at=NOW, void_reason="Guessed.", correction=voided)
        claim_answer(reader=reader_of(bob), now=NOW)
        skip_answer(person_id=ada.pk, response_id=answers[2].pk, now=moment(days=-1))
        flag_answer(person_id=bob.pk, response_id=answers[3].pk, reason="Empty.", now=NOW)
        Flag.objects.update(resolution="withdrawn", resolved_at=NOW, resolved_by=bob)
        QueuePlace.objects.bulk_create(QueuePlace(response=one, band=number % 3) for number, one in enumerate(answers))
        for seed in range(10):
            first, of_all = wait_for(reader_of(ada, mode=mode), annotator=Annotator(person=ada, order_seed=seed))
            assert first == of_all
            assert len(first) == 8

    @pytest.mark.parametrize(("very_few", "of_study"), [(1.0, False), (0.0, False), (1.0, True)])
    def test_are_known_by_their_places_in_the_order(
        self, ada: User, monkeypatch: pytest.MonkeyPatch, very_few: float, of_study: bool
    ) -> None:
        monkeypatch.setattr("labeling.listing._VERY_FEW", very_few)
        rows = make_grid(200, ("a", "b"))
        others = make_answers(50, category="other")
        chosen = {"study": rows[0][0].study} if of_study else {"category": rows[0][0].prompt.category}
        asked: list[str] = []

        def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:  # Any: as Django has it
            asked.append(sql)
            return execute(sql, *rest)

        for seed in range(5):
            with connection.execute_wrapper(note):
                first, of_all = wait_for(reader_of(ada, **chosen), annotator=Annotator(person=ada, order_seed=seed))
            assert first == of_all
            assert len(first) == 8
            assert not {pk for pk, _ in first} & {one.pk for one in others}
        by_ids = ["array_agg(early.id)" in sql for sql in asked if "WITH first" in sql]
        assert by_ids == [very_few > 0 and not of_study] * 5

    def test_do_where_others_come_first_that_nobody_may_have(self, ada: User) -> None:
        answers = make_answers(30)
        for answer in answers[:26]:
            skip_answer(person_id=ada.pk, response_id=answer.pk, now=moment(days=-1))
        first, of_all = wait_for(reader_of(ada), annotator=Annotator(person=ada, order_seed=1))
        assert first == []
        kept = annotator_of(person_id=ada.pk, fresh_seed=1)
        renew_list(annotator=kept, chosen=QueueFilter(), now=NOW)
        assert kept.list_ids == [response_id for response_id, _ in of_all]
        assert len(of_all) == 8

    def test_are_looked_at_alone(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        make_answers(30)
        monkeypatch.setattr("labeling.listing._waiting", lambda *_: pytest.fail("all answers were looked at"))
        kept = annotator_of(person_id=ada.pk, fresh_seed=1)
        renew_list(annotator=kept, chosen=QueueFilter(), now=NOW)
        assert len(kept.list_ids) == 8

    def test_are_none_where_hardly_any_answer_waits(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("labeling.listing._FEW", 0.5)
        answers = make_answers(40)
        for answer in answers[:5]:
            make.make_label(answer)
        annotator = Annotator(person=ada, order_seed=1)
        assert len(wait_for(reader_of(ada), annotator=annotator)[0]) == 8
        for answer in answers[5:15]:
            make.make_label(answer)
        first, of_all = wait_for(reader_of(ada), annotator=annotator)
        assert (len(first), len(of_all)) == (0, 8)


class TestModes:
    @pytest.mark.slow
    def test_rows_give_all_answers_to_a_prompt_together(self, ada: User) -> None:
        grid = make_grid(
            14, ("a", "b")
        )  # the order hashes ids: of 14 prompts it is by chance that of the ids once in 10^11
        claimed = claim_all(reader_of(ada, mode=Mode.ROWS))
        prompts = [Response.objects.get(pk=response_id).prompt_id for response_id in claimed]
        assert len(claimed) == 28
        assert len([1 for before, after in pairwise(prompts) if before != after]) == 13
        assert list(dict.fromkeys(prompts)) != [row[0].prompt_id for row in grid]

    @pytest.mark.slow
    def test_differing_gives_prompts_whose_answers_were_judged_or_graded_unlike(self, ada: User) -> None:
        alike, graded, mixed, unknown = make_grid(4, ("a", "b", "c"))
        for response in alike[:2]:
            make.make_grader_label(response, "correct")
        for response, verdict in zip(graded, ("correct", "incorrect"), strict=False):
            make.make_grader_label(response, verdict)
        make.make_label(mixed[0], "incorrect")
        make.make_grader_label(mixed[1], "correct")
        make.make_grader_label(unknown[0], "unsure")
        claimed = claim_all(reader_of(ada, mode=Mode.DIFFERING))
        assert set(claimed) == {response.pk for response in (*graded, *mixed[1:])}

    def test_a_label_says_more_than_a_grade_of_the_same_answer(self, ada: User) -> None:
        ((one, other),) = make_grid(1, ("a", "b"))
        make.make_grader_label(one, "incorrect")
        make.make_grader_label(other, "correct")
        make.make_label(one, "correct")
        Label.objects.filter(source="grader").delete()
        assert claim_all(reader_of(ada, mode=Mode.DIFFERING)) == []

    def test_a_group_gives_the_answers_of_its_models(self, ada: User) -> None:
        grid = make_grid(3, ("a", "b"))
        assert set(claim_all(reader_of(ada, families=("b",)))) == {row[1].pk for row in grid}

    def test_no_filter_gives_what_an_adjudicator_settles(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        make_rule(judgements=2, max_readers=2)
        make.make_label(answer, "correct", labeler=ada)
        make.make_label(answer, "incorrect")
        assert claim_all(reader_of(bob)) == []
        assert claim_all(reader_of(ada, mode=Mode.DISPUTED)) == [], "who read it does not settle it"
        assert claim_all(reader_of(bob, mode=Mode.DISPUTED)) == [answer.pk]
        assert judge(person_id=bob.pk, vote=vote_on(answer.pk, is_adjudication=True)) is Outcome.SAVED
        decision = verdicts_of([answer.pk])[answer.pk]
        assert (decision.is_correct, decision.is_adjudicated) == (True, True)
        assert take_back_latest(person_id=bob.pk, now=timezone.now()).undone is Undone.NOTHING
        undone = take_back_latest(person_id=bob.pk, now=timezone.now(), is_adjudicating=True)
        assert (undone.undone, undone.is_held) == (Undone.VOTE, True)
        assert Lease.objects.get().kind == "adjudication"

    def test_who_took_a_judgement_back_does_not_settle_it_either(self, ada: User) -> None:
        (answer,) = make_answers(1)
        make_rule(judgements=2, max_readers=2)
        make.make_label(answer, labeler=ada, voided_at=NOW, void_reason="taken back")
        for verdict in ("correct", "incorrect"):
            make.make_label(answer, verdict)
        assert claim_all(reader_of(ada, mode=Mode.DISPUTED)) == []

    def test_another_mode_gives_up_what_was_to_be_settled(self, ada: User) -> None:
        disputed, fresh = make_answers(2)
        make.make_label(disputed, "unsure")
        held = hold_answers(reader=reader_of(ada, mode=Mode.DISPUTED), now=NOW)
        assert [lease.response_id for lease in held] == [disputed.pk]
        held = hold_answers(reader=reader_of(ada), now=NOW)
        assert [(lease.response_id, lease.kind) for lease in held] == [(fresh.pk, "judgement")]


class TestRules:
    def test_raised_midway_bring_answers_back_and_lowered_lose_nothing(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        make.make_label(answer, labeler=ada)
        assert claim_all(reader_of(bob)) == []
        make_rule(judgements=2)
        assert claim_all(reader_of(bob)) == [answer.pk]
        make_rule(judgements=1)
        assert judge(person_id=bob.pk, vote=vote_on(answer.pk)) is Outcome.SAVED
        assert verdicts_of([answer.pk])[answer.pk].label_count == 2

    def test_a_disagreement_adds_a_reader(self, ada: User) -> None:
        (answer,) = make_answers(1)
        make_rule(judgements=2, max_readers=3)
        for verdict in ("correct", "incorrect"):
            make.make_label(answer, verdict)
        assert claim_all(reader_of(ada)) == [answer.pk]

    @pytest.mark.slow
    def test_of_a_category_and_a_share(self, ada: User) -> None:
        make_rule("math", judgements=2, share=0.5)
        study = make.make_study()
        answers = make_answers(20, study=study) + make_answers(5, study=study, category="code")
        for answer in answers:
            make.make_label(answer)
        again = claim_all(reader_of(ada))
        assert 8 <= len(again) <= 12
        assert set(again) <= {answer.pk for answer in answers[:20]}


class TestMixedIn:
    @pytest.mark.slow
    def test_gold_comes_early_unmarked_and_to_everybody(self, ada: User, bob: User) -> None:
        gold = make_answers(5)
        set_gold(gold)
        make_answers(60)
        for person in (ada, bob):
            claimed = {claim_answer(reader=reader_of(person, seed=person.pk), now=NOW) for _ in range(20)}
            assert len(claimed & {answer.pk for answer in gold}) >= 3
        assert not Lease.objects.filter(response__in=gold, slot__isnull=False).exists()
        assert {lease.kind for lease in Lease.objects.all()} == {"judgement"}

    @pytest.mark.slow
    def test_gold_is_not_shown_twice_nor_once_retired(self, ada: User) -> None:
        known, retired = make_answers(2)
        set_gold([known, retired])
        GoldAnswer.objects.filter(response=retired).update(retired_at=NOW)
        make.make_label(known, labeler=ada)
        waiting = make_answers(40)
        assert set(claim_all(reader_of(ada))) == {answer.pk for answer in waiting}

    @pytest.mark.slow
    def test_an_own_answer_comes_again_after_a_day_as_a_self_check(self, ada: User) -> None:
        old, recent = make_answers(20), make_answers(5)
        for answers, hours in ((old, -25), (recent, -2)):
            make.make_labels(answers, ["correct"] * len(answers), labeler=ada)
            Label.objects.filter(response__in=answers).update(created_at=moment(hours=hours))
        waiting = make_answers(200)
        claimed = claim_all(reader_of(ada))
        again = set(claimed) - {answer.pk for answer in waiting}
        assert 3 <= len(again) <= 18
        assert again <= {answer.pk for answer in old}
        assert set(Lease.objects.filter(response__in=again).values_list("kind", "slot")) == {("self_check", None)}

    def test_a_self_check_is_stored_apart_and_counts_for_nothing(self, ada: User) -> None:
        (answer,) = make_answers(1)
        make.make_label(answer, labeler=ada)
        assert return_answer(person_id=ada.pk, response_id=answer.pk, now=NOW, kind="self_check")
        assert judge(person_id=ada.pk, vote=vote_on(answer.pk, Verdict.INCORRECT)) is Outcome.SAVED
        assert judge(person_id=ada.pk, vote=vote_on(answer.pk, Verdict.INCORRECT)) is Outcome.REPEATED
        assert dict(Label.objects.values_list("kind", "verdict")) == {
            "judgement": "correct", "self_check": "incorrect",
        }  # fmt: skip
        decision = verdicts_of([answer.pk])[answer.pk]
        assert (decision.is_correct, decision.label_count) == (True, 1)
        undone = take_back_latest(person_id=ada.pk, now=timezone.now())
        assert undone.is_held
        assert Lease.objects.get().kind == "self_check"
        assert Label.objects.current().get().kind == "judgement"

    @pytest.mark.slow
    def test_after_many_others_an_answer_comes_again_the_same_day(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judged = make_answers(6)
        for place, answer in enumerate(judged):
            label = make.make_label(answer, labeler=ada)
            Label.objects.filter(pk=label.pk).update(created_at=moment(minutes=place - 60))
        monkeypatch.setattr("labeling.listing.SELF_CHECK_DISTANCE", 3)
        monkeypatch.setattr("labeling.listing.SELF_CHECK_RATE", 1.0)
        make_answers(10)
        claim_all(reader_of(ada))
        again = set(Lease.objects.filter(kind="self_check").values_list("response_id", flat=True))
        assert again == {answer.pk for answer in judged[:3]}

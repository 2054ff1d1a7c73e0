"""Claims on real Postgres, also by many people in the same instant."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Category, Response
from greenllm.models import User
from labeling.assigning import (
    HELD_COUNT,
    LEASE_DURATION,
    Reader,
    annotator_of,
    claim_answer,
    hold_answers,
    recall_skipped,
    release,
    renew_leases,
    return_answer,
    skip_answer,
)
from labeling.judging import Outcome, Vote, judge
from labeling.models import Label, Lease, Verdict
from labeling.waiting import SESSION, Mode
from tests import factories as make
from tests.labeling.queues import NOW, make_annotator, make_answers, make_rule, moment, reader_of


def claim_all(reader: Reader, *, now: datetime = NOW) -> list[int]:
    claimed = []
    while (response_id := claim_answer(reader=reader, now=now)) is not None:
        claimed.append(response_id)
    return claimed


def ids(responses: list[Response]) -> set[int]:
    return {response.pk for response in responses}


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def bob() -> User:
    return make_annotator("bob")


@pytest.mark.django_db
class TestClaim:
    def test_gets_every_waiting_answer_once(self, ada: User) -> None:
        answers = make_answers(5)
        claimed = claim_all(reader_of(ada))
        assert len(claimed) == 5
        assert set(claimed) == ids(answers)

    def test_leaves_what_another_person_holds(self, ada: User, bob: User) -> None:
        answers = make_answers(2)
        first = claim_answer(reader=reader_of(ada), now=NOW)
        assert claim_all(reader_of(bob)) == [answer.pk for answer in answers if answer.pk != first]

    def test_gets_nothing_unfinished(self, ada: User) -> None:
        pending, failed, finished = make_answers(3)
        Response.objects.filter(pk=pending.pk).update(state="running")
        Response.objects.filter(pk=failed.pk).update(state="failed", error="gone")
        assert claim_all(reader_of(ada)) == [finished.pk]

    def test_gets_what_only_graders_judged_but_nothing_that_a_person_judged(self, ada: User) -> None:
        graded, judged, voided = make_answers(3)
        make.make_grader_label(graded, "correct")
        make.make_label(judged)
        make.make_label(voided, voided_at=NOW, void_reason="wrong key")
        assert set(claim_all(reader_of(ada))) == {graded.pk, voided.pk}

    def test_obeys_the_filter(self, ada: User) -> None:
        study = make.make_study()
        wanted = make_answers(2, study=study, category="code")
        make_answers(2, study=study, category="math")
        make_answers(2, category="code")
        code = Category.objects.get(name="code")
        assert set(claim_all(reader_of(ada, study=study, category=code))) == ids(wanted)

    def test_from_a_list_takes_few_statements(
        self, ada: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_answers(3)
        claim_answer(reader=reader_of(ada), now=NOW)
        with django_assert_num_queries(4):  # the list; pick, take; the list, cut
            claim_answer(reader=reader_of(ada), now=NOW)

    def test_gives_as_many_people_the_answer_as_shall_judge_it(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        make_rule(judgements=2)
        people = [ada, bob, make_annotator()]
        claimed = [claim_answer(reader=reader_of(person), now=NOW) for person in people]
        assert claimed == [answer.pk, answer.pk, None]
        assert claim_answer(reader=reader_of(ada), now=NOW) is None
        assert sorted(Lease.objects.values_list("slot", flat=True)) == [1, 2]

    def test_counts_judgements_against_the_slots(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        make_rule(judgements=2)
        make.make_label(answer)
        assert claim_answer(reader=reader_of(ada), now=NOW) == answer.pk
        assert claim_answer(reader=reader_of(bob), now=NOW) is None


@pytest.mark.django_db
class TestOrder:
    @pytest.mark.slow
    def test_is_the_same_again_for_the_same_seed(self, ada: User) -> None:
        make_answers(12)
        first = claim_all(reader_of(ada, seed=7))
        Lease.objects.all().delete()
        assert claim_all(reader_of(ada, seed=7)) == first
        assert first != sorted(first)

    @pytest.mark.slow
    def test_differs_between_seeds(self, ada: User) -> None:
        make_answers(12)
        first = claim_all(reader_of(ada, seed=7))
        Lease.objects.all().delete()
        assert claim_all(reader_of(ada, seed=8)) != first

    def test_keeps_the_seed_of_the_first_visit(self, ada: User) -> None:
        assert annotator_of(person_id=ada.pk, fresh_seed=5).order_seed == 5
        assert annotator_of(person_id=ada.pk, fresh_seed=6).order_seed == 5


@pytest.mark.django_db
class TestExpiry:
    def test_frees_an_answer_for_others(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        claim_answer(reader=reader_of(ada), now=NOW)
        just_before = NOW + LEASE_DURATION - (moment(seconds=1) - NOW)
        assert claim_answer(reader=reader_of(bob), now=just_before) is None
        assert claim_answer(reader=reader_of(bob), now=NOW + LEASE_DURATION) == answer.pk
        assert Lease.objects.get().annotator == bob

    def test_is_put_off_by_renewing(self, ada: User, bob: User) -> None:
        make_answers(1)
        claim_answer(reader=reader_of(ada), now=NOW)
        assert renew_leases(person_id=ada.pk, now=moment(minutes=9)) == 1
        assert claim_answer(reader=reader_of(bob), now=moment(minutes=18)) is None

    def test_lets_the_same_person_go_on_where_nobody_took_over(self, ada: User) -> None:
        make_answers(3)
        before = [lease.response_id for lease in hold_answers(reader=reader_of(ada), now=NOW)]
        after = [lease.response_id for lease in hold_answers(reader=reader_of(ada), now=moment(days=1))]
        assert after == before

    def test_goes_by_a_clock_that_was_set_back(self, ada: User, bob: User) -> None:
        make_answers(2)
        hold_answers(reader=reader_of(ada), now=moment(hours=2), count=1)
        held = hold_answers(reader=reader_of(ada), now=NOW, count=2)
        assert [lease.claimed_at for lease in held] == [NOW, NOW]
        assert set(Lease.objects.values_list("expires_at", flat=True)) == {NOW + LEASE_DURATION}
        assert len(claim_all(reader_of(bob), now=NOW + LEASE_DURATION)) == 2

    def test_holds_what_was_claimed_ahead_of_the_clock_no_longer_than_others(self, ada: User, bob: User) -> None:
        """Ada claims, the wall clock is set back by two hours, and she has gone."""
        (answer,) = make_answers(1)
        claim_answer(reader=reader_of(ada), now=moment(hours=2))
        assert claim_answer(reader=reader_of(bob), now=NOW) is None
        assert [(one.claimed_at, one.expires_at) for one in Lease.objects.all()] == [(NOW, NOW + LEASE_DURATION)]
        just_before = NOW + LEASE_DURATION - timedelta(milliseconds=1)
        assert claim_answer(reader=reader_of(bob), now=just_before) is None
        assert claim_answer(reader=reader_of(bob), now=NOW + LEASE_DURATION) == answer.pk

    def test_leaves_leases_alone_where_clocks_differ_a_little(self, ada: User, bob: User) -> None:
        make_answers(1)
        claim_answer(reader=reader_of(ada), now=moment(seconds=20))
        claim_answer(reader=reader_of(bob), now=NOW)
        assert Lease.objects.get().expires_at == moment(seconds=20) + LEASE_DURATION

    def test_never_lets_a_lease_end_before_it_begins(self, ada: User) -> None:
        (answer,) = make_answers(1)
        with pytest.raises(IntegrityError, match="lease_expires_after_claim"), transaction.atomic():
            Lease.objects.create(response=answer, annotator=ada, claimed_at=NOW, expires_at=NOW)


@pytest.mark.django_db
class TestHold:
    def test_gives_the_answer_and_those_behind_it_again_and_again(self, ada: User) -> None:
        make_answers(5)
        first = hold_answers(reader=reader_of(ada), now=NOW)
        again = hold_answers(reader=reader_of(ada), now=moment(minutes=1))
        assert len(first) == HELD_COUNT
        assert [lease.pk for lease in again] == [lease.pk for lease in first]

    @pytest.mark.slow
    def test_gives_up_what_the_filter_no_longer_lets_through(self, ada: User, bob: User) -> None:
        make_answers(2, category="math")
        (code,) = make_answers(1, category="code")
        hold_answers(reader=reader_of(ada, category=Category.objects.get(name="math")), now=NOW)
        held = hold_answers(reader=reader_of(ada, category=Category.objects.get(name="code")), now=NOW)
        assert [lease.response_id for lease in held] == [code.pk]
        assert len(claim_all(reader_of(bob))) == 2

    def test_puts_what_undo_brought_back_first(self, ada: User) -> None:
        answers = make_answers(5)
        held = {lease.response_id for lease in hold_answers(reader=reader_of(ada), now=NOW)}
        first, second = [answer.pk for answer in answers if answer.pk not in held][:2]
        assert return_answer(person_id=ada.pk, response_id=first, now=moment(seconds=1))
        assert return_answer(person_id=ada.pk, response_id=second, now=moment(seconds=2))
        leases = hold_answers(reader=reader_of(ada), now=moment(seconds=3))
        assert [lease.response_id for lease in leases][:2] == [second, first]


@pytest.mark.django_db
class TestReturn:
    def test_takes_over_an_expired_lease_but_no_live_one(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        claim_answer(reader=reader_of(bob), now=NOW)
        assert not return_answer(person_id=ada.pk, response_id=answer.pk, now=moment(minutes=9))
        assert return_answer(person_id=ada.pk, response_id=answer.pk, now=moment(minutes=11))
        assert Lease.objects.get().annotator == ada


@pytest.mark.django_db
class TestSkip:
    def test_frees_the_answer_for_others_at_once(self, ada: User, bob: User) -> None:
        (answer,) = make_answers(1)
        claim_answer(reader=reader_of(ada), now=NOW)
        skip_answer(person_id=ada.pk, response_id=answer.pk, now=NOW)
        assert claim_answer(reader=reader_of(ada), now=NOW) is None
        assert claim_answer(reader=reader_of(bob), now=NOW) == answer.pk

    @pytest.mark.slow
    def test_comes_back_after_the_sitting_and_last(self, ada: User) -> None:
        make_answers(4)
        first = claim_answer(reader=reader_of(ada), now=NOW)
        assert first is not None
        skip_answer(person_id=ada.pk, response_id=first, now=NOW)
        claimed = claim_all(reader_of(ada), now=NOW + SESSION)
        assert len(claimed) == 4
        assert claimed[-1] == first

    def test_can_be_called_back_before(self, ada: User) -> None:
        (answer,) = make_answers(1)
        skip_answer(person_id=ada.pk, response_id=answer.pk, now=NOW)
        assert recall_skipped(person_id=ada.pk, now=moment(minutes=1)) == 1
        assert claim_answer(reader=reader_of(ada), now=moment(minutes=1)) == answer.pk
        assert recall_skipped(person_id=ada.pk, now=moment(minutes=1)) == 0

    def test_is_told_from_giving_up_what_one_does_not_hold(self, ada: User) -> None:
        (answer,) = make_answers(1)
        assert not release(person_id=ada.pk, response_id=answer.pk)


def in_threads(work: "list[object]", run: object) -> list[object]:
    """Run a function once per item, all at the same moment, each in a thread with a connection of its own."""
    start = threading.Barrier(len(work))

    def one(item: object) -> object:
        start.wait(10)
        try:
            return run(item)  # type: ignore[operator]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_never_hold_the_same_answer(self) -> None:
        make_answers(60)
        readers = [reader_of(make_annotator(), seed=3) for _ in range(20)]  # one order for all: the worst case
        held = in_threads(
            readers, lambda reader: [lease.response_id for lease in hold_answers(reader=reader, now=NOW, count=3)]
        )
        counts = Counter(response_id for own in held for response_id in own)
        assert max(counts.values()) == 1
        assert len(counts) == 60, "all answers are handed out, nobody goes away empty"

    def test_judge_each_answer_exactly_once(self) -> None:
        answers = make_answers(100)
        people = [make_annotator() for _ in range(20)]
        outcomes: Counter[Outcome] = Counter()

        def work(person: User) -> None:
            reader = reader_of(person, seed=9)
            while (response_id := claim_answer(reader=reader, now=NOW)) is not None:
                vote = Vote(response_id, Verdict.CORRECT, None, NOW, 1.0)
                outcomes[judge(person_id=person.pk, vote=vote)] += 1

        in_threads(people, work)
        judged = Counter(Label.objects.values_list("response_id", flat=True))
        assert judged == {answer.pk: 1 for answer in answers}
        assert outcomes == {Outcome.SAVED: 100}

    def test_share_an_answer_as_often_as_it_shall_be_judged(self) -> None:
        make_answers(10)
        make_rule(judgements=3)
        readers = [reader_of(make_annotator(), seed=3) for _ in range(20)]
        in_threads(readers, claim_all)
        per_answer = Counter(Lease.objects.values_list("response_id", flat=True))
        assert set(per_answer.values()) == {3}
        assert len(per_answer) == 10

    def test_judge_each_answer_exactly_twice(self) -> None:
        answers = make_answers(60)
        make_rule(judgements=2)
        people = [make_annotator() for _ in range(20)]
        outcomes: Counter[Outcome] = Counter()

        def work(person: User) -> None:
            reader = reader_of(person, seed=9)
            while (response_id := claim_answer(reader=reader, now=NOW)) is not None:
                vote = Vote(response_id, Verdict.CORRECT, None, NOW, 1.0)
                outcomes[judge(person_id=person.pk, vote=vote)] += 1

        in_threads(people, work)
        judged = Counter(Label.objects.values_list("response_id", flat=True))
        assert judged == {answer.pk: 2 for answer in answers}
        assert outcomes == {Outcome.SAVED: 120}

    def test_settle_each_disputed_answer_exactly_once(self) -> None:
        answers = make_answers(40)
        make_rule(judgements=2, max_readers=2)
        for answer in answers:
            make.make_label(answer, "correct")
            make.make_label(answer, "incorrect")
        people = [make_annotator() for _ in range(20)]
        outcomes: Counter[Outcome] = Counter()

        def work(person: User) -> None:
            reader = reader_of(person, seed=9, mode=Mode.DISPUTED)
            while (response_id := claim_answer(reader=reader, now=NOW)) is not None:
                vote = Vote(response_id, Verdict.CORRECT, None, NOW, 1.0, is_adjudication=True)
                outcomes[judge(person_id=person.pk, vote=vote)] += 1

        in_threads(people, work)
        settled = Counter(Label.objects.filter(kind="adjudication").values_list("response_id", flat=True))
        assert settled == {answer.pk: 1 for answer in answers}
        assert outcomes == {Outcome.SAVED: 40}

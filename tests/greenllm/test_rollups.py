"""Every rollup says what its rows say, whoever writes them and however many do at once."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from io import StringIO

import numpy as np
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from benchmarks.models import Deployment, Response, Study
from greenllm import study_columns
from greenllm.comparing.outcomes import answers_of
from greenllm.reports import queries
from greenllm.rollups import check_rollups, fold_rollups, repair_rollups
from greenllm.studies import kept_spread
from labeling import counting, label_columns, renewing, tallies
from labeling import unchanged as unchanged_figures
from labeling.answer_tally import AnswerFact
from labeling.drift import drift_of_each
from labeling.models import AnswerTally, Grade
from labeling.pace import pace
from labeling.placing import judged_count
from labeling.ruling import switch_graders_in
from labeling.unchanged import JUDGED, Shelf, unchanged
from labeling.verdicts import verdicts_of
from labeling.waiting import Mode, QueueFilter, count_in
from router.models import (
    AlternativeHour,
    AttemptHour,
    DecisionHour,
    LatencyHour,
    RequestHour,
)
from tests import factories as make

CHANGES, WRITERS = 10_000, 4
_LABEL = """
INSERT INTO labeling_label (response_id, verdict, source, labeler_id, grade_id, kind, comment, is_current, void_reason,
    created_at)
SELECT id, %s, 'imported', NULL, NULL, %s, '', true, '', now() FROM benchmarks_response ORDER BY random() LIMIT 1
"""
_PERSON_LABEL = """
INSERT INTO labeling_label (response_id, verdict, source, labeler_id, kind, comment, is_current, void_reason,
    created_at, active_seconds)
SELECT response.id, %s, 'person', person.id, %s, '', true, '', now() - random() * interval '90 days', random() * 150
FROM (SELECT id FROM benchmarks_response ORDER BY random() LIMIT 1) AS response,
     (SELECT id FROM greenllm_user ORDER BY random() LIMIT 1) AS person
ON CONFLICT DO NOTHING
"""
_GRADER_LABEL = """
INSERT INTO labeling_label (response_id, verdict, source, grade_id, comment, is_current, void_reason, created_at)
SELECT response_id, %s, 'grader', grade.id, '', true, '', now() FROM labeling_grade AS grade
WHERE NOT EXISTS (SELECT FROM labeling_label WHERE response_id = grade.response_id AND source = 'grader')
ORDER BY random() LIMIT 3
ON CONFLICT DO NOTHING
"""
_COPY = """
INSERT INTO benchmarks_response (study_id, deployment_id, prompt_id, parameter_set_id, repeat, sequence, state, error,
    text, thinking_text, answered_by, gateway_request_public_id, done_reason, finished_at, output_token_count)
SELECT study_id, deployment_id, prompt_id, parameter_set_id, 1 + (random() * 30000)::int, 0, 'finished', '', '', '', '',
    '', '', now(), (random() * 100)::int
FROM benchmarks_response ORDER BY random() LIMIT 4 ON CONFLICT DO NOTHING
"""
_DELETE = """
DELETE FROM benchmarks_response WHERE id IN (
    SELECT id FROM benchmarks_response AS response WHERE NOT EXISTS (
        SELECT FROM labeling_label WHERE response_id = response.id
        UNION ALL SELECT FROM labeling_grade WHERE response_id = response.id
    ) ORDER BY random() LIMIT 2
)
"""
_REQUEST = """
INSERT INTO router_gatewayrequest (public_id, surface, requested_model, background_task, prompt_text, prompt_sha256,
    cache_hit, cache_saved_quality, state, error_code, error, started_at, finished_at, cache_saved_gco2e)
VALUES ('req_' || (random() * 200)::int, 'openai', 'auto', '', '', '', '', '', %s, '', '',
    now() - random() * interval '5 hours', now(), random())
ON CONFLICT (public_id) DO UPDATE SET state = excluded.state, started_at = excluded.started_at,
    finished_at = excluded.finished_at, cache_saved_gco2e = excluded.cache_saved_gco2e
"""
_DECISION = """
INSERT INTO router_routingdecision (request_id, routed_as, policy, overrides, neighbours, candidates, chosen_id, reason,
    explanation, predicted_sci_gco2e, predicted_quality, intensity, steps, plan, choice_ms, decided_at)
SELECT id, '', 'knn', '{}', '[]', %s, (SELECT min(id) FROM benchmarks_deployment), 'dial', '', random(), 'estimated',
    '{}', '[]', '[]', random() * 20, now() - random() * interval '5 hours'
FROM router_gatewayrequest ORDER BY random() LIMIT 1
ON CONFLICT (request_id) DO UPDATE SET predicted_sci_gco2e = excluded.predicted_sci_gco2e,
    candidates = excluded.candidates, choice_ms = excluded.choice_ms, decided_at = excluded.decided_at
"""
_ATTEMPT = """
INSERT INTO router_upstreamattempt (request_id, number, deployment_id, outcome, error_kind, error, answer_text,
    done_reason, output_token_count, time_to_first_token_ns, started_at, finished_at)
SELECT id, 1 + (random() * 2)::int, (SELECT max(id) FROM benchmarks_deployment), %s, '', '', '', '',
    (random() * 100)::int, (random() * 1e9)::bigint, now() - random() * interval '5 hours', now()
FROM router_gatewayrequest ORDER BY random() LIMIT 1
ON CONFLICT (request_id, number) DO UPDATE SET outcome = excluded.outcome,
    output_token_count = excluded.output_token_count, finished_at = excluded.finished_at
"""
_CANDIDATE = '[{"deployment_id": 0, "sci_gco2e": 0.25, "quality": "estimated"}]'
_ONE_RESPONSE = "id IN (SELECT id FROM benchmarks_response ORDER BY random() LIMIT %s)"
_ONE_ATTEMPT = "id IN (SELECT id FROM router_upstreamattempt ORDER BY random() LIMIT 1)"
_ONE_MEASUREMENT = "id IN (SELECT id FROM benchmarks_measurement ORDER BY random() LIMIT %s)"
_SOME_LABELS = "id IN (SELECT id FROM labeling_label WHERE source <> 'grader' ORDER BY random() LIMIT %s)"


def changes(chance: random.Random) -> Iterator[tuple[str, list[object]]]:
    """Yield statements without end, each of a kind drawn by chance."""
    verdict: Callable[[], str] = lambda: chance.choice(["correct", "incorrect", "unsure"])  # noqa: E731
    some: Callable[[], int] = lambda: chance.choice([1, 1, 1, 5])  # noqa: E731
    kinds: list[Callable[[], tuple[str, list[object]]]] = [
        lambda: (_LABEL, [verdict(), chance.choice(["judgement", "judgement", "self_check", "adjudication"])]),
        lambda: (_GRADER_LABEL, [verdict()]),
        lambda: (_PERSON_LABEL, [verdict(), chance.choice(["judgement", "judgement", "self_check", "adjudication"])]),
        lambda: (f"UPDATE labeling_label SET verdict = %s WHERE {_SOME_LABELS}", [verdict(), some()]),
        lambda: (
            f"UPDATE labeling_label SET voided_at = now(), void_reason = 'x' WHERE {_SOME_LABELS}", [some()],
        ),
        lambda: (f"UPDATE labeling_label SET is_current = NOT is_current WHERE {_SOME_LABELS}", [some()]),
        lambda: (f"DELETE FROM labeling_label WHERE {_SOME_LABELS}", [1]),
        lambda: (
            f"UPDATE benchmarks_response SET state = %s, error = 'x', finished_at = now() WHERE {_ONE_RESPONSE}",
            [chance.choice(["pending", "finished", "finished", "failed"]), some()],
        ),
        lambda: (
            f"UPDATE benchmarks_response SET output_token_count = %s WHERE {_ONE_RESPONSE}",
            [chance.randrange(999), some()],
        ),
        lambda: (
            f"UPDATE benchmarks_measurement SET energy_j = %s, quality = %s WHERE {_ONE_MEASUREMENT}",
            [chance.random() + 0.1, chance.choice(["measured", "estimated"]), some()],
        ),
        lambda: (f"UPDATE benchmarks_measurement SET sci_gco2e = sci_gco2e * 1.1 WHERE {_ONE_MEASUREMENT}", [some()]),
        lambda: (
            "UPDATE benchmarks_prompt SET category_id = (SELECT id FROM benchmarks_category ORDER BY random() LIMIT 1) "
            "WHERE id = (SELECT id FROM benchmarks_prompt ORDER BY random() LIMIT 1)", [],
        ),
        lambda: (
            "INSERT INTO labeling_judgementrule (category_id, judgements, share, max_readers, evidence, grades_count, "
            "created_at) SELECT id, 1, 1, 3, 'never', %s, now() FROM benchmarks_category ORDER BY random() LIMIT 1",
            [chance.random() < 0.5],
        ),
        lambda: (_COPY, []),
        lambda: (_DELETE, []),
        lambda: (_REQUEST, [chance.choice(["running", "answered", "answered", "failed"])]),
        lambda: (_DECISION, [_CANDIDATE.replace("0", str(chance.randrange(5)), 1)]),
        lambda: (_ATTEMPT, [chance.choice(["running", "finished", "finished"])]),
        lambda: (f"DELETE FROM router_upstreamattempt WHERE {_ONE_ATTEMPT}", []),
    ]  # fmt: skip
    weights = [4, 2, 3, 3, 1, 2, 1, 4, 2, 4, 4, 0.3, 0.1, 1, 2, 4, 4, 4, 1]
    while True:
        yield chance.choices(kinds, weights)[0]()


def write(seed: int, count: int, done: Counter[str]) -> None:
    """Make so many changes over a connection of its own, one to four in a transaction; what deadlocks is made anew."""
    parameters = connection.get_connection_params()
    address = {
        name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)
    }
    chance = random.Random(seed)
    made = changes(chance)
    with psycopg.connect(**address) as own:
        while done[f"changes {seed}"] < count:
            together = chance.randrange(1, 5)
            try:
                with own.transaction():
                    for _ in range(together):
                        own.execute(*next(made))
            except (psycopg.errors.DeadlockDetected, psycopg.errors.IntegrityError) as error:
                done[type(error).__name__] += 1
            else:
                done[f"changes {seed}"] += together


def make_rows(prompt_count: int = 60) -> None:
    """Make two studies, two models, and answers to prompts of three categories, of which half have a grade."""
    studies, deployments = (
        [make.make_study(), make.make_study()],
        [make.make_deployment("a"), make.make_deployment("b")],
    )
    kinds = [make.make_prompts(prompt_count // 3, category=category) for category in ("math", "code", "trivia")]
    prompts = [prompt for three in zip(*kinds, strict=True) for prompt in three]
    for odd, study in enumerate(studies):
        responses = make.make_responses(
            (
                (prompt, deployment, {"energy_j": 1.0 + number})
                for number, prompt in enumerate(prompts)
                for deployment in deployments
                if number % 2 == odd
            ),
            study=study,
        )
        if odd:
            Grade.objects.bulk_create(
                Grade(response=one, grader="g", grader_version=1, verdict="correct", reason="x", duration_ms=1)
                for one in responses
            )
    make.make_label(Response.objects.order_by("pk")[0])
    make.make_users(3)


def wrong() -> dict[str, int]:
    return {one.name: one.wrong_count for one in check_rollups() if one.wrong_count}


def counted_anew() -> Counter[tuple[object, ...]]:
    """Count answers by the product's own rule in Python, without the functions of the database."""
    verdicts = verdicts_of(Response.objects.values_list("pk", flat=True))
    counts: Counter[tuple[object, ...]] = Counter()
    for response in Response.objects.select_related("prompt", "measurement"):
        decided = verdicts.get(response.pk)
        quality = response.measurement.quality if response.measurement else ""
        verdict = ""
        if decided is not None and decided.source:
            verdict = "disputed" if decided.is_correct is None else "correct" if decided.is_correct else "incorrect"
        source = decided.source if decided else ""
        key = (response.study_id, response.deployment_id, response.prompt.category_id, response.state, quality)
        counts[*key, verdict, source] += 1
    return counts


def counted() -> Counter[tuple[object, ...]]:
    key = ("study_id", "deployment_id", "category_id", "state", "quality", "verdict", "verdict_source")
    rows = AnswerTally.objects.values_list(*key).annotate(count=Sum("answer_count")).order_by()
    return Counter({row[:-1]: row[-1] for row in rows if row[-1]})


def verdicts_counted() -> dict[str, int]:
    rows = AnswerTally.objects.values_list("verdict").annotate(count=Sum("answer_count")).order_by()
    return {verdict: count for verdict, count in rows if count}


def number(query: str) -> int:
    """Return the one number that a query says."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def renewed_figures() -> dict[str, float]:
    """Return what figures that are renewed after changes say of each study, as numbers by name."""
    found: dict[str, float] = {}
    for study in Study.objects.order_by("pk"):
        for place, basis in enumerate(queries.bases(study)):
            found[f"{study.pk} basis {place} n"] = basis.answer_count
            found |= {
                f"{study.pk} basis {place} {at}": one for at, one in enumerate((*basis.energy.sums, *basis.sci.sums))
            }
        for cell in queries.report_cells(study).values():
            name = f"{study.pk} {cell.category} {cell.model}"
            found |= {f"{name} n": cell.answer_count, f"{name} right": cell.correct_count}
            found |= {f"{name} {at}": one for at, one in enumerate(cell.products["energy"].sums)}
        for one in kept_spread.kept_spread(study).cells:
            name = f"{study.pk} {one.cell} spread"
            found |= {f"{name} n": one.answer_count, f"{name} outliers": one.outlier_count}
            found[f"{name} energy"] = one.energy_j.between_prompts.mean if one.energy_j is not None else -1
        answers = answers_of(study)
        found |= {f"{study.pk} {name}": float(np.nansum(column)) for name, column in answers.values.items()}
        found[f"{study.pk} answers"] = len(answers.prompts)
    return found | figures_of_labels()


def figures_of_labels() -> dict[str, float]:
    """Return what is said of labels, and of the answers that wait for some, as numbers by name."""
    found: dict[str, float] = {"judged": judged_count()}
    for mode in (Mode.EVERYTHING, Mode.DISPUTED):
        for study in (None, *Study.objects.order_by("pk")):
            counted = count_in(QueueFilter(study=study, mode=mode))
            found |= {f"{mode} {study} total": counted.total_count, f"{mode} {study} judged": counted.judged_count}
    for one in pace().stretches:
        name = one.first_at.isoformat()
        found |= {f"pace {name} {at}": figure for at, figure in enumerate((one.label_count, one.active_seconds))}
    for person_id, periods in drift_of_each().items():
        for period in periods:
            name = f"drift {person_id} {period.first_at.isoformat()}"
            found |= {f"{name} n": period.label_count, f"{name} right": period.correct.value if period.correct else -1}
    return found


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestManyWritersAtOnce:
    def test_leave_every_rollup_and_renewed_figure_as_its_rows_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_rows()
        monkeypatch.setattr(renewing, "_LEAST_ROWS", 0)
        done: Counter[str] = Counter()
        writers = [
            threading.Thread(target=write, args=(seed, CHANGES // WRITERS, done), name=f"writer-{seed}")
            for seed in range(WRITERS)
        ]
        for one in writers:
            one.start()
        for one in writers:
            while one.is_alive():
                assert wrong() == {}  # whatever is written and folded meanwhile
                renewed_figures()
                one.join(timeout=0.05)
        print(done)  # noqa: T201
        assert sum(count for name, count in done.items() if name.startswith("changes")) >= CHANGES
        assert wrong() == {}
        assert counted() == counted_anew()
        found = renewed_figures()
        for has_columns in (True, False):  # as a process that has just begun finds them, and as the rows say anew
            for module in (study_columns, kept_spread, counting, label_columns, tallies):
                packing = module.PACKING if has_columns else None
                monkeypatch.setattr(module, "_LATEST", renewing.Renewals(most=9, packing=packing))
            monkeypatch.setattr(renewing, "_renewals", renewing.Renewals(most=9))
            monkeypatch.setattr(unchanged_figures, "_shelf", Shelf(most=9))
            run(["DELETE FROM labeling_keptfigure"])
            assert found == pytest.approx(renewed_figures())  # sums of floats depend on the order
        assert min(model.objects.count() for model in (RequestHour, DecisionHour, AlternativeHour, AttemptHour)) > 0
        fold_rollups()
        assert wrong() == {}
        assert number("SELECT count(*) FROM labeling_answermark") == 0
        assert not AnswerTally.objects.filter(is_folded=False).exists()
        assert counted() == counted_anew()


# what figures of studies read, of all answers or of one study's
_READ = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
    SELECT concat_ws(',', response.id, study_id, deployment_id, parameter_set_id, state, prompt_token_count,
                     output_token_count, repeat, prompt::text, measurement::text, label::text) AS line
    FROM benchmarks_response AS response
    JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
    LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
    LEFT JOIN labeling_label AS label ON label.response_id = response.id
    WHERE {which}
) AS lines
"""


_JUDGED = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
    SELECT concat_ws(',', label::text, grade::text, category_id) AS line
    FROM benchmarks_response AS response
    JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
    LEFT JOIN labeling_label AS label ON label.response_id = response.id
    LEFT JOIN labeling_grade AS grade ON grade.response_id = response.id
    WHERE label.id IS NOT NULL OR grade.id IS NOT NULL
) AS lines
"""


def read_judged() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED)
        return str(cursor.fetchone()[0])


def read(which: str = "true") -> str:
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(which=which))
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
class TestUnchanged:
    @pytest.mark.slow
    def test_never_returns_what_has_changed_since(self) -> None:
        make_rows(24)  # each of the 300 steps reads them all several times
        first, second = Study.objects.order_by("pk").values_list("pk", flat=True)
        chance, made = random.Random(7), changes(random.Random(8))
        kept_count, before = 0, read()
        for _ in range(300):
            point = transaction.savepoint()
            with connection.cursor() as cursor, suppress(IntegrityError), transaction.atomic():
                cursor.execute(*next(made))
            if chance.random() < 0.1:
                fold_rollups()
            after = read()
            assert unchanged("test.all", read) == after
            assert unchanged("test.judged", read_judged, studies=[JUDGED]) == read_judged()
            assert unchanged("test.kept", read, shelf=Shelf(most=1), kind=str) == after  # as by another process
            for pk in (first, second):
                which = f"response.study_id = {pk}"
                found = unchanged(("test.study", pk), lambda which=which: read(which), studies=[pk])
                assert found == read(which)
            kept_count += before == after
            if chance.random() < 0.3:
                transaction.savepoint_rollback(point)
                assert unchanged("test.all", read) == read() == before
            else:
                before = after
        assert 0 < kept_count < 300

    @pytest.mark.slow
    def test_works_out_anew_what_changed_while_triggers_were_off(self) -> None:
        make_rows()
        assert unchanged("test.all", read) == read()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE labeling_label SET verdict = 'incorrect'")
            cursor.execute("SET LOCAL session_replication_role = origin")
        assert unchanged("test.all", read) != read()
        repair_rollups()
        assert unchanged("test.all", read) == read()


@pytest.mark.django_db
class TestAnswerTally:
    def test_follows_a_label_a_score_and_a_state(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment(), energy_j=2.0)
        make.make_label(response, "incorrect")
        Response.objects.filter(pk=response.pk).update(measurement=make.make_measurement(3.0), output_token_count=7)
        row = AnswerTally.objects.values("verdict", "quality").annotate(
            answers=Sum("answer_count"), energy_j=Sum("energy_j"), squared=Sum("energy_j_squared"),
            tokens=Sum("output_token_count"),
        ).filter(answers__gt=0).get()  # fmt: skip
        assert row == {
            "verdict": "incorrect", "quality": "estimated", "answers": 1, "energy_j": 3, "squared": 9, "tokens": 7,
        }  # fmt: skip

    def test_follows_the_switch_of_the_graders(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment(), verdict="correct")
        assert verdicts_counted() == {"correct": 1}
        switch_graders_in(category=response.prompt.category, is_on=False, person_id=None)
        assert verdicts_counted() == {"": 1}
        assert number("SELECT count(*) FROM labeling_currentanswer WHERE verdict = ''") == 1
        fold_rollups()
        assert verdicts_counted() == {"": 1}
        assert AnswerFact.objects.get().verdict == ""

    def test_forgets_an_answer_that_is_deleted(self) -> None:
        make.make_response(make.make_prompt(), make.make_deployment()).delete()
        fold_rollups()
        assert not AnswerTally.objects.exists()
        assert not AnswerFact.objects.exists()

    @pytest.mark.slow
    @pytest.mark.django_db(transaction=True)
    def test_is_folded_after_some_hundred_changes(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        for count in range(600):
            Response.objects.filter(pk=response.pk).update(output_token_count=count)
        assert number("SELECT count(*) FROM labeling_answermark") < 600
        assert AnswerFact.objects.get().output_token_count is not None
        assert AnswerTally.objects.aggregate(sum=Sum("output_token_count"))["sum"] == 599

    @pytest.mark.slow
    @pytest.mark.django_db(transaction=True)
    def test_is_folded_once_by_a_transaction_of_many_changes(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        with transaction.atomic():
            for count in range(1200):
                Response.objects.filter(pk=response.pk).update(output_token_count=count)
        assert number("SELECT count(*) FROM labeling_answermark") == 0
        assert AnswerTally.objects.aggregate(sum=Sum("output_token_count"))["sum"] == 1199

    def test_follows_a_table_of_labels_that_is_emptied(self) -> None:
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment()), "incorrect")
        fold_rollups()
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment("b")), "correct")
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE labeling_label CASCADE")
        assert verdicts_counted() == {"": 2}
        assert wrong() == {}

    def test_forgets_answers_whose_table_is_emptied(self) -> None:
        make.make_response(make.make_prompt(), make.make_deployment())
        fold_rollups()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE benchmarks_response CASCADE")
        assert not AnswerTally.objects.exists()
        assert wrong() == {}


@pytest.mark.django_db
class TestHours:
    def test_count_a_request_once_however_often_it_is_written(self) -> None:
        request = make.make_gateway_request(state="running")
        request.state, request.finished_at = "answered", make.NOW + timedelta(milliseconds=40)
        request.save()
        rows = RequestHour.objects.values_list("state").annotate(count=Sum("request_count"), ms=Sum("duration_ms"))
        assert [row for row in rows.order_by() if row[1]] == [("answered", 1, 40)]

    def test_sum_a_statement_of_many_rows_at_once(self) -> None:
        many = """
            INSERT INTO router_gatewayrequest (public_id, surface, requested_model, background_task, prompt_text,
                prompt_sha256, cache_hit, cache_saved_quality, state, error_code, error, started_at, finished_at)
            SELECT 'req_' || one, 'openai', 'auto', '', '', '', '', '', 'answered', '', '', now(), now()
            FROM generate_series(1, 600) AS one
        """
        with connection.cursor() as cursor:
            cursor.execute(many)
            cursor.execute("UPDATE router_gatewayrequest SET state = 'failed'")
        assert number("SELECT count(*) FROM router_requests_changes") == 0
        rows = RequestHour.objects.values_list("state").annotate(count=Sum("request_count")).order_by()
        assert [row for row in rows if row[1]] == [("failed", 600)]
        assert wrong() == {}
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM router_gatewayrequest")
        fold_rollups()
        assert not RequestHour.objects.exists()

    def test_forget_requests_whose_table_is_emptied(self) -> None:
        make.make_decision(request=make.make_gateway_request(), chosen=make.make_deployment())
        fold_rollups()
        make.make_gateway_request()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE router_gatewayrequest CASCADE")
        assert not any(model.objects.exists() for model in (RequestHour, DecisionHour, LatencyHour))
        assert wrong() == {}

    def test_compare_the_choice_with_every_candidate_of_the_same_quality(self) -> None:
        chosen, other, unlike = (make.make_deployment(name) for name in ("small", "large", "guessed"))
        candidates = [
            {"deployment_id": chosen.pk, "sci_gco2e": 1.0, "quality": "measured"},
            {"deployment_id": other.pk, "sci_gco2e": 5.0, "quality": "measured"},
            {"deployment_id": unlike.pk, "sci_gco2e": 9.0, "quality": "estimated"},
        ]
        make.make_decision(
            request=make.make_gateway_request(), chosen=chosen, baseline=other, candidates=candidates,
            predicted_sci_gco2e=1.0, predicted_quality="measured", discarded_sci_gco2e=0.5,
            steps=[{"quality": "measured"}],
        )  # fmt: skip
        make.make_decision(chosen=chosen, candidates=candidates, predicted_sci_gco2e=1.0, predicted_quality="measured")
        rows = AlternativeHour.objects.values_list("alternative_id", "is_baseline", "chosen_gco2e", "alternative_gco2e")
        assert sorted(rows) == [
            (chosen.pk, False, Decimal("1.5"), 1), (other.pk, True, Decimal("1.5"), 5),
        ]  # fmt: skip

    def test_count_an_answer_that_a_person_refused_once(self) -> None:
        refuse_an_answer()
        assert compared() == (2, Decimal(4), Decimal(5))
        fold_rollups()
        assert compared() == (2, Decimal(4), Decimal(5))
        assert wrong() == {}

    def test_count_what_was_refused_before_anew_as_the_database_is_migrated(self) -> None:
        operations = import_module("router.migrations.0029_refused_answers_once").Migration.operations
        run([one.reverse_sql for one in reversed(operations)])
        refuse_an_answer()
        fold_rollups()
        refuse_an_answer()  # which waits to be folded
        assert compared() == (4, Decimal(10), Decimal(20))
        run([one.sql for one in operations])
        assert compared() == (4, Decimal(8), Decimal(10))
        assert wrong() == {}


def refuse_an_answer() -> None:
    """Make the answer of a model at 1 gCO2e that a person refused, and that of one at 3 in its place; strong is 5."""
    names = ("small", "larger", "strong")
    found = {one.language_model.name: one for one in Deployment.objects.select_related("language_model")}
    small, larger, strong = (found.get(name) or make.make_deployment(name) for name in names)
    rows = [
        {"deployment_id": one.pk, "sci_gco2e": cost, "quality": "measured"}
        for one, cost in ((small, 1.0), (larger, 3.0), (strong, 5.0))
    ]
    known = {"baseline": strong, "candidates": rows, "predicted_quality": "measured"}
    first = make.make_gateway_request()
    make.make_decision(request=first, chosen=small, predicted_sci_gco2e=1.0, **known)
    make.make_decision(
        request=make.make_gateway_request(instead_of=first), chosen=larger, predicted_sci_gco2e=3.0, **known,
        reason="refused", steps=[{"request_id": first.public_id, "quality": "measured"}], discarded_sci_gco2e=1.0,
    )  # fmt: skip


def compared() -> tuple[int, Decimal, Decimal]:
    """Return how many decisions are compared with the strong model, and the gCO2e of both sides."""
    sums = AlternativeHour.objects.filter(is_baseline=True).aggregate(
        n=Sum("decision_count"), chosen=Sum("chosen_gco2e"), other=Sum("alternative_gco2e")
    )
    return sums["n"], sums["chosen"], sums["other"]


def run(statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for one in statements:
            if one:
                cursor.execute(one)


@pytest.mark.django_db
class TestCheckRollups:
    @pytest.mark.slow
    def test_names_what_is_wrong_and_counts_it_anew(self) -> None:
        make.make_response(make.make_prompt(), make.make_deployment())
        make.make_gateway_request()
        said = StringIO()
        call_command("check_rollups", stdout=said)
        assert "labeling_answertally: 1 rows, right" in said.getvalue()
        fold_rollups()
        AnswerFact.objects.update(output_token_count=5)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE router_requesthour_ledger SET request_count = 2")
        with pytest.raises(CommandError, match="Add --repair"):
            call_command("check_rollups", stdout=said)
        assert wrong() == {"labeling_answerfact": 1, "labeling_answertally": 1, "router_requesthour": 1}
        call_command("check_rollups", "--repair", stdout=said)
        assert "router_requesthour: 1 rows, 1 wrong" in said.getvalue()
        assert wrong() == {}

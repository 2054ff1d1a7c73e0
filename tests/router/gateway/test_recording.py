import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from greenllm.pooling import pooled
from greenllm.watched_postgres.base import DatabaseWrapper
from router.answering import Caller, request_of
from router.gateway import putting
from router.gateway.putting import put_rows
from router.gateway.recording import Record, Recorder, store_records
from router.gateway.working import Workers
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.routing import pinned_decision
from tests import factories as make


def record(**fields: object) -> Record:
    request = request_of(
        caller=Caller(GatewayRequest.Surface.OPENAI),
        requested_model="small",
        prompt_text="two",
        now=make.NOW,
        is_prompt_text_kept=False,
    )
    for name, value in fields.items():
        setattr(request, name, value)
    return Record(request)


def whole_record(model: str = "small") -> Record:
    made, deployment = record(), make.make_deployment(model)
    made.decision = pinned_decision(deployment=deployment, now=make.NOW)
    made.attempts = [UpstreamAttempt(deployment=deployment, number=1, started_at=timezone.now())]
    return made


@pytest.mark.django_db
class TestStoreRecords:
    def test_stores_requests_decisions_and_attempts_in_one_query(self, django_assert_num_queries: object) -> None:
        records = [record(), whole_record(), record()]
        with django_assert_num_queries(3):  # type: ignore[operator]  # between the savepoint of this test and its end
            assert store_records(records) == [None] * 3
        assert [one.request.pk is not None for one in records] == [True] * 3
        stored = GatewayRequest.objects.get(public_id=records[1].request.public_id)
        assert (stored.decision.reason, stored.attempts.get().number) == ("pinned", 1)

    def test_replaces_what_was_stored_before_the_end(self) -> None:
        made = whole_record()
        assert store_records([made.as_it_stands()]) == [None]
        early = GatewayRequest.objects.get()
        made.request.state = GatewayRequest.State.ANSWERED
        made.attempts[0].outcome = UpstreamAttempt.Outcome.FINISHED
        made.attempts.append(UpstreamAttempt(deployment=make.make_deployment(), number=2, started_at=make.NOW))
        assert store_records([made]) == [None]
        late = GatewayRequest.objects.get()
        assert (late.pk, early.state, late.state) == (early.pk, "running", "answered")
        assert list(late.attempts.order_by("number").values_list("outcome", flat=True)) == ["finished", "running"]
        assert late.decision.reason == "pinned"

    def test_keeps_every_value_as_it_was(self) -> None:
        made = whole_record()
        text = "\"Zw\u00f6lf\" \\ 'drei' %s \U0001f331\n"
        made.request.prompt_text, made.request.error, made.request.cache_saved_gco2e = text, text, 0.1 + 0.2
        made.request.finished_at = make.NOW + timedelta(microseconds=1)
        assert made.decision is not None
        made.decision.candidates = [{"model": text, "p": 1e-300, "is_correct": None, "steps": [True, 2**60]}]
        made.decision.search_ms, made.decision.predicted_sci_gco2e = float("inf"), 1 / 3
        made.attempts[0].eval_duration_ns = 2**62
        assert store_records([made]) == [None]
        request = GatewayRequest.objects.select_related("decision").get(pk=made.request.pk)
        for row, kept in (
            (made.request, request),
            (made.decision, request.decision),
            (made.attempts[0], UpstreamAttempt.objects.get(pk=made.attempts[0].pk)),
        ):
            for one in row._meta.concrete_fields:
                assert getattr(kept, one.attname) == getattr(row, one.attname), one.attname

    def test_gives_each_request_its_own_decision_and_attempts(self) -> None:
        records = [whole_record(), record(), whole_record("large")]
        records[2].attempts.append(UpstreamAttempt(deployment=make.make_deployment(), number=2, started_at=make.NOW))
        assert store_records(records) == [None] * 3
        for one in records:
            kept = UpstreamAttempt.objects.filter(request__public_id=one.request.public_id).order_by("number")
            assert [(row.pk, row.number) for row in kept] == [(row.pk, row.number) for row in one.attempts]
            decided = RoutingDecision.objects.filter(request=one.request).values_list("pk", flat=True)
            assert list(decided) == ([one.decision.pk] if one.decision else [])

    def test_leaves_rows_that_are_gone_without_a_collection(self) -> None:
        made = whole_record()
        gc.disable()
        try:
            assert store_records([made]) == [None]
            rows = [weakref.ref(row) for row in (made.request, made.decision, made.attempts[0])]
            del made
            assert [row() for row in rows] == [None] * 3
        finally:
            gc.enable()

    def test_loses_only_what_cannot_be_stored(self) -> None:
        records = [record(), record(api_key_id=987654321), whole_record()]
        records[1].request.error_code = "x" * 61
        outcomes = store_records(records)
        assert [isinstance(one, DatabaseError) for one in outcomes] == [False, True, False]
        assert GatewayRequest.objects.count() == 2
        assert UpstreamAttempt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestStoreRecordsOutsideATransaction:
    def test_stores_all_of_a_request_or_nothing(self) -> None:
        made = whole_record()
        made.attempts[0].error_kind = "x" * 101
        [outcome] = store_records([made])
        assert isinstance(outcome, DatabaseError)
        assert not GatewayRequest.objects.exists()

    def test_is_planned_once_by_postgres_on_a_kept_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: Any = DatabaseWrapper(pooled(connection.settings_dict, most=1), alias="default")
        monkeypatch.setattr(putting, "connection", kept)
        try:
            for _ in range(3):
                put_rows([record().request], [], [])
            with kept.cursor() as cursor:
                cursor.execute("SELECT generic_plans + custom_plans FROM pg_prepared_statements")
                assert cursor.fetchall() == [(3,)]
        finally:
            kept.close()
            kept.close_pool()
        assert GatewayRequest.objects.count() == 3

    def test_leaves_no_statement_on_a_connection_that_is_not_kept(self) -> None:
        put_rows([record().request], [], [])
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            assert cursor.fetchone() == (0,)

    def test_stores_nothing_that_points_nowhere(self) -> None:
        records = [whole_record(), record(api_key_id=987654321)]  # found at the end of the transaction only
        outcomes = store_records(records)
        assert [isinstance(one, DatabaseError) for one in outcomes] == [False, True]
        assert GatewayRequest.objects.get().public_id == records[0].request.public_id


class TestRecorder:
    async def test_writes_what_came_meanwhile_in_one_batch(self) -> None:
        gate, batches = threading.Event(), []

        def store(records: Sequence[Record]) -> list[Exception | None]:
            batches.append(len(records))
            gate.wait(10)
            return [None] * len(records)

        workers = Workers()
        recorder = Recorder(workers, store)
        writes = [asyncio.ensure_future(recorder.write(record()))]
        while not batches:
            await asyncio.sleep(0)
        writes += [asyncio.ensure_future(recorder.write(record())) for _ in range(20)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*writes)
        workers.close()
        assert batches == [1, 20]

    async def test_tells_each_its_own_failure(self) -> None:
        def store(records: Sequence[Record]) -> list[Exception | None]:
            return [DatabaseError("no") if one.request.requested_model == "bad" else None for one in records]

        workers = Workers()
        recorder = Recorder(workers, store)
        done = await asyncio.gather(
            recorder.write(record()), recorder.write(record(requested_model="bad")), return_exceptions=True
        )
        workers.close()
        assert [isinstance(one, DatabaseError) for one in done] == [False, True]

    async def test_stores_also_for_one_who_leaves(self) -> None:
        gate, stored = threading.Event(), []

        def store(records: Sequence[Record]) -> list[Exception | None]:
            gate.wait(10)
            stored.extend(records)
            return [None] * len(records)

        workers = Workers()
        recorder = Recorder(workers, store)
        write = asyncio.ensure_future(recorder.write(record()))
        await asyncio.sleep(0)
        write.cancel()
        gate.set()
        await recorder.drain()
        workers.close()
        assert len(stored) == 1

    async def test_stores_what_takes_its_time_before_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.gateway.recording.LOOK_S", 0.001)
        batches: list[list[tuple[str, str]]] = []
        early = asyncio.Event()
        loop = asyncio.get_running_loop()

        def store(records: Sequence[Record]) -> list[Exception | None]:
            batches.append([(one.request.requested_model, one.request.state) for one in records])
            loop.call_soon_threadsafe(early.set)
            return [None] * len(records)

        workers = Workers()
        recorder = Recorder(workers, store)
        slow, quick = record(requested_model="slow"), record(requested_model="quick")
        recorder.begin(quick)
        quick.request.state = GatewayRequest.State.ANSWERED
        await recorder.write(quick)
        early.clear()
        recorder.begin(slow)
        await early.wait()
        slow.request.state = GatewayRequest.State.ANSWERED
        await recorder.write(slow)
        workers.close()
        assert batches == [[("quick", "answered")], [("slow", "running")], [("slow", "answered")]]

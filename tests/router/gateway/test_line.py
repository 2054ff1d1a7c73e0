from collections.abc import AsyncIterator

import pytest
from django.db import connection

from router.gateway.line import DatabaseLine
from router.gateway.recording import Recorder
from router.gateway.rows import Record
from router.gateway.working import Workers
from router.models import GatewayRequest
from router.reckoning import Settling
from tests import factories as make
from tests.router.gateway.test_recording import record, whole_record

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    made.close()


@pytest.fixture
async def line(workers: Workers) -> AsyncIterator[DatabaseLine]:
    made = DatabaseLine(workers)
    await made.open()
    yield made
    await made.close()


def kept_ids() -> set[str]:
    return set(GatewayRequest.objects.values_list("public_id", flat=True))


def end_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%WITH requests AS%' AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone() == (1,)


class TestDatabaseLine:
    @pytest.mark.slow
    async def test_stores_and_replaces_as_a_thread_does(self, line: DatabaseLine, workers: Workers) -> None:
        made = await workers.query(whole_record)
        assert await line.put([made.as_it_stands(), record()])
        made.request.state = GatewayRequest.State.ANSWERED
        assert await line.put([made])
        stored = await workers.query(lambda: GatewayRequest.objects.get(state="answered"))
        assert (stored.pk, stored.public_id) == (made.request.pk, made.request.public_id)
        assert await workers.query(lambda: (stored.decision.pk, stored.attempts.get().pk)) == (
            made.decision and made.decision.pk,
            made.attempts[0].pk,
        )

    async def test_leaves_budgets_and_large_batches_to_a_thread(self, line: DatabaseLine, workers: Workers) -> None:
        booked = await workers.query(whole_record)
        assert booked.decision is not None
        booked.settling = Settling(None, booked.decision, 0.0, make.NOW)  # type: ignore[arg-type]  # nobody reads it
        assert not await line.put([booked])
        assert not await line.put([record() for _ in range(100)])
        assert await workers.query(kept_ids) == set()

    async def test_stores_nothing_of_a_batch_that_it_cannot(self, line: DatabaseLine, workers: Workers) -> None:
        records = [record(), record(error_code="x" * 61)]
        assert not await line.put(records)
        assert await workers.query(kept_ids) == set()
        assert await line.put(records[:1])

    async def test_leaves_everything_to_a_thread_until_it_is_open(self, workers: Workers) -> None:
        line = DatabaseLine(workers)
        assert not await line.put([record()])
        await line.close()

    @pytest.mark.slow
    async def test_has_a_thread_store_what_it_had_when_it_broke(self, line: DatabaseLine, workers: Workers) -> None:
        recorder = Recorder(workers, line=line)
        first, second, third = record(), record(), record()
        await recorder.write(first)
        await workers.query(end_other_connections)
        await recorder.write(second)
        await line.open()
        assert await line.put([third])
        assert await workers.query(kept_ids) == {one.request.public_id for one in (first, second, third)}


class TestAwayDatabase:
    async def test_leaves_the_line_alone_for_a_moment(self, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[float] = []

        def address() -> dict[str, object]:
            asked.append(now[0])
            return {"host": "127.0.0.1", "port": 1, "dbname": "nowhere"}

        now, made = [0.0], Record(record().request)
        monkeypatch.setattr("router.gateway.line._address", address)
        line = DatabaseLine(workers, monotonic=lambda: now[0])
        await line.open()
        assert not await line.put([made])
        now[0] = 2.0
        assert not await line.put([made])
        await line.close()
        assert asked == [0.0]  # the second is cancelled before it begins

"""A worker settles once it has done some jobs: it has imported what they use by then."""

import django_rq
import pytest

from benchmarks.management.commands import work


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_SETTLED_AFTER", 2)
    queue = django_rq.get_queue("default")
    queue.empty()
    jobs = [queue.enqueue(len, []) for _ in range(5)]
    worker = work.MachineWorker([queue], connection=queue.connection)
    settled_after: list[int] = []
    worker.on_settled = lambda: settled_after.append(sum(job.is_finished for job in jobs))
    try:
        worker.work(burst=True, logging_level="WARNING")
    finally:
        for job in jobs:
            job.delete()

    assert settled_after == [2]

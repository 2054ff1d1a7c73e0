"""What a job that fails leaves in the log and in Valkey: where it failed, and nothing that the error quotes."""

import io
import logging

import django_rq
import pytest

from benchmarks.management.commands.work import MachineWorker
from benchmarks.quiet_logs import QuietFormatter
from tests.planting import PLANTED

pytestmark = pytest.mark.django_db(transaction=True)


def fail() -> None:
    raise ValueError(PLANTED.swapcase().swapcase())  # so that the line of code itself does not hold it


@pytest.mark.slow
def test_keeps_no_word_of_it() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(QuietFormatter())
    logging.getLogger("rq").addHandler(handler)
    queue = django_rq.get_queue("default")
    queue.empty()
    job = queue.enqueue(fail)
    try:
        # as the command does; else the level stays that of whoever worked before in this process
        MachineWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")
        result = job.latest_result()
    finally:
        logging.getLogger("rq").removeHandler(handler)
        job.delete()

    assert result is not None
    assert result.exc_string is not None
    assert "ValueError" in result.exc_string
    assert "in fail" in result.exc_string
    assert PLANTED not in result.exc_string
    assert PLANTED not in stream.getvalue()
    assert "exception raised while executing" in stream.getvalue()

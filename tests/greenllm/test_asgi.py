import subprocess
import sys

import pytest

COUNT = """
import gc, greenllm.asgi
print(len(gc.get_objects()), gc.get_freeze_count(), type(greenllm.asgi._django).__module__)
"""


@pytest.mark.slow
def test_a_full_collection_of_the_web_process_looks_at_little() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COUNT], capture_output=True, text=True, timeout=120, check=True
    )
    *counts, serving = ran.stdout.split()
    watched_count, frozen_count = map(int, counts)

    assert frozen_count > 100_000
    assert watched_count < frozen_count / 20
    assert serving == "greenllm.ended_requests"  # which leaves less to collect


RINGS = """
import gc, weakref, greenllm.asgi

class Ring:
    def __init__(self):
        self.itself = self

under_way = [Ring() for _ in range(50)]
gc.collect(1)  # they are of the old generation now
refs = [weakref.ref(one) for one in under_way]
under_way.clear()
held = []
while any(ref() is not None for ref in refs) and len(held) < 200_000:
    held += [[] for _ in range(1000)]
print(len(held))
"""


@pytest.mark.slow
def test_what_was_under_way_at_a_collection_and_is_in_a_ring_later_goes_soon() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RINGS], capture_output=True, text=True, timeout=120, check=True
    )

    assert int(ran.stdout) <= 50_000  # new objects; four collections of the young are at 10,000 each


LOGGERS = """
import logging, uvicorn
uvicorn.Config("greenllm.asgi:application", lifespan="off").load()
loggers = map(logging.getLogger, ("uvicorn", "uvicorn.access"))
print([type(one.formatter).__name__ for logger in loggers for one in logger.handlers])
"""


@pytest.mark.slow
def test_errors_of_the_application_are_logged_without_what_they_quote() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOGGERS], capture_output=True, text=True, timeout=120, check=True
    )

    assert ran.stdout.strip() == "['QuietFormatter', 'QuietFormatter']"

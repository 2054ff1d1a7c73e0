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

"""Breaks a demo off in the middle of its study: kills the worker, the sampler and the supervisor, one after another."""

import psycopg

from tests.chain.installation import Installation, rows

TOTAL = 30  # 3 models x 5 categories x (1 training + 1 validation prompt)
STEP_TIMEOUT_S = 180  # other tests may keep the machine busy meanwhile


def finished(place: Installation) -> int:
    """Return how many responses are finished; 0 while Postgres does not answer."""
    try:
        [(count,)] = rows(place, "SELECT count(*) FROM benchmarks_response WHERE state = 'finished'")
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return 0
    return int(count)


def break_off(place: Installation) -> None:
    """Start a demo and kill its processes while there is still to measure; none of them is left."""
    place.start("demo", "--limit", "1", "--exit")
    place.wait_until(lambda: finished(place) >= 3, STEP_TIMEOUT_S, "3 responses")
    place.process_with("manage.py work").kill()
    place.wait_until(lambda: finished(place) >= 8, STEP_TIMEOUT_S, "8 responses after the worker was killed")
    place.process_with("benchmarks.meters.sampler").kill()
    place.wait_until(lambda: finished(place) >= 13, STEP_TIMEOUT_S, "13 responses after the sampler was killed")
    assert place.process is not None
    place.process.kill()
    place.process.wait()
    place.process = None
    place.wait_until(lambda: not place.processes(), 20, "end of every process after the supervisor was killed")

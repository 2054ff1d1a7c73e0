"""A study survives the worker, the sampler and the supervisor being killed in the middle of it."""

from collections.abc import Iterator

import psycopg
import pytest

from greenllm.embedded.addresses import EmbeddedLayout
from tests.chain.installation import Installation, installation

pytestmark = pytest.mark.slow

TOTAL = 75  # 3 models x 5 categories x (3 training + 2 validation prompts)
STEP_TIMEOUT_S = 120


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("killing") / "var") as made:
        yield made


def rows(place: Installation, query: str) -> list[tuple[int, ...]]:
    """Ask the installation's own Postgres; an empty list while it does not answer."""
    layout = EmbeddedLayout(place.var_dir)
    try:
        with psycopg.connect(host=str(layout.postgres_socket_dir), user="greenllm", dbname="greenllm") as connection:
            return connection.execute(query).fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []


def finished(place: Installation) -> int:
    found = rows(place, "SELECT count(*) FROM benchmarks_response WHERE state = 'finished'")
    return found[0][0] if found else 0


class TestStudy:
    def test_completes_with_every_response_exactly_once(self, place: Installation) -> None:
        place.start("demo", "--limit", "3", "--exit")
        place.wait_until(lambda: finished(place) >= 5, STEP_TIMEOUT_S, "5 responses")
        place.process_with("manage.py work").kill()
        place.wait_until(lambda: finished(place) >= 20, STEP_TIMEOUT_S, "20 responses after the worker was killed")
        place.process_with("benchmarks.meters.sampler").kill()
        place.wait_until(lambda: finished(place) >= 35, STEP_TIMEOUT_S, "35 responses after the sampler was killed")

        assert place.process is not None
        place.process.kill()
        place.process.wait()
        place.process = None
        place.wait_until(lambda: not place.processes(), 20, "end of every process after the supervisor was killed")

        place.start("demo", "--limit", "3", "--exit")
        place.wait_for_log("oracle", 4 * STEP_TIMEOUT_S)
        assert place.process.wait(60) == 0

        place.process = None
        place.manage("services", "start")
        try:
            states = rows(place, "SELECT count(*) FROM benchmarks_response WHERE state = 'finished'")
            assert states == [(TOTAL,)]
            twice = (
                "SELECT response_id FROM benchmarks_responseattempt WHERE outcome = 'finished' "
                "GROUP BY 1 HAVING count(*) > 1"
            )
            assert rows(place, twice) == []
            open_attempts = "SELECT id FROM benchmarks_responseattempt WHERE outcome = 'running'"
            assert rows(place, open_attempts) == []
            # one prompt at most for each kill: the worker, the sampler, the supervisor
            [(repeated,)] = rows(place, "SELECT count(*) FROM benchmarks_responseattempt WHERE outcome <> 'finished'")
            assert repeated <= 3
            measured = "SELECT count(*), count(DISTINCT measurement_id) FROM benchmarks_response"
            assert rows(place, measured) == [(TOTAL, TOTAL)]
            assert rows(place, "SELECT count(*) FROM benchmarks_measurement WHERE purpose = 'response'") == [(TOTAL,)]
        finally:
            place.manage("services", "stop")
        assert place.processes() == []

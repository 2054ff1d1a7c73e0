"""A study survives the worker, the sampler and the supervisor being killed in the middle of it."""

from collections.abc import Iterator

import pytest

from tests.chain.installation import Installation, rows
from tests.chain.killing import TOTAL

pytestmark = pytest.mark.slow

OF_DEMO = "JOIN benchmarks_study s ON s.id = r.study_id WHERE s.name = 'demo'"
ATTEMPTS = f"FROM benchmarks_responseattempt a JOIN benchmarks_response r ON r.id = a.response_id {OF_DEMO}"


@pytest.fixture(scope="module")
def place(resumed: Installation) -> Iterator[Installation]:
    """The installation whose processes were killed, with its services."""
    resumed.manage("services", "start")
    yield resumed
    resumed.manage("services", "stop")
    assert resumed.processes() == []


class TestStudy:
    def test_completes_with_every_response_exactly_once(self, place: Installation) -> None:
        states = f"SELECT r.state, count(*) FROM benchmarks_response r {OF_DEMO} GROUP BY 1"
        assert rows(place, states) == [("finished", TOTAL)]
        twice = f"SELECT a.response_id {ATTEMPTS} AND a.outcome = 'finished' GROUP BY 1 HAVING count(*) > 1"
        assert rows(place, twice) == []
        assert rows(place, f"SELECT a.id {ATTEMPTS} AND a.outcome = 'running'") == []

    def test_repeats_one_prompt_at_most_for_each_kill(self, place: Installation) -> None:
        """The worker, the sampler and the supervisor; a gap in an energy is measured again for another reason."""
        [(repeated,)] = rows(
            place, f"SELECT count(*) {ATTEMPTS} AND a.outcome <> 'finished' AND a.error_kind <> 'EnergyGap'"
        )
        assert repeated <= 3

    def test_has_a_measurement_of_each_response(self, place: Installation) -> None:
        measured = f"SELECT count(*), count(DISTINCT r.measurement_id) FROM benchmarks_response r {OF_DEMO}"
        assert rows(place, measured) == [(TOTAL, TOTAL)]
        without = (
            "SELECT count(*) FROM benchmarks_measurement m WHERE purpose = 'response' "
            "AND NOT EXISTS (SELECT FROM benchmarks_response r WHERE r.measurement_id = m.id)"
        )
        assert rows(place, without) == [(0,)]

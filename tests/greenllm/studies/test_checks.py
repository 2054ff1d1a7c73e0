"""What speaks for and against the figures of a response."""

import pytest

from benchmarks.models import ChannelReading, Response
from greenllm.studies.checks import checks_of
from tests import factories as make
from tests.greenllm.studies import shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def response() -> Response:
    made = make.make_response(make.make_prompt(), make.make_deployment(), done_reason="stop")
    assert made.measurement is not None
    shown.add_trace(made.measurement)
    shown.add_attempt(made, 0.5)
    return made


def found_in(response: Response, *, is_outlier: bool = False) -> dict[str, bool | None]:
    assert response.measurement is not None
    readings = list(response.measurement.readings.all())
    attempts = list(response.attempts.all())
    return {
        one.name: one.is_fine
        for one in checks_of(response, readings=readings, attempts=attempts, is_outlier=is_outlier)
    }


class TestChecks:
    def test_of_a_sound_response_are_fine_where_anything_is_known(self, response: Response) -> None:
        assert found_in(response) == {
            "Temperature at the start": None,
            "Enough samples": True,
            "No gap": True,
            "Regular samples": True,
            "Alone on the machine": True,
            "Like its repeats": None,
            "Came to its end": True,
        }

    @pytest.mark.parametrize(("start_c", "is_fine"), [(60.0, True), (60.5, False)])
    def test_hold_the_temperature_against_the_limit(self, response: Response, start_c: float, is_fine: bool) -> None:
        response.attempts.update(start_temperature_c=start_c)
        assert found_in(response)["Temperature at the start"] is is_fine

    def test_find_what_is_wrong_with_the_samples(self, response: Response) -> None:
        ChannelReading.objects.update(gap_count=1, coverage=0.8, meter_facts={"is_irregular": True})
        found = found_in(response)
        assert (found["No gap"], found["Regular samples"]) == (False, False)

    def test_leave_out_channels_that_are_not_counted(self, response: Response) -> None:
        ChannelReading.objects.update(gap_count=1, is_in_boundary=False)
        assert found_in(response)["Samples"] is None

    def test_tell_outliers_from_five_repeats_on(self, response: Response) -> None:
        response.study.repeats = 5
        assert found_in(response)["Like its repeats"] is True
        assert found_in(response, is_outlier=True)["Like its repeats"] is False

    def test_hold_no_missing_energy_against_repeats(self, response: Response) -> None:
        assert response.measurement is not None
        response.study.repeats, response.measurement.energy_j = 5, None
        assert found_in(response)["Like its repeats"] is None

    @pytest.mark.parametrize(("reason", "is_fine"), [("length", False), ("", None)])
    def test_tell_how_it_ended(self, response: Response, reason: str, is_fine: bool | None) -> None:
        response.done_reason = reason
        assert found_in(response)["Came to its end"] is is_fine

    def test_of_answers_back_to_back_compare_their_texts(self, response: Response) -> None:
        assert response.measurement is not None
        response.measurement.answer_count, response.differing_text_count = 3, 1
        assert found_in(response)["Same text back to back"] is False

    def test_of_a_response_that_was_never_measured_are_none(self, response: Response) -> None:
        response.measurement = None
        assert checks_of(response, readings=(), attempts=(), is_outlier=False) == []

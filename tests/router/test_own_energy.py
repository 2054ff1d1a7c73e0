import pytest

from router.own_energy import own_cost_per_prompt
from tests.router.judged import measured_index
from tests.router.standins import make_embedder

pytestmark = pytest.mark.django_db


class TestOwnCost:
    def test_is_the_share_of_each_prompt_in_building_the_index(self) -> None:
        index = measured_index(energy_j=50.0, prompt_count=100)
        found = own_cost_per_prompt(embedder=index.embedder, unit="J")
        assert (found.value, found.quality, found.n) == (0.5, "measured", 100)
        assert "whole machine" in found.source

    def test_can_be_had_in_grams(self) -> None:
        index = measured_index(prompt_count=100)
        found = own_cost_per_prompt(embedder=index.embedder, unit="gCO2e")
        assert found.value == pytest.approx(index.measurement.sci_gco2e / 100)
        assert "385 gCO2e/kWh" in found.source

    def test_is_missing_without_an_index(self) -> None:
        found = own_cost_per_prompt(embedder=make_embedder().language_model, unit="J")
        assert (found.value, found.quality, found.n) == (None, "missing", 0)
        assert "build_index --measure" in found.source

    def test_is_missing_where_the_measurement_failed_and_says_why(self) -> None:
        found = own_cost_per_prompt(embedder=measured_index(energy_j=None).embedder, unit="J")
        assert found.value is None
        assert "the meter fell silent" in found.source

    def test_passes_over_a_failed_measurement_for_an_earlier_one(self) -> None:
        measured_index(energy_j=50.0, prompt_count=50)
        latest = measured_index(energy_j=None, state="current")
        assert own_cost_per_prompt(embedder=latest.embedder, unit="J").value == 1.0

    def test_of_another_embedder_says_nothing(self) -> None:
        measured_index()
        other = make_embedder(digest="other").language_model
        assert own_cost_per_prompt(embedder=other, unit="J").value is None

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.intensities import AmbiguousIntensity, NoIntensity, average_of, current_intensity, yearly_of
from benchmarks.models import CarbonIntensity
from tests.factories import NOW, make_feed, make_intensity

pytestmark = pytest.mark.django_db


class TestAverageOf:
    def test_is_that_of_the_latest_year(self) -> None:
        make_intensity(gco2e_per_kwh=300, year=2024)
        make_intensity(gco2e_per_kwh=350, year=2023)

        assert average_of(zone="DE").gco2e_per_kwh == 300

    def test_is_what_was_fixed_by_hand_first(self) -> None:
        make_intensity(gco2e_per_kwh=300, year=2024)
        make_intensity(gco2e_per_kwh=20, kind="fixed", year=None)

        assert average_of(zone="DE").gco2e_per_kwh == 20

    def test_is_never_a_live_figure(self) -> None:
        make_intensity(kind="live_average", year=None, valid_from=NOW)
        make_intensity(kind="live_marginal", year=None, valid_from=NOW)

        with pytest.raises(NoIntensity, match="manage.py import_intensity owid"):
            average_of(zone="DE")

    def test_is_the_countrys_where_its_part_has_none(self) -> None:
        make_intensity("US", 370)
        make_intensity("US-CAL-CISO", 210)

        assert average_of(zone="US-CAL-CISO").gco2e_per_kwh == 210
        assert average_of(zone="US-TEX-ERCO").zone == "US"

    def test_names_zone_year_and_source(self) -> None:
        assert make_intensity(year=2023).origin == "DE 2023: test"
        assert make_intensity(kind="fixed", year=None).origin == "DE: test"
        live = make_intensity(kind="live_average", year=None, valid_from=NOW)
        assert live.origin == "DE 2026-01-02T03:04+00:00: test"


class TestYearlyOf:
    def test_keeps_years_apart(self) -> None:
        make_intensity(gco2e_per_kwh=300, year=2024)
        make_intensity(gco2e_per_kwh=350, year=2023)

        assert yearly_of(zone="DE", year=2023).gco2e_per_kwh == 350

    def test_lists_the_years_that_there_are(self) -> None:
        make_intensity(year=2024)
        make_intensity(year=2023)

        with pytest.raises(NoIntensity, match=r"of 'DE' in 1999 is known\. There are: 2023, 2024\."):
            yearly_of(zone="DE", year=1999)

    def test_asks_which_of_several_sources(self) -> None:
        make_intensity(gco2e_per_kwh=300, source="One")
        make_intensity(gco2e_per_kwh=310, source="Another")

        with pytest.raises(AmbiguousIntensity, match="300 by 'One'; 310 by 'Another'"):
            yearly_of(zone="DE", year=2024)
        assert yearly_of(zone="DE", year=2024, source="another").gco2e_per_kwh == 310

    def test_does_not_ask_where_sources_agree(self) -> None:
        make_intensity(source="One")
        make_intensity(source="Another")

        assert yearly_of(zone="DE", year=2024).gco2e_per_kwh == 300


class TestCurrentIntensity:
    def test_is_the_live_figure_while_it_is_fresh(self) -> None:
        make_intensity(gco2e_per_kwh=300)
        make_feed(live=111, stale_after_minutes=60)

        told = current_intensity(zone="DE", now=NOW + timedelta(minutes=60))

        assert (told.gco2e_per_kwh, told.kind, told.is_stale, told.source) == (111, "live_average", False, "test")
        assert (told.valid_from, told.reason) == (NOW, "The live figure is 60 min old.")

    def test_falls_back_to_the_average_and_says_so(self) -> None:
        make_intensity(gco2e_per_kwh=300)
        make_feed(live=111, stale_after_minutes=60, problem_kind="busy", problem="refused for now (429).")

        told = current_intensity(zone="DE", now=NOW + timedelta(minutes=60, seconds=1))

        assert (told.gco2e_per_kwh, told.kind, told.is_stale, told.year) == (300, "yearly_average", True, 2024)
        assert told.reason == (
            "The live figure is 60 min old, stale after 60 min. "
            "The latest question failed (busy): refused for now (429)."
        )

    def test_is_the_average_before_the_service_was_ever_asked(self) -> None:
        make_intensity(gco2e_per_kwh=300)
        make_feed()

        told = current_intensity(zone="DE", now=NOW)

        assert (told.gco2e_per_kwh, told.is_stale) == (300, True)
        assert told.reason == "The live service has not told a figure yet."

    def test_without_a_live_service_is_the_average_and_not_stale(self) -> None:
        make_intensity(gco2e_per_kwh=300)
        make_intensity(gco2e_per_kwh=1, kind="live_average", year=None, valid_from=NOW)

        told = current_intensity(zone="DE", now=NOW)

        assert (told.gco2e_per_kwh, told.is_stale) == (300, False)

    def test_is_a_flagged_old_figure_where_there_is_nothing_else(self) -> None:
        make_feed(live=111)

        told = current_intensity(zone="DE", now=NOW + timedelta(days=3))

        assert (told.gco2e_per_kwh, told.is_stale) == (111, True)
        assert told.reason.endswith("No yearly average is known to fall back to.")

    def test_of_a_region_falls_back_to_its_country(self) -> None:
        make_intensity("GB", 200)
        make_feed("GB-13", provider="great_britain")

        told = current_intensity(zone="GB-13", now=NOW)

        assert (told.zone, told.gco2e_per_kwh, told.is_stale) == ("GB", 200, True)

    def test_says_what_is_estimated_or_simulated(self) -> None:
        feed = make_feed(live=111)
        CarbonIntensity.objects.filter(pk=feed.latest_id).update(is_estimated=True, is_simulated=True)

        told = current_intensity(zone="DE", now=NOW)

        assert (told.is_estimated, told.is_simulated) == (True, True)

    @pytest.mark.parametrize("has_feed", [False, True])
    def test_is_never_made_up(self, has_feed: bool) -> None:
        if has_feed:
            make_feed()

        with pytest.raises(NoIntensity, match="for the zone 'DE'"):
            current_intensity(zone="DE", now=NOW)

    def test_costs_one_query_while_fresh(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        make_feed(live=111)

        with django_assert_num_queries(1):
            current_intensity(zone="DE", now=NOW)

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from benchmarks.grid.base import IntensityError, KeyRefused, LiveIntensity, ProviderUnreachable, UnusableAnswer
from benchmarks.grid.scripted import ScriptedGrid
from benchmarks.intensities import current_intensity
from benchmarks.models import CarbonIntensity, IntensityFeed
from benchmarks.refreshing import connect_feed, follow, refresh, unfollow
from tests.benchmarks.grid.twins import KEY, script
from tests.factories import NOW, make_feed, make_intensity

pytestmark = pytest.mark.django_db

TOLD = LiveIntensity("DE", 310.5, NOW, "a service", is_estimated=True, is_simulated=False)


@dataclass
class Scripted:
    """A provider that says or raises what it is given."""

    told: LiveIntensity | IntensityError = TOLD
    zones: list[str] = field(default_factory=list)

    def latest(self, zone: str) -> LiveIntensity:
        self.zones.append(zone)
        if isinstance(self.told, IntensityError):
            raise self.told
        return self.told


class TestRefresh:
    def test_keeps_what_the_service_tells(self) -> None:
        feed = make_feed(provider_zone="D")
        provider = Scripted()

        row = refresh(feed=feed, provider=provider, now=NOW)

        feed.refresh_from_db()
        assert row is not None
        assert (row.zone, row.kind, row.gco2e_per_kwh, row.valid_from) == ("DE", "live_average", 310.5, NOW)
        assert (row.source, row.is_estimated, row.is_simulated) == ("a service", True, False)
        assert (feed.latest, feed.attempted_at, provider.zones) == (row, NOW, ["D"])

    def test_asks_at_most_every_so_many_minutes(self) -> None:
        feed = make_feed(refresh_minutes=15)
        provider = Scripted()
        refresh(feed=feed, provider=provider, now=NOW)

        assert refresh(feed=feed, provider=provider, now=NOW + timedelta(minutes=14, seconds=59)) is None
        assert refresh(feed=feed, provider=provider, now=NOW + timedelta(minutes=15)) is not None
        assert len(provider.zones) == 2

    def test_lets_one_of_two_processes_ask(self) -> None:
        feed = make_feed()
        same = IntensityFeed.objects.get(pk=feed.pk)
        provider = Scripted()

        refresh(feed=feed, provider=provider, now=NOW)

        assert refresh(feed=same, provider=provider, now=NOW) is None
        assert len(provider.zones) == 1

    def test_leaves_a_service_that_failed_alone_for_as_long(self) -> None:
        feed = make_feed(refresh_minutes=15)
        with pytest.raises(ProviderUnreachable):
            refresh(feed=feed, provider=Scripted(ProviderUnreachable("nobody there")), now=NOW)

        assert refresh(feed=feed, provider=Scripted(), now=NOW + timedelta(minutes=14)) is None

    def test_keeps_the_former_figure_and_the_reason_of_a_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        feed = make_feed(live=111)

        with caplog.at_level(logging.WARNING), pytest.raises(KeyRefused):
            refresh(feed=feed, provider=Scripted(KeyRefused("no such key " * 50)), now=NOW)

        feed.refresh_from_db()
        assert feed.latest is not None
        assert (feed.latest.gco2e_per_kwh, feed.problem_kind, len(feed.problem)) == (111, "key refused", 300)
        assert "No live carbon intensity of DE (key refused)" in caplog.text

    def test_forgets_a_failure_that_is_over(self) -> None:
        feed = make_feed(problem_kind="busy", problem="refused for now")

        refresh(feed=feed, provider=Scripted(), now=NOW)

        feed.refresh_from_db()
        assert (feed.problem_kind, feed.problem) == ("", "")

    def test_replaces_a_forecast_by_what_was_metered(self) -> None:
        feed = make_feed(refresh_minutes=1)
        refresh(feed=feed, provider=Scripted(), now=NOW)

        metered = replace(TOLD, gco2e_per_kwh=305, is_estimated=False)
        refresh(feed=feed, provider=Scripted(metered), now=NOW + timedelta(minutes=1))

        row = CarbonIntensity.objects.get()
        assert (row.gco2e_per_kwh, row.is_estimated) == (305, False)

    def test_keeps_simulated_figures_apart_from_real_ones(self) -> None:
        feed = make_feed(refresh_minutes=1)
        refresh(feed=feed, provider=Scripted(replace(TOLD, is_simulated=True)), now=NOW)
        refresh(feed=feed, provider=Scripted(), now=NOW + timedelta(minutes=1))

        rows = CarbonIntensity.objects.order_by("pk").values_list("source", "is_simulated")
        assert list(rows) == [("simulated: a service", True), ("a service", False)]
        assert not current_intensity(zone="DE", now=NOW).is_simulated

    def test_refuses_a_figure_of_tomorrow(self) -> None:
        feed = make_feed()
        ahead = replace(TOLD, valid_from=NOW + timedelta(days=1))

        with pytest.raises(UnusableAnswer, match="yet to come"):
            refresh(feed=feed, provider=Scripted(ahead), now=NOW)

        feed.refresh_from_db()
        assert (feed.latest, feed.problem_kind) == (None, "unusable answer")

    @pytest.mark.parametrize(
        ("provider", "zone", "told"), [("electricity_maps", "DE", 310.5), ("great_britain", "GB", 120)]
    )
    def test_goes_the_whole_way_with_a_twin(self, provider: str, zone: str, told: float) -> None:
        with ScriptedGrid(script()) as grid:
            feed = make_feed(zone, provider=provider, base_url=grid.url, api_key_variable="A_KEY")
            client = connect_feed(feed=feed, timeout_s=5, environment={"A_KEY": KEY})
            refresh(feed=feed, provider=client, now=NOW)

        current = current_intensity(zone=zone, now=NOW)
        assert (current.gco2e_per_kwh, current.is_simulated, current.is_stale) == (told, True, False)
        assert current.source.startswith("simulated: ")


class TestFollow:
    def test_has_a_service_asked(self) -> None:
        follow(zone="GB-13", provider="great_britain", refresh_minutes=30)

        feed = IntensityFeed.objects.get()
        assert (feed.zone, feed.asked_zone, feed.refresh_minutes, feed.stale_after_minutes) == (
            "GB-13",
            "GB-13",
            30,
            120,
        )

    def test_changes_what_is_there_and_keeps_its_figure(self) -> None:
        make_feed(live=111, attempted_at=NOW, problem="failed", problem_kind="busy")

        feed = follow(zone="DE", provider="electricity_maps", refresh_minutes=5)

        assert (feed.refresh_minutes, feed.attempted_at, feed.problem) == (5, None, "")
        assert feed.latest is not None

    def test_forgets_the_figure_of_a_former_service(self) -> None:
        make_feed(live=111)

        assert follow(zone="DE", provider="electricity_maps", base_url="http://127.0.0.1:1").latest is None

    @pytest.mark.parametrize(
        ("facts", "name"),
        [
            ({"provider": "watt_time"}, "provider"),
            ({"provider": "great_britain"}, "provider_zone"),
            ({"provider": "electricity_maps", "base_url": "nowhere"}, "base_url"),
            ({"provider": "electricity_maps", "refresh_minutes": 0}, "refresh_minutes"),
            ({"provider": "electricity_maps", "stale_after_minutes": 20_000}, "stale_after_minutes"),
            ({"provider": "electricity_maps", "zone": ""}, "zone"),
            ({"provider": "electricity_maps", "zone": "D" * 33}, "zone"),
        ],
    )
    def test_refuses_what_cannot_be_asked(self, facts: dict[str, str], name: str) -> None:
        with pytest.raises(ValidationError) as caught:
            follow(**{"zone": "DE", **facts})  # type: ignore[arg-type]  # wrong on purpose

        assert name in caught.value.message_dict
        assert not IntensityFeed.objects.exists()

    def test_is_held_by_the_database_too(self) -> None:
        with pytest.raises(IntegrityError, match="intensity_feed_minutes"):
            make_feed(refresh_minutes=0)


class TestUnfollow:
    def test_keeps_what_was_told(self) -> None:
        make_feed(live=111)

        unfollow(zone="DE")

        assert not IntensityFeed.objects.exists()
        assert CarbonIntensity.objects.get().gco2e_per_kwh == 111

    def test_of_nothing_is_told(self) -> None:
        with pytest.raises(IntensityFeed.DoesNotExist, match="'DE'"):
            unfollow(zone="DE")


class TestFeed:
    def test_is_due_after_its_minutes(self) -> None:
        feed = make_feed(refresh_minutes=15, attempted_at=NOW)

        assert not feed.is_due(NOW + timedelta(minutes=14))
        assert feed.is_due(NOW + timedelta(minutes=15))

    def test_outlives_its_figure(self) -> None:
        feed = make_feed(live=111)
        make_intensity()

        CarbonIntensity.objects.filter(kind="live_average").delete()

        feed.refresh_from_db()
        assert feed.latest is None

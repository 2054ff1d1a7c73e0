"""Show the carbon intensity of a zone: what is known, what would be used, and why."""

from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.grid.base import IntensityError
from benchmarks.intensities import CurrentIntensity, NoIntensity, average_of, current_intensity
from benchmarks.management.telling import TellingCommand
from benchmarks.models import CarbonIntensity, IntensityFeed
from benchmarks.refreshing import connect_feed, refresh

_SHOWN = 12


class Command(TellingCommand):
    help = "Show the carbon intensity of a zone: what is known, what would be used now and by a new study, and why."
    told: ClassVar[tuple[type[Exception], ...]] = (NoIntensity,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("zone", help="Such as DE, US-CAL-CISO or GB-13.")
        parser.add_argument("--refresh", action="store_true", help="Ask the zone's live service first, if it is due.")

    def handle(self, *args: Any, **options: Any) -> None:
        zone = options["zone"]
        feed = IntensityFeed.objects.filter(zone=zone).first()
        if options["refresh"]:
            self._refresh(zone, feed)
        current = current_intensity(zone=zone, now=timezone.now())
        self.stdout.write(f"Now: {_described(current)}")
        self.stdout.write(f"     {current.reason}")
        try:
            average = average_of(zone=zone)
            self.stdout.write(f"A new study: {average.gco2e_per_kwh:g} gCO2e/kWh, fixed ({average.origin})")
        except NoIntensity as error:
            self.stdout.write(f"A new study: none. {error}")
        if feed is not None:
            asked = f"{feed.attempted_at:%Y-%m-%d %H:%M} UTC" if feed.attempted_at else "never"
            self.stdout.write(
                f"Live service: {feed.get_provider_display()}, zone {feed.asked_zone}, at most every "
                f"{feed.refresh_minutes} min, stale after {feed.stale_after_minutes} min, latest asked: {asked}"
            )
        self._list(zone)

    def _refresh(self, zone: str, feed: IntensityFeed | None) -> None:
        if feed is None:
            self.stderr.write(f"No live service is asked about {zone}; see manage.py follow_intensity.")
            return
        try:
            provider = connect_feed(feed=feed, timeout_s=settings.INTENSITY_TIMEOUT_S)
            if refresh(feed=feed, provider=provider, now=timezone.now()) is None:
                self.stdout.write("The live service was asked a short while ago, and not again yet.")
        except IntensityError as error:
            self.stderr.write(f"The live service failed ({error.kind}): {error}")

    def _list(self, zone: str) -> None:
        rows = list(CarbonIntensity.objects.for_zone(zone)[: _SHOWN + 1])
        self.stdout.write("Known, the latest first:" if rows else "Nothing is known of the zone itself.")
        for row in rows[:_SHOWN]:
            when = str(row.year) if row.year else f"{row.valid_from:%Y-%m-%d %H:%M}" if row.valid_from else "-"
            notes = ", estimated" if row.is_estimated else ""  # that it is simulated stands in the source
            self.stdout.write(
                f"  {when:16}  {row.gco2e_per_kwh:7g} gCO2e/kWh  {row.get_kind_display()}{notes}: {row.source}"
            )
        if len(rows) > _SHOWN:
            self.stdout.write("  and older ones, in the admin")


def _described(current: CurrentIntensity) -> str:
    when = current.year or (f"{current.valid_from:%Y-%m-%d %H:%M} UTC" if current.valid_from else "no date")
    flags = [word for word in ("stale", "estimated", "simulated") if getattr(current, f"is_{word}")]
    marks = f" [{', '.join(flags)}]" if flags else ""
    kind = CarbonIntensity.Kind(current.kind).label.lower()
    return f"{current.gco2e_per_kwh:g} gCO2e/kWh{marks}, {current.zone}, {kind}, {when}: {current.source}"

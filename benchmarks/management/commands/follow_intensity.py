"""Have a live service asked about a zone."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from benchmarks.grid.connecting import OFFICIAL_URLS, USUAL_KEY_VARIABLE
from benchmarks.management.telling import TellingCommand
from benchmarks.models import IntensityFeed
from benchmarks.refreshing import follow, unfollow


class Command(TellingCommand):
    help = "Have a live service asked about the carbon intensity of a zone (or stop it); the admin can do the same."
    told: ClassVar[tuple[type[Exception], ...]] = (IntensityFeed.DoesNotExist,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("zone", help="Zone of the machines, such as DE, US-CAL-CISO or GB-13.")
        parser.add_argument("provider", nargs="?", choices=list(OFFICIAL_URLS))
        parser.add_argument("--stop", action="store_true", help="Ask no more; what was told stays.")
        parser.add_argument("--provider-zone", default="", help="The zone's name at the service, where it differs.")
        parser.add_argument("--url", default="", help="Address of the service; the official one where absent.")
        parser.add_argument(
            "--api-key-variable",
            default="",
            help=f"Environment variable that holds the key, never the key; {USUAL_KEY_VARIABLE} where absent.",
        )
        parser.add_argument("--every", type=int, default=15, metavar="MIN", help="Ask at most every so many minutes.")
        parser.add_argument("--stale-after", type=int, default=120, metavar="MIN", help="An older figure is not used.")

    def handle(self, *args: Any, **options: Any) -> None:
        zone = options["zone"]
        if options["stop"] == bool(options["provider"]):
            raise CommandError("Name the service that shall be asked, or give --stop.")
        if options["stop"]:
            unfollow(zone=zone)
            self.stdout.write(f"No live service is asked about {zone} any more.")
            return
        try:
            feed = follow(
                zone=zone,
                provider=options["provider"],
                provider_zone=options["provider_zone"],
                base_url=options["url"],
                api_key_variable=options["api_key_variable"],
                refresh_minutes=options["every"],
                stale_after_minutes=options["stale_after"],
            )
        except ValidationError as error:
            mistakes = "; ".join(f"{name}: {' '.join(told)}" for name, told in error.message_dict.items())
            raise CommandError(f"Nothing was changed. {mistakes}") from error
        self.stdout.write(f"{feed}: asked by manage.py refresh_intensities, at most every {feed.refresh_minutes} min.")

"""Ask the live services of carbon intensity, once or until Ctrl-C."""

import signal
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from benchmarks.grid.base import IntensityError
from benchmarks.management.telling import TellingCommand
from benchmarks.models import IntensityFeed
from benchmarks.refreshing import connect_feed, refresh

_PERIOD_S = 60.0


class Command(TellingCommand):
    help = (
        "Ask the live service of each zone that is followed, if its time has come. For cron, or with --watch for a "
        "process of its own."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--watch", action="store_true", help="Go on until Ctrl-C, looking every minute.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["watch"]:
            failed = self._refresh_all()
            if failed:
                raise CommandError(f"{failed} of the live services gave no figure.")
            return
        stop = Event()
        former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not stop.is_set():
                self._refresh_all()
                close_old_connections()
                stop.wait(_PERIOD_S)
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _refresh_all(self) -> int:
        failed = 0
        for feed in IntensityFeed.objects.order_by("zone"):
            provider = connect_feed(feed=feed, timeout_s=settings.INTENSITY_TIMEOUT_S)
            try:
                row = refresh(feed=feed, provider=provider, now=timezone.now())
            except IntensityError as error:
                failed += 1
                self.stderr.write(f"{feed}: {error.kind}: {error}")
                continue
            told = "asked a short while ago, not again yet" if row is None else f"{row.gco2e_per_kwh:g} gCO2e/kWh"
            self.stdout.write(f"{feed}: {told}.")
        return failed

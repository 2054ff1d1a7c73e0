"""Put the waiting answers in the order in which their labels may change the routing most."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import CommandParser
from django.db import close_old_connections
from django.utils import timezone

from benchmarks.management.telling import study_named
from benchmarks.models import Study
from router.choosing_labels import NothingWaits, labels_since_order, order_labels
from router.management.telling import RouterCommand

_PERIOD_S = 30.0


class Command(RouterCommand):
    help = (
        "Order the queue by what a label would change in routing; people get it in the mode “What routing needs most "
        "first”. Once, or with --watch again after so many labels."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", help="Only the answers of this study; all where absent.")
        parser.add_argument("--seed", type=int, default=0, help="Of the shuffling of prompts (0 where absent).")
        parser.add_argument("--watch", action="store_true", help="Go on until Ctrl-C, looking every half minute.")
        parser.add_argument(
            "--every", type=int, default=50, help="With --watch: order anew after so many labels (50 where absent)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"]) if options["study"] else None
        self._order(study, options["seed"])
        if not options["watch"]:
            return
        stop = Event()
        former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not stop.wait(_PERIOD_S):
                since = labels_since_order()
                if since is None or abs(since) >= options["every"]:
                    self._order_if_any(study, options["seed"])
                close_old_connections()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _order_if_any(self, study: Study | None, seed: int) -> None:
        try:
            self._order(study, seed)
        except NothingWaits as error:
            self.stdout.write(str(error))

    def _order(self, study: Study | None, seed: int) -> None:
        made = order_labels(study=study, seed=seed, now=timezone.now())
        self.stdout.write(
            f"{made.waiting_count} answers in order, {made.worthwhile_count} of them worthwhile: their labels may "
            f"change the routing. {made.label_count} answers have a label; {made.live_count} live prompts were "
            "looked at."
        )
        for one in [one for one in made.strata if one["is_worthwhile"]][:12]:
            self.stdout.write(
                f"  {one['share']:6.1%} of the next labels: {one['model']} in {one['category']}, "
                f"{one['label_count']} labels, {one['waiting_count']} wait"
            )

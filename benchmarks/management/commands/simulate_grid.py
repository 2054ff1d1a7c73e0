"""Serve a twin of the live services of carbon intensity."""

import signal
from argparse import ArgumentTypeError
from threading import Event
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.grid.base import MAX_GCO2E_PER_KWH
from benchmarks.grid.scripted import GridFault, GridScript, ScriptedGrid
from benchmarks.management.telling import TellingCommand


class Command(TellingCommand):
    help = (
        "Simulate Electricity Maps and Great Britain's Carbon Intensity API on one port until Ctrl-C: give its address "
        "to manage.py follow_intensity --url. What it tells is stored as simulated."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--zone",
            action="append",
            type=_zone,
            required=True,
            metavar="ZONE=GRAMS",
            help="A zone and its gCO2e/kWh, such as DE=310, GB=120 or 13=95 (a region of Great Britain); repeatable.",
        )
        parser.add_argument("--port", type=int, default=0, help="A free one where absent.")
        parser.add_argument("--key", default="", help="The key that Electricity Maps asks for; any where absent.")
        parser.add_argument("--estimated", action="store_true", help="Nothing is metered yet.")
        parser.add_argument("--fault", choices=[str(fault) for fault in GridFault], help="Fail like this, always.")

    def handle(self, *args: Any, **options: Any) -> None:
        script = GridScript(
            intensities=dict(options["zone"]),
            clock=timezone.now,
            key=options["key"],
            is_metered=not options["estimated"],
            fault=GridFault(options["fault"]) if options["fault"] else None,
        )
        stop = Event()
        former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with ScriptedGrid(script, port=options["port"]) as grid:
                self.stdout.write(f"Simulated services at {grid.url}")
                self.stdout.flush()
                stop.wait()
        except (OSError, OverflowError) as error:
            raise CommandError(f"The port {options['port']} cannot be used: {error}") from error
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        self.stdout.write(f"Stopped after {len(script.paths)} questions.")


def _zone(text: str) -> tuple[str, float]:
    zone, _, grams = text.partition("=")
    try:
        value = float(grams)
    except ValueError:
        value = float("nan")
    if not zone or not 0 <= value <= MAX_GCO2E_PER_KWH:
        raise ArgumentTypeError(f"{text!r} is no ZONE=GRAMS with grams from 0 to {MAX_GCO2E_PER_KWH:g}")
    return zone, value

"""Calibrate a machine: what it draws idle and busy, what sampling costs, how long it takes to calm down."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.calibrating import Calibrated, CalibrationError, Workbench, calibrate
from benchmarks.calibration import Share
from benchmarks.federating import ensure_machine
from benchmarks.jobs import process_thermometers
from benchmarks.locking import MachineBusy
from benchmarks.management.telling import TellingCommand, machine_named
from benchmarks.meters.configuration import DEFAULT_PERIOD_MS
from benchmarks.meters.stress import cores_busy
from benchmarks.meters.temperature import read_all
from benchmarks.models import Calibration
from benchmarks.spread import Spread
from benchmarks.units import milliwatts_to_watts

_WARNINGS = {
    "estimated": "Estimated from the processor's load, not measured: the overhead is what the sampler adds to that "
    "load. Attach a meter for a figure that counts.",
    "simulated": "Simulated: these figures show that calibrating works, and say nothing about this machine.",
}


class Command(TellingCommand):
    help = (
        "Measure a quiet machine in four stretches: idle without sampling, idle with all meters, every core busy, "
        "calming down. Stores the idle power, from which energies net of idle are made from then on."
    )
    told = (MachineBusy, CalibrationError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--machine", help="Name of the machine; GREENLLM_MACHINE where absent.")
        parser.add_argument("--seconds", type=float, default=30.0, help="Length of each of the four, 3 to 600 s.")
        parser.add_argument("--period-ms", type=int, default=DEFAULT_PERIOD_MS, help="Of meters without their own.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 3 <= options["seconds"] <= 600:
            raise CommandError("--seconds is from 3 to 600.")
        if not 10 <= options["period_ms"] <= 60_000:
            raise CommandError("--period-ms is from 10 to 60000.")
        name = options["machine"]
        machine = machine_named(name) if name else ensure_machine(name=settings.MACHINE_NAME)
        bench = Workbench(
            now=timezone.now,
            cores_busy=lambda seconds: cores_busy(seconds=seconds),
            temperatures=partial(read_all, process_thermometers()),
            tell=self._progress(options["seconds"]),
        )
        try:
            made = calibrate(machine=machine, seconds=options["seconds"], period_ms=options["period_ms"], bench=bench)
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was stored.") from None
        self._report(made)

    def _progress(self, seconds: float) -> Callable[[str], None]:
        begun_s, count = time.monotonic(), iter(range(1, 5))

        def tell(text: str) -> None:
            left_s = max(0.0, 4 * (seconds + 1) - (time.monotonic() - begun_s))
            self.stdout.write(f"{next(count)}/4  {text} (about {left_s:.0f} s left)")
            self.stdout.flush()

        return tell

    def _report(self, made: Calibrated) -> None:
        row = made.calibration
        self.stdout.write(f"\nCalibration of {row.machine}, {row.get_quality_display().lower()}: {row.idle.boundary}")
        self.stdout.write(f"  without sampling  {_power(made.baseline)}")
        self.stdout.write(f"  with all meters   {_power(made.idle)}")
        self.stdout.write(f"  every core busy   {milliwatts_to_watts(row.peak_power_mw):.3f} W")
        self.stdout.write("Overhead of sampling (95 % interval):")
        power = made.overhead.power_mw
        low, high = milliwatts_to_watts(power.low), milliwatts_to_watts(power.high)
        self.stdout.write(f"  {milliwatts_to_watts(power.value):+.3f} W ({low:+.3f} to {high:+.3f})")
        self.stdout.write(f"  {_share(made.overhead.of_span)} of (peak - idle)")
        self.stdout.write(f"  {_share(made.overhead.of_idle)} of idle")
        if power.low <= 0 <= power.high:
            self.stdout.write("  The interval holds 0: no overhead was seen. A longer --seconds sees smaller ones.")
        self.stdout.write(self._cooldown(row, made.hottest_c))
        if row.quality in _WARNINGS:
            self.stdout.write(_WARNINGS[row.quality])
        self.stdout.write(f"Stored as calibration {row.pk}; energies net of idle are made from it.")

    def _cooldown(self, row: Calibration, hottest_c: float | None) -> str:
        heat = "no temperature can be read" if hottest_c is None else f"hottest sensor at the end {hottest_c:.0f} °C"
        if row.cooldown_s is None:
            return f"Cooldown: it had not calmed down, or did not warm up; {heat}. Try a longer --seconds."
        return f"Cooldown: {row.cooldown_s:.1f} s, from the decay of the {row.cooldown_source} ({heat})."


def _power(spread: Spread) -> str:
    low, high = (milliwatts_to_watts(one or 0.0) for one in (spread.low, spread.high))
    return f"{milliwatts_to_watts(spread.mean):.3f} W ({low:.3f} to {high:.3f}, n={spread.n})"


def _share(share: Share | None) -> str:
    return "no share" if share is None else f"{share.value:+.2%} ({share.low:+.2%} to {share.high:+.2%})"

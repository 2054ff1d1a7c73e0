"""Show what is attached to a machine, what it reads, and what sampling costs."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from benchmarks.checking import ChannelCheck, MeterCheck, check_machine
from benchmarks.federating import ensure_machine
from benchmarks.locking import MachineBusy
from benchmarks.management.telling import TellingCommand, machine_named
from benchmarks.meters.attached import Finding, look_around
from benchmarks.meters.configuration import DEFAULT_PERIOD_MS
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, milliwatts_to_watts

_BYTES_PER_MEGABYTE = 1_000_000


class Command(TellingCommand):
    help = (
        "Say which meters this machine has and could have, what each channel reads now, how punctual the sampler is "
        "and what it costs. Exit code 1 where a configured meter is away."
    )
    told = (MachineBusy,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--machine", help="Name of the machine; GREENLLM_MACHINE where absent.")
        parser.add_argument("--seconds", type=float, default=10.0, help="How long to sample, 1 to 600 s.")
        parser.add_argument("--period-ms", type=int, default=DEFAULT_PERIOD_MS, help="Of meters without their own.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["seconds"] <= 600:
            raise CommandError("--seconds is from 1 to 600.")
        if not 10 <= options["period_ms"] <= 60_000:
            raise CommandError("--period-ms is from 10 to 60000.")
        name = options["machine"]
        machine = machine_named(name) if name else ensure_machine(name=settings.MACHINE_NAME)
        self.stdout.write("What this machine could measure with:")
        for finding in look_around():
            self._tell(finding)
        self.stdout.write(f"\nMeters of {machine}, sampled for {options['seconds']:g} s:")
        if not machine.meters:
            self.stdout.write("  None is configured, so that power is estimated from the processor's load.")
        try:
            check = check_machine(machine=machine, seconds=options["seconds"], period_ms=options["period_ms"])
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was changed.") from None
        self._report(check)

    def _report(self, check: MeterCheck) -> None:
        for finding in check.meters:
            self._tell(finding)
        for one in check.channels:
            self._tell_channel(one)
        self._tell_jitter(check)
        away = [finding.name for finding in check.meters if not finding.is_there]
        silent = [one.channel.name for one in check.channels if one.integration.energy_j is None]
        if away:
            raise CommandError(f"Configured and away: {', '.join(away)}.")
        if silent:
            raise CommandError(f"Without a complete set of readings: {', '.join(silent)}.")

    def _tell(self, finding: Finding) -> None:
        mark = "there  " if finding.is_there else "missing"
        self.stdout.write(f"  {mark}  {finding.name}: {finding.detail}")
        if finding.remedy:
            self.stdout.write(f"           remedy: {finding.remedy}")

    def _tell_channel(self, one: ChannelCheck) -> None:
        found = one.integration
        if found.mean_power_mw is None:
            power = f"no power: {found.reason}"
        else:
            power = f"{milliwatts_to_watts(found.mean_power_mw):.2f} W"
        self.stdout.write(
            f"\n  {one.channel.name} by {one.meter}: {power} ({one.channel.quality}, {one.channel.boundary}, "
            f"n={found.sample_count}, {found.coverage:.0%} of the time seen)"
        )
        for name, fact in one.facts.items():
            self.stdout.write(f"           {name}: {fact}")

    def _tell_jitter(self, check: MeterCheck) -> None:
        if check.cost is None:
            return
        self.stdout.write("\nHow late reads began (ms), and deadlines without a read:")
        self.stdout.write(
            f"  {'channel':24} {'period':>7} {'p50':>7} {'p99':>7} {'max':>7} {'missed':>7} {'gaps':>5} {'n':>6}"
        )
        for one in check.channels:
            late = one.punctuality
            if late is None:
                continue
            missed = "-" if late.missed_count is None else str(late.missed_count)
            self.stdout.write(
                f"  {one.channel.name[:24]:24} {one.period_ns // NANOSECONDS_PER_MILLISECOND:4d} ms "
                f"{late.p50_ms:7.2f} {late.p99_ms:7.2f} {late.largest_ms:7.2f} {missed:>7} "
                f"{late.gap_count:5d} {late.n:6d}"
            )
        self.stdout.write(
            f"The sampler used {check.cost.core_share:.2%} of one core and "
            f"{check.cost.resident_bytes / _BYTES_PER_MEGABYTE:.1f} MB of memory."
        )

"""Which carbon intensity counts: one fixed for comparisons, the present one for whoever serves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.models import CarbonIntensity, IntensityFeed


class NoIntensity(LookupError):
    """No carbon intensity is known for a zone, or none of that year."""


class AmbiguousIntensity(LookupError):
    """Several sources tell the intensity of a zone and year, and not the same."""


@dataclass(frozen=True)
class CurrentIntensity:
    """The carbon intensity to use for a zone now, in gCO2e/kWh, and how far it is what its name says.

    `is_stale`: a live service is asked about the zone, and this is not its figure of the present. `zone` is that of
    the figure: the country's, where its part has none.
    """

    zone: str
    gco2e_per_kwh: float
    kind: str
    source: str
    year: int | None
    valid_from: datetime | None
    is_stale: bool
    is_estimated: bool
    is_simulated: bool
    reason: str


def average_of(*, zone: str) -> CarbonIntensity:
    """Return the intensity for comparisons: fixed by hand, else the latest year; of the country where a part has none.

    Raises:
        NoIntensity: neither is known.
    """
    for one in _zone_and_country(zone):
        found = CarbonIntensity.objects.filter(zone=one).averages().first()
        if found is not None:
            return found
    raise NoIntensity(
        f"No carbon intensity is known for the zone {zone!r}. Import the published table with "
        f"manage.py import_intensity owid, or add one in the admin."
    )


def yearly_of(*, zone: str, year: int, source: str = "") -> CarbonIntensity:
    """Return the intensity of a zone in a year; `source` is a part of the source's name, where there are several.

    Raises:
        NoIntensity: there is none; the message lists the years that there are.
        AmbiguousIntensity: several sources differ.
    """
    known = CarbonIntensity.objects.filter(zone=zone).averages().filter(source__icontains=source)
    found = list(known.filter(year=year))
    if not found:
        years = sorted({str(one) for one in known.values_list("year", flat=True) if one is not None})
        there = (
            f"There are: {', '.join(years)}." if years else "There is no year of it; see manage.py import_intensity."
        )
        wanted = f" from a source named {source!r}" if source else ""
        raise NoIntensity(f"No carbon intensity of {zone!r} in {year} is known{wanted}. {there}")
    if len({one.gco2e_per_kwh for one in found}) > 1:
        told = "; ".join(f"{one.gco2e_per_kwh:g} by {one.source!r}" for one in found)
        raise AmbiguousIntensity(f"Sources differ on {zone!r} in {year}: {told}. Name one of them with --source.")
    return found[0]


def current_intensity(*, zone: str, now: datetime) -> CurrentIntensity:
    """Return the intensity to use now, from what is stored: nothing is asked here, see `refreshing`.

    The latest figure of the zone's live service, while it is fresh. Else the average, flagged as stale; without an
    average the service's old figure, flagged too. A zone without a live service has its average, which is not stale.

    Raises:
        NoIntensity: nothing is known for the zone.
    """
    feed = IntensityFeed.objects.select_related("latest").filter(zone=zone).first()
    if feed is None:
        return _told(average_of(zone=zone), is_stale=False, reason=f"No live service is asked about {zone}.")
    live = feed.latest
    if live is not None and live.valid_from is not None:
        age = now - live.valid_from
        if age <= timedelta(minutes=feed.stale_after_minutes):
            return _told(live, is_stale=False, reason=f"The live figure is {_minutes(age)} old.")
        reason = f"The live figure is {_minutes(age)} old, stale after {feed.stale_after_minutes} min."
    else:
        reason = "The live service has not told a figure yet."
    if feed.problem:
        reason += f" The latest question failed ({feed.problem_kind}): {feed.problem}"
    try:
        return _told(average_of(zone=zone), is_stale=True, reason=reason)
    except NoIntensity:
        if live is None:
            raise
        return _told(live, is_stale=True, reason=f"{reason} No yearly average is known to fall back to.")


def _told(row: CarbonIntensity, *, is_stale: bool, reason: str) -> CurrentIntensity:
    return CurrentIntensity(
        zone=row.zone,
        gco2e_per_kwh=row.gco2e_per_kwh,
        kind=row.kind,
        source=row.source,
        year=row.year,
        valid_from=row.valid_from,
        is_stale=is_stale,
        is_estimated=row.is_estimated,
        is_simulated=row.is_simulated,
        reason=reason,
    )


def _zone_and_country(zone: str) -> list[str]:
    """Return a zone and, for a part such as US-CAL-CISO, its country."""
    country = zone.partition("-")[0]
    return [zone] if country == zone else [zone, country]


def _minutes(age: timedelta) -> str:
    return f"{max(age, timedelta(0)) // timedelta(minutes=1)} min"

"""The client of Great Britain's Carbon Intensity API: the nation and its regions by the half hour, without a key."""

import re
from dataclasses import dataclass

from benchmarks.grid.base import LiveIntensity, UnknownZone, UnusableAnswer, checked_intensity, checked_moment, first_of
from benchmarks.grid.exchange import ask

OFFICIAL_URL = "https://api.carbonintensity.org.uk"
SOURCE = "NESO Carbon Intensity API (carbonintensity.org.uk), CC BY 4.0; generation only, not the life cycle"
NATION = "GB"

_REGION = re.compile(r"(?:GB-)?([1-9]|1[0-7])")


@dataclass(frozen=True)
class GreatBritain:
    """Asks for the nation (`GB`) or for a region by its number (`13` or `GB-13`)."""

    base_url: str
    timeout_s: float

    def latest(self, zone: str) -> LiveIntensity:
        """Return the intensity of the present half hour; regions, and the nation until metered, are forecasts."""
        region = region_of(zone)
        path = "intensity" if region is None else f"regional/regionid/{region}"
        answer = ask(f"{self.base_url}/{path}", timeout_s=self.timeout_s, zone=zone)
        told = answer.body
        if region is not None:
            told = first_of(told, "data")
            if told.get("regionid") != region:
                raise UnusableAnswer(f"the answer is about the region {str(told.get('regionid'))[:40]}, not {region}.")
        half_hour = first_of(told, "data")
        intensity = half_hour.get("intensity")
        if not isinstance(intensity, dict):
            raise UnusableAnswer("the half hour has no object 'intensity'.")
        name = "forecast" if intensity.get("actual") is None else "actual"
        return LiveIntensity(
            zone=zone,
            gco2e_per_kwh=checked_intensity(intensity.get(name), f"intensity.{name}"),
            valid_from=checked_moment(half_hour.get("from"), "from"),
            source=SOURCE,
            is_estimated=name == "forecast",
            is_simulated=answer.is_simulated,
        )


def region_of(zone: str) -> int | None:
    """Return the number of a region, None for the nation.

    Raises:
        UnknownZone: it is neither.
    """
    if zone == NATION:
        return None
    found = _REGION.fullmatch(zone)
    if found is None:
        raise UnknownZone(f"{zone!r} is neither {NATION} nor the number of a region, 1 to 17 (GB-1 to GB-17).")
    return int(found[1])

"""Make the client of a live service by its kind."""

from collections.abc import Mapping

from benchmarks.grid import electricity_maps, great_britain
from benchmarks.grid.base import IntensityProvider
from benchmarks.grid.electricity_maps import ElectricityMaps
from benchmarks.grid.great_britain import GreatBritain

ELECTRICITY_MAPS = "electricity_maps"
GREAT_BRITAIN = "great_britain"
USUAL_KEY_VARIABLE = "ELECTRICITY_MAPS_API_KEY"

OFFICIAL_URLS = {ELECTRICITY_MAPS: electricity_maps.OFFICIAL_URL, GREAT_BRITAIN: great_britain.OFFICIAL_URL}


class UnknownProviderKind(ValueError):
    """No client speaks to this kind of service."""


def provider_for(
    kind: str, *, base_url: str, key_variable: str, environment: Mapping[str, str], timeout_s: float
) -> IntensityProvider:
    """Make the client; nothing is sent yet. An empty address is the official one, an empty variable the usual one.

    Raises:
        UnknownProviderKind: there is no client for it.
    """
    url = (base_url or OFFICIAL_URLS.get(kind, "")).rstrip("/")
    if kind == ELECTRICITY_MAPS:
        variable = key_variable or USUAL_KEY_VARIABLE
        return ElectricityMaps(url, environment.get(variable, "").strip(), variable, timeout_s)
    if kind == GREAT_BRITAIN:
        return GreatBritain(url, timeout_s)
    raise UnknownProviderKind(f"There is no client for the kind {kind!r}; there are: {', '.join(OFFICIAL_URLS)}.")

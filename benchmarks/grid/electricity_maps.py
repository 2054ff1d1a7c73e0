"""The client of Electricity Maps: zones all over the world, flow-traced, with a key."""

from dataclasses import dataclass, field

from benchmarks.grid.base import KeyRefused, LiveIntensity, UnusableAnswer, checked_intensity, checked_moment
from benchmarks.grid.exchange import ask

OFFICIAL_URL = "https://api.electricitymaps.com/v3"
SOURCE = "Electricity Maps API, {kind} emission factors, under the terms of the key's plan"

_EMISSION_FACTOR_KINDS = ("lifecycle", "direct")


@dataclass(frozen=True)
class ElectricityMaps:
    """Asks `/carbon-intensity/latest`; `key_variable` only names where the key stands, for messages."""

    base_url: str
    key: str = field(repr=False)
    key_variable: str
    timeout_s: float

    def latest(self, zone: str) -> LiveIntensity:
        """Return the intensity of the latest hour, estimated where the grid's operator has not published yet."""
        if not self.key:
            raise KeyRefused(f"The environment variable {self.key_variable} holds no key of Electricity Maps.")
        if not self.key.isascii() or not self.key.isprintable():
            raise KeyRefused(f"The key in {self.key_variable} holds characters that cannot be sent.")
        answer = ask(
            f"{self.base_url}/carbon-intensity/latest",
            timeout_s=self.timeout_s,
            zone=zone,
            params={"zone": zone},
            headers={"auth-token": self.key},
        )
        body = answer.body
        if body.get("zone") != zone:
            raise UnusableAnswer(f"the answer is about the zone {str(body.get('zone'))[:40]!r}, not {zone!r}.")
        kind = body.get("emissionFactorType", "lifecycle")
        if kind not in _EMISSION_FACTOR_KINDS:
            raise UnusableAnswer(f"emissionFactorType is {str(kind)[:40]!r}, which is not known.")
        return LiveIntensity(
            zone=zone,
            gco2e_per_kwh=checked_intensity(body.get("carbonIntensity"), "carbonIntensity"),
            valid_from=checked_moment(body.get("datetime"), "datetime"),
            source=SOURCE.format(kind=kind),
            is_estimated=body.get("isEstimated") is True,
            is_simulated=answer.is_simulated,
        )

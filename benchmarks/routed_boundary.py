"""The boundary of an answer that came through the router: classifier + network + chosen model. Pure."""

import ipaddress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from benchmarks.boundary import MAX_WORDS_LENGTH, QUALITIES_IN_ORDER, BoundedEnergy
from benchmarks.units import network_energy_j

_BOUNDARY = "router: classifier + network + chosen model"


@dataclass(frozen=True)
class Hop:
    """The way from the machine to the router and back, of one answer.

    `byte_count` is what went over it both ways, `kwh_per_gb` what its network needs; None where it is not known.
    """

    is_loopback: bool
    byte_count: int | None = None
    kwh_per_gb: float | None = None


def is_loopback(url: str) -> bool:
    """Tell whether an address leads to this very machine; a name other than localhost is not resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def with_router(bounded: BoundedEnergy, *, hop: Hop, unseen: str = "") -> BoundedEnergy:
    """Return what the meters of the machine saw as the energy of an answer through the router.

    Loopback is inside what they saw. A network beyond the machine is added by its kWh per GB, which makes the whole
    an estimate at best; without that figure the energy is missing. `unseen` says what took part in the answer and
    the meters did not see: then it is missing too.
    """
    reason = unseen or _unknown_network(hop)
    network = "" if reason or hop.is_loopback else f" ({hop.byte_count} bytes at {hop.kwh_per_gb:g} kWh/GB)"
    bounded = replace(bounded, boundary=f"{_BOUNDARY}{network}; {bounded.boundary}"[:MAX_WORDS_LENGTH])
    if bounded.energy_j is None:
        return bounded
    if reason:
        return replace(bounded, energy_j=None, quality="missing", is_low_precision=False, missing_reason=reason)
    if hop.is_loopback or hop.byte_count is None or hop.kwh_per_gb is None:
        return bounded
    return replace(
        bounded,
        energy_j=bounded.energy_j + network_energy_j(hop.byte_count, hop.kwh_per_gb),
        quality=max(bounded.quality, "estimated", key=QUALITIES_IN_ORDER.index),
    )


def _unknown_network(hop: Hop) -> str:
    if hop.is_loopback:
        return ""
    if hop.kwh_per_gb is None:
        return (
            "The router is not on this machine and its server has no figure of the network between them (kWh per GB): "
            "give one with run_study --network-kwh-per-gb, or in the admin."
        )
    if hop.byte_count is None:
        return "The router is not on this machine, and the bytes that went over the network were not counted."
    return ""

"""What every live service of carbon intensity gives, and the ways in which it can fail."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

# No grid of the world comes near: lignite alone is at about 1,200 g a kWh. Above it a unit was mistaken.
MAX_GCO2E_PER_KWH = 3000.0


class IntensityError(RuntimeError):
    """A live service gave no carbon intensity."""

    kind: ClassVar[str] = "failed"


class ProviderUnreachable(IntensityError):
    """Nothing answers at the address, or not in time."""

    kind = "unreachable"


class KeyRefused(IntensityError):
    """There is no key, or the service does not take it (or not for this zone)."""

    kind = "key refused"


class UnknownZone(IntensityError):
    """The service has nothing for this zone."""

    kind = "unknown zone"


class ProviderBusy(IntensityError):
    """The service refuses for now: too many questions, or trouble of its own."""

    kind = "busy"


class UnusableAnswer(IntensityError):
    """The service answered something that is no carbon intensity."""

    kind = "unusable answer"


@dataclass(frozen=True)
class LiveIntensity:
    """The carbon intensity of a zone from one moment, in gCO2e/kWh, as a service tells it."""

    zone: str
    gco2e_per_kwh: float
    valid_from: datetime
    source: str
    is_estimated: bool
    is_simulated: bool


class IntensityProvider(Protocol):
    """A service that knows the present carbon intensity of zones."""

    def latest(self, zone: str) -> LiveIntensity:
        """Return the latest intensity of a zone, by the name that the service has for it.

        Raises:
            IntensityError: there is none; the class tells why.
        """
        ...


def checked_intensity(value: Any, name: str) -> float:
    """Return a number of gCO2e/kWh that can be one.

    Raises:
        UnusableAnswer: it is no number, or no grid has it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnusableAnswer(f"{name} is {_short(value)}, which is no number.")
    if not 0 <= value <= MAX_GCO2E_PER_KWH:
        raise UnusableAnswer(f"{name} is {value}, but a grid has from 0 to {MAX_GCO2E_PER_KWH:g} gCO2e/kWh.")
    return float(value)


def checked_moment(value: Any, name: str) -> datetime:
    """Return a moment with its time zone.

    Raises:
        UnusableAnswer: it is none.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise UnusableAnswer(f"{name} is {_short(value)}, which is no moment.") from error
    if moment.tzinfo is None:
        raise UnusableAnswer(f"{name} is {_short(value)}, without its time zone.")
    return moment


def first_of(answer: Any, name: str) -> dict[str, Any]:
    """Return the first object of the list that stands in an answer under a name.

    Raises:
        UnusableAnswer: there is no such list, or no object in it.
    """
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not found or not isinstance(found[0], dict):
        raise UnusableAnswer(f"the answer has no list {name!r} with an object in it.")
    return found[0]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

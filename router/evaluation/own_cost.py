"""What the router itself costs for each prompt: booked on whatever embeds a prompt before it chooses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OwnCost:
    """The router's own cost of one prompt, from the measured building of an index.

    Args:
        value: per prompt, in the unit of the outcomes' costs; None where it is missing, never 0.
        quality: how the energy came about, or `missing`.
        n: prompts that were embedded while it was measured.
        source: of which index, and where the boundary of its measurement lies; where it is missing, why.
    """

    value: float | None
    quality: str
    n: int
    source: str


UNKNOWN = OwnCost(None, "missing", 0, "The energy of embedding a prompt was not looked for.")

"""What a page needs to show one chart: the figure as JSON, and words for those who do not see it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Okabe and Ito's palette, told apart by colour-blind readers; black and yellow are left out, unseen on dark or light
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")

_GAPS = {1: 0.7, 2: 0.5, 3: 0.35}


def bar_gap(count: int) -> float:
    """Return which share of the room of each of so many bars stays empty: a few are no blocks."""
    return _GAPS.get(count, 0.2)


def in_words(count: int, single: str, plural: str = "") -> str:
    """Return so many of a thing in words, such as `1 step` or `3 categories`."""
    return f"{count:,} {single if count == 1 else plural or f'{single}s'}"


@dataclass(frozen=True)
class Chart:
    """One figure in Plotly's JSON form (`data` and `layout`), its title and a description for screen readers.

    `id` is unique on the page. Colours of axes and ground come from the style sheet, so a figure names none of them.
    """

    id: str
    title: str
    description: str
    figure: Mapping[str, Any]

    @property
    def figure_id(self) -> str:
        """Return the id of the element that holds the figure's JSON."""
        return f"{self.id}-figure"

"""A carbon budget for an hour, met by moving along the dial between quality and carbon. Pure.

Each request pays a price for its SCI, the dual variable of the constraint "spend no more than B in this hour". It
rises by what a request spends and falls by what the time since the one before allowed, never below 0:

    price' = max(0, price + GAIN / d * (c - B * dt) / B)

with `c` the SCI of the request (of each of its runs, where a cascade makes several), `d` the highest one of the hour so
far (gCO2e), which makes the price one in probability of being right per gCO2e, and `dt` the share of the hour since the
request before. Source: the primal-dual step of GAR, arXiv 2605.11603, with the pace of the hour in place of a budget
for each request, because nobody knows how many requests an hour brings.
"""

import math
from dataclasses import dataclass, field, replace

from router.spans import Span

NO_LIMIT = math.inf
GAIN = 2.0  # a tenth of the budget ahead, the dearest model must be 20 points more probable than a free one
PLAUSIBLE_SHARE = 0.5  # of the highest probability; a model below that is no answer, however cheap


@dataclass(frozen=True)
class HourSpent:
    """How the budget of a key stands. Of the hour: grams of CO2e, the price of SCI in probability per gCO2e, requests
    so far, when the latest of them came, as a share of the hour, and what that one was expected to cost, where it has
    just been booked; the limit is `NO_LIMIT` where the hour has none. `spans` are day and month, where they have one.
    """

    limit_gco2e: float
    spent_gco2e: float = 0.0
    price: float = 0.0
    request_count: int = 0
    dearest_gco2e: float = 0.0
    elapsed_share: float = 0.0
    booked_gco2e: float = field(default=0.0, compare=False)
    spans: tuple[Span, ...] = ()

    @property
    def has_limit(self) -> bool:
        """Tell whether the hour itself has a budget."""
        return self.limit_gco2e < NO_LIMIT

    @property
    def is_cheapest_wanted(self) -> bool:
        """Tell whether the cheapest plausible model shall answer: a budget is spent, or a soft limit passed."""
        return self.is_spent or any(span.is_soft_passed for span in self.spans)

    @property
    def is_spent(self) -> bool:
        """Tell whether nothing of the hour's budget is left."""
        return self.spent_gco2e >= self.limit_gco2e

    def as_json(self) -> dict[str, object]:
        """Return it for the caller."""
        return {
            "limit_gco2e_per_hour": self.limit_gco2e if self.has_limit else None,
            "spent_gco2e": self.spent_gco2e if self.has_limit else None,
            "is_spent": self.is_spent,
            "price_per_gco2e": self.price,
            "words": self.words,
            **{span.name: span.as_json() for span in self.spans},
        }

    @property
    def headers(self) -> dict[str, str]:
        """Return how each budget stands, as headers of an answer."""
        spent = "; spent" if self.is_spent else ""
        hour = {"X-GreenLLM-Budget": f"{self.spent_gco2e:.6g}/{self.limit_gco2e:.6g} gCO2e{spent}"}
        spans = {f"X-GreenLLM-Budget-{span.name.title()}": span.header for span in self.spans}
        return {**(hour if self.has_limit else {}), **spans}

    @property
    def words(self) -> str:
        """Return how the hour stands, and which limits of day and month are passed, a sentence each."""
        told = [self._hour_words] if self.has_limit else []
        return " ".join([*told, *(span.words for span in self.spans if span.words)])

    @property
    def _hour_words(self) -> str:
        if self.is_spent:
            state = "is spent, so the cheapest plausible model answers"
        else:
            state = "runs ahead of the hour, so carbon counts for more" if self.price > 0 else "keeps its pace"
        return f"The key's carbon budget {state}: {self.spent_gco2e:.3g} of {self.limit_gco2e:.3g} gCO2e this hour."


def after_request(
    hour: HourSpent, *, sci_gco2e: float, elapsed_share: float, is_further_run: bool = False
) -> HourSpent:
    """Return how the hour stands after one more request, or one more run of the same; `elapsed_share` is 0 to 1."""
    if not hour.has_limit:
        return replace(hour, booked_gco2e=sci_gco2e)
    now = min(max(elapsed_share, hour.elapsed_share), 1.0)
    dearest = max(hour.dearest_gco2e, sci_gco2e)
    ahead = (sci_gco2e - hour.limit_gco2e * (now - hour.elapsed_share)) / hour.limit_gco2e
    step = GAIN / dearest * ahead if dearest > 0 else 0.0
    spent = hour.spent_gco2e + sci_gco2e
    return HourSpent(
        limit_gco2e=hour.limit_gco2e,
        spent_gco2e=spent,
        price=max(0.0, hour.price + step),
        request_count=hour.request_count + (0 if is_further_run else 1),
        dearest_gco2e=dearest,
        elapsed_share=now,
        booked_gco2e=sci_gco2e,
        spans=hour.spans,
    )


def after_settling(hour: HourSpent, *, difference_gco2e: float) -> HourSpent:
    """Return how the hour stands once requests turned out dearer than they were booked, or cheaper where negative.

    The price moves as if the difference had been booked with them; as everywhere it is never below 0.
    """
    step = GAIN / hour.dearest_gco2e * difference_gco2e / hour.limit_gco2e if hour.dearest_gco2e > 0 else 0.0
    return replace(
        hour,
        spent_gco2e=max(0.0, hour.spent_gco2e + difference_gco2e),
        price=max(0.0, hour.price + step),
    )


def is_plausible(p: float | None, best_p: float | None) -> bool:
    """Tell whether a model may answer once the budget is spent; where nobody judged, each may."""
    return p is None or best_p is None or p >= PLAUSIBLE_SHARE * best_p

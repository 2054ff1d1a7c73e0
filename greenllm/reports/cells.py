"""What the answers of one model in one category add up to, and every figure made of that. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

from benchmarks.intervals import Interval, share_interval
from benchmarks.products import Products

# what answers are added up for which figures, each with the figures that an answer must have:
# sci (gCO2e), energy and net energy (J), time (s, reserved share of the machine), tokens (generated), right (0 or 1)
POPULATIONS: dict[str, tuple[str, ...]] = {
    "sci": ("sci",),
    "sci_of_right": ("sci",),
    "sci_tokens": ("sci", "tokens"),
    "sci_judged": ("sci", "right"),
    "energy": ("energy", "time"),
    "energy_of_right": ("energy", "time"),
    "energy_tokens": ("energy", "time", "tokens"),
    "energy_judged": ("energy", "time", "right"),
    "net": ("net",),
    "net_tokens": ("net", "tokens"),
    "net_judged": ("net", "right"),
}
TOKENS = 1000  # the functional unit of the figures per output tokens


@dataclass(frozen=True)
class ReportCell:
    """The finished training answers of a model in a category, added up; a total has an empty name for what it pools."""

    category: str
    model: str
    answer_count: int
    judged_count: int
    correct_count: int
    qualities: tuple[str, ...]
    sources: tuple[str, ...]
    products: Mapping[str, Products]
    untimed_count: int = 0  # answers with an energy whose time nobody told: nothing is known of their embodied part

    @cached_property
    def accuracy(self) -> Interval | None:
        """Return the share of right answers among the judged ones."""
        return share_interval(self.correct_count, self.judged_count)

    @property
    def mean_sci_of_right(self) -> Interval | None:
        """Return the mean SCI of the right answers (gCO2e)."""
        return self.products["sci_of_right"].mean((1,))

    @property
    def sum_sci(self) -> float | None:
        """Return the sum of SCI over all answers that have one, right or wrong (gCO2e)."""
        return self.products["sci"].total((1,))

    def per_prompt(self, kind: str) -> Interval | None:
        """Return the mean of `sci`, `energy` or `net` over all answers, right or wrong."""
        found = self.products[kind]
        return found.mean(_first(found))

    def per_tokens(self, kind: str) -> Interval | None:
        """Return `sci`, `energy` or `net` per 1,000 output tokens: all of it by all tokens."""
        return _ratio(self.products[f"{kind}_tokens"], float(TOKENS))

    def per_right_answer(self, kind: str) -> Interval | None:
        """Return `sci`, `energy` or `net` per right answer: that of all judged answers by how many are right."""
        return _ratio(self.products[f"{kind}_judged"], 1.0)


@dataclass(frozen=True)
class Basis:
    """What SCI was made with, and what the answers of that add up to (training and validation)."""

    machine: str
    carbon_intensity_gco2e_per_kwh: float | None
    carbon_intensity_source: str
    total_embodied_emissions_gco2e: float | None
    expected_lifespan_s: int | None
    resource_share: float | None
    boundary: str
    method_version: str
    answer_count: int
    qualities: tuple[str, ...]
    energy: Products
    sci: Products


def pooled(category: str, model: str, cells: Iterable[ReportCell]) -> ReportCell:
    """Return several cells as one."""
    found = list(cells)
    return ReportCell(
        category=category,
        model=model,
        answer_count=sum(one.answer_count for one in found),
        judged_count=sum(one.judged_count for one in found),
        correct_count=sum(one.correct_count for one in found),
        qualities=_joined(found, lambda one: one.qualities),
        sources=_joined(found, lambda one: one.sources),
        products={
            name: reduce(add, (one.products[name] for one in found), empty(names))
            for name, names in POPULATIONS.items()
        },
        untimed_count=sum(one.untimed_count for one in found),
    )


def empty(names: tuple[str, ...]) -> Products:
    """Return the sums of no answer."""
    return Products.of([], width=len(names))


def _joined(cells: Iterable[ReportCell], words: Callable[[ReportCell], tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({word for one in cells for word in words(one)}))


def _first(found: Products) -> tuple[int, ...]:
    return (1, *(0 for _ in found.sums[1:]))


def _ratio(found: Products, per: float) -> Interval | None:
    zeros = [0.0] * (len(found.sums) - 1)
    return found.ratio([1.0, *zeros], [*zeros, 1.0], per=per)

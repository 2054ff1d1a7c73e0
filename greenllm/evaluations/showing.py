"""What the page of an evaluation shows of its stored report: rows of tables, and what the charts draw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.datasets.outcome_table import QUALITIES
from benchmarks.units import grams_to_milligrams
from greenllm.charts import Chart
from greenllm.evaluations.figures import Bin, Point, pareto_chart, reliability_chart, steadiness_chart
from greenllm.templatetags.figures import NONE, signed, significant

Stored = Mapping[str, Any]
_SERIES = {"model": "single models", "control": "controls"}  # each policy is a series of its own
_QUALITIES = (*QUALITIES, "missing")  # in this order; that of a stored report is lost
_HINTS = {
    "cheapest": "the cheapest model, by learned prompts",
    "random": "any model, each as often",
    "best single": "the most accurate model, by learned prompts",
    "oracle": "for each prompt the cheapest model that is right: nobody can know it",
}


@dataclass(frozen=True)
class Cell:
    """One figure in words, and what stands under it."""

    text: str
    under: str = ""


@dataclass(frozen=True)
class ShownRow:
    """One approach as a row of the first table."""

    title: str
    kind: str
    hint: str
    accuracy: Cell
    cost: Cell
    change: Cell
    saving: Cell
    worst: Cell


@dataclass(frozen=True)
class MixRow:
    """One policy against the best mixes of two models."""

    title: str
    at_cost: Cell
    gain: Cell
    at_accuracy: Cell
    saving: Cell


class Shown:
    """A stored report in words; costs in mgCO2e or J."""

    def __init__(self, report: Stored) -> None:
        self.report = report
        self.is_sci = report["unit"] == "gCO2e"
        self.unit = "mgCO₂e" if self.is_sci else report["unit"]
        self._rows: list[Stored] = [row for row in report["rows"] if not row["dial_of"]]
        self._dials: list[Stored] = [row for row in report["rows"] if row["dial_of"]]

    @property
    def rows(self) -> list[ShownRow]:
        """Return every approach but the dials: models, controls, policies."""
        return [self._row(row) for row in self._rows]

    @property
    def mix_rows(self) -> list[MixRow]:
        """Return policies and the places on their dials against mixes."""
        found = [row for row in (*self._rows, *self._dials) if row["kind"] in {"policy", "dial"}]
        order = {row["title"]: number for number, row in enumerate(self._rows)}
        found.sort(key=lambda row: (order[row["dial_of"] or row["title"]], -(row["target"] or 0.0)))
        return [self._mix_row(row) for row in found]

    @property
    def tuned_rows(self) -> list[tuple[str, Cell, str]]:
        """Return each tuned policy with the range of what was chosen over the splits, and its unit."""
        found = []
        for row in self._rows:
            units = {"prices": f"per {self.report['unit']}", "floors": "probability", "tolerances": "of accuracy"}
            for name, unit in units.items():
                if row.get(name) is not None:  # reports of the first days know no tolerances
                    low, high = row[name]
                    text = significant(low) if low == high else f"{significant(low)} to {significant(high)}"
                    found.append((row["title"], Cell(text), unit))
        return found

    @property
    def qualities(self) -> str:
        """Return how the costs came about, with the number of each."""
        return ", ".join(f"{name} (n = {n:,})" for name, n in self.quality_counts) or "not told"

    @property
    def quality_counts(self) -> list[tuple[str, int]]:
        """Return how the costs came about with the number of each, for badges."""
        counts = self.report["qualities"]
        return [(name, counts[name]) for name in _QUALITIES if name in counts]

    @property
    def own(self) -> Cell:
        """Return the router's own cost for each prompt."""
        own = self.report["own_cost"]
        if own["value"] is None:
            return Cell("missing", own["source"])
        return Cell(
            f"{significant(self._cost(own['value']))} {self.unit} per prompt",
            f"{own['quality']}, n = {own['n']:,} prompts. {own['source']}",
        )

    @property
    def is_mixed_quality(self) -> bool:
        """Tell whether the router's own cost is of another quality than those of the answers."""
        own = self.report["own_cost"]
        known = set(self.report["qualities"]) - {"missing"}
        return own["value"] is not None and bool(known) and known != {own["quality"]}

    @property
    def choices(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Return the models, and for each policy which share of prompts went to each of them."""
        rows = [row for row in self._rows if row["kind"] == "policy" or row["title"] == "oracle"]
        models = [row["title"] for row in self._rows if row["kind"] == "model"]
        return models, [(row["title"], [_percent(row["chosen"].get(model, 0.0)) for model in models]) for row in rows]

    @property
    def calibration(self) -> list[tuple[str, float, int, list[Bin]]]:
        """Return each policy with its expected calibration error, n, and the bins in percent."""
        return [
            (
                title, found["expected_error"], found["n"],
                [Bin(100 * one["p"], 100 * one["right"], one["n"]) for one in found["bins"]],
            )
            for title, found in self.report["calibration"].items()
        ]  # fmt: skip

    @property
    def steadiness(self) -> list[tuple[str, str, int, str, str, str]]:
        """Return what writing prompts otherwise does to each policy."""
        return [
            (
                one["policy"], one["written"], one["n"], _percent(one["unchanged"]),
                signed(100 * one["accuracy_change"], 2), f"{signed(100 * one['cost_change'], 1)}\u00a0%",
            )
            for one in self.report["steadiness"]
        ]  # fmt: skip

    @property
    def charts(self) -> dict[str, Chart]:
        """Return the charts that there is something to draw for."""
        charts = {"pareto": self._pareto()}
        if self.report["calibration"]:
            charts["reliability"] = reliability_chart({title: bins for title, _, _, bins in self.calibration})
        if self.report["steadiness"]:
            shares: dict[str, dict[str, float]] = {}
            for one in self.report["steadiness"]:
                shares.setdefault(one["written"], {})[one["policy"]] = 100 * one["unchanged"]
            charts["steadiness"] = steadiness_chart(shares)
        return charts

    def _pareto(self) -> Chart:
        known = [row for row in self._rows if row["accuracy"]["value"] is not None and row["cost"]["value"] is not None]
        points = [self._point(row) for row in known]
        by_title = {row["title"]: row for row in known}
        dials: dict[str, list[Point]] = {}
        for row in self._dials:
            dials.setdefault(row["dial_of"], []).append(self._point(row))
        for title, marks in dials.items():
            if title in by_title:
                marks.append(self._point(by_title[title]))
            marks.sort(key=lambda one: one.cost)
        corners = [self._point(by_title[title]) for title in self.report["frontier"] if title in by_title]
        return pareto_chart(points, dials, corners, self.unit)

    def _point(self, row: Stored) -> Point:
        accuracy = row["accuracy"]
        return Point(
            row["title"], str(_SERIES.get(row["kind"], row["title"])), 100 * accuracy["value"], 100 * accuracy["low"],
            100 * accuracy["high"], self._cost(row["cost"]["value"]),
        )  # fmt: skip

    def _row(self, row: Stored) -> ShownRow:
        own = "router's own missing" if row["is_routed"] and row["own_cost"] is None else ""
        return ShownRow(
            title=row["title"], kind=row["kind"], hint=_HINTS.get(row["title"], ""),
            accuracy=_share(row["accuracy"]),
            cost=self._cost_cell(row["cost"], own),
            change=_points(row["accuracy_change"]),
            saving=_share(row["saving"]),
            worst=Cell(NONE if row["worst_change"] is None else signed(100 * row["worst_change"], 1)),
        )  # fmt: skip

    def _mix_row(self, row: Stored) -> MixRow:
        mix, cost = row["mixture"], row["mixture_cost"]
        return MixRow(
            title=row["title"],
            at_cost=Cell(f"{100 * mix:.1f}\u00a0%", row["mixture_of"]) if mix is not None else _NO_MIX_SO_CHEAP,
            gain=_points(row["gain"]),
            at_accuracy=Cell(f"{significant(self._cost(cost))} {self.unit}", row["mixture_cost_of"])
            if cost is not None
            else _NO_MIX_SO_GOOD,
            saving=_share(row["equal_saving"]),
        )

    def _cost_cell(self, found: Stored, under: str) -> Cell:
        if found["value"] is None:
            return Cell(NONE, "missing")
        ends = ""
        if found["low"] is not None:
            ends = f"{significant(self._cost(found['low']))}\u2013{significant(self._cost(found['high']))}"
        return Cell(significant(self._cost(found["value"])), ", ".join(word for word in (ends, under) if word))

    def _cost(self, value: float) -> float:
        return grams_to_milligrams(value) if self.is_sci else value


_NO_MIX_SO_CHEAP = Cell(NONE, "no model costs so little")
_NO_MIX_SO_GOOD = Cell(NONE, "no model is so accurate")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def _share(found: Stored | None) -> Cell:
    if found is None or found["value"] is None:
        return Cell(NONE)
    return Cell(f"{_plain(100 * found['value'])}\u00a0%", _ends(found, _plain, "\u00a0%"))


def _points(found: Stored | None) -> Cell:
    if found is None or found["value"] is None:
        return Cell(NONE)
    return Cell(_change(100 * found["value"]), _ends(found, _change, ""))


def _change(points: float) -> str:
    return signed(points, 1)


def _plain(percentage: float) -> str:
    """Return a percentage, which may be below zero where it is a saving."""
    return signed(percentage, 1).removeprefix("+")


def _ends(found: Stored, written: Callable[[float], str], unit: str) -> str:
    if found["low"] is None:
        return ""
    return f"{written(100 * found['low'])} to {written(100 * found['high'])}{unit}"

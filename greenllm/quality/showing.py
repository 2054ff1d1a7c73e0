"""What the pages of quality show of the figures: choices, rows of tables, and what the charts draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from benchmarks.intervals import Interval
from greenllm.quality.figures import Mark, Series, share_mark
from greenllm.quality.wording import NO_GOLD, NO_GRADE, NO_JUDGEMENT, NO_REPEAT
from labeling.agreement import Figure
from labeling.confusion import DECIDED, Cell
from labeling.drift import Drift, Per, Period
from labeling.models import Verdict
from labeling.reliability import Reliability

_LONGEST = 200  # of a name in an address


class DriftForm(forms.Form):
    """Whose labels over time, and by what."""

    person = forms.ChoiceField(required=False)
    per = forms.ChoiceField(
        required=False, label="By", choices=[(Per.DAYS.value, "Days"), (Per.LABELS.value, "Numbers of labels")]
    )

    def __init__(self, query: Mapping[str, Any], *, names: Mapping[int, str]) -> None:
        super().__init__(query)
        choices = [("", "All people"), *((str(person_id), name) for person_id, name in names.items())]
        self.fields["person"] = forms.ChoiceField(choices=choices, required=False, label="Whose labels")

    def chosen(self) -> tuple[int | None, Per]:
        """Return the person, None for all, and the kind of period; what cannot be is told by the form."""
        if not self.is_valid():
            return None, Per.DAYS
        person, per = self.cleaned_data["person"], self.cleaned_data["per"]
        return int(person) if person else None, Per(per or Per.DAYS.value)


def chosen_cell(query: Mapping[str, str]) -> Cell | None:
    """Return the pair of verdicts that an address names; None where it names none."""
    grade, verdict = query.get("grade", ""), query.get("verdict", "")
    if grade not in Verdict.values or verdict not in DECIDED:
        return None
    return Cell(
        grade, verdict, query.get("grader", "")[:_LONGEST] or None, query.get("category", "")[:_LONGEST] or None
    )


@dataclass(frozen=True)
class DriftRow:
    """One period: its place on the axis, its name in the table with what stands under it, and its shares or why not."""

    place: str
    name: str
    under: str
    period: Period
    shares: tuple[tuple[Interval | None, str], ...]


def drift_rows(found: Drift) -> list[DriftRow]:
    """Return the periods as rows; of labels by their numbers, of days by the first and the latest day."""
    rows, before = [], 0
    for one in found.periods:
        numbers = f"{before + 1}\N{EN DASH}{before + one.label_count}"
        before += one.label_count
        first, latest = one.first_at.date().isoformat(), one.latest_at.date().isoformat()
        days = first if first == latest else f"{first} to {latest}"
        if found.per is Per.DAYS:
            rows.append(DriftRow(first, days, "", one, _drift_shares(one)))
        else:
            rows.append(DriftRow(numbers, numbers, days, one, _drift_shares(one)))
    return rows


def _drift_shares(one: Period) -> tuple[tuple[Interval | None, str], ...]:
    return (
        (one.correct, NO_JUDGEMENT), (one.as_gold, NO_GOLD), (one.as_before, NO_REPEAT), (one.as_grader, NO_GRADE),
    )  # fmt: skip


def drift_series(rows: Sequence[DriftRow]) -> Series:
    """Return what the chart of drift draws."""
    names = ("Correct", "As gold", "As before", "As the grader")
    return {
        name: [mark for row in rows for mark in share_mark(row.place, row.shares[number][0])]
        for number, name in enumerate(names)
    }


def agreement_series(found: Reliability) -> Series:
    """Return what the chart of agreement draws: each figure by category."""
    kinds = {"Raw agreement": "raw", "Gwet's AC1": "ac1", "Krippendorff's alpha": "alpha"}
    return {
        name: [
            mark for category, one in found.by_category.items() for mark in _figure_mark(category, getattr(one, kind))
        ]
        for name, kind in kinds.items()
    }


def people_series(found: Reliability, names: Mapping[int, str]) -> Series:
    """Return what the chart of people draws."""
    return {
        "As gold": [mark for one in found.people for mark in share_mark(names[one.person_id], one.as_gold)],
        "As before": [mark for one in found.people for mark in share_mark(names[one.person_id], one.as_before)],
    }


def grader_series(found: Reliability) -> Series:
    """Return what the chart of graders draws: precision and recall of each verdict."""
    series: dict[str, list[Mark]] = {}
    for one in found.graders:
        place = f"{one.grader}, {one.category}"
        for verdict in DECIDED:
            for kind, share in (("Precision", one.precision(verdict)), ("Recall", one.recall(verdict))):
                series.setdefault(f"{kind}, {verdict}", []).extend(share_mark(place, share))
    return series


def _figure_mark(place: str, figure: Figure) -> list[Mark]:
    return [] if figure.value is None else [Mark(place, figure.value, figure.low, figure.high, figure.n)]

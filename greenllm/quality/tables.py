"""The figures of quality as tables of plain values, for CSV and JSON."""

from collections.abc import Callable, Mapping

from greenllm.dashboards.sheets import Sheet, Value, ends_of
from labeling.agreement import Agreement, Figure
from labeling.models import Verdict
from labeling.reliability import Reliability

_FIGURES = ("raw", "ac1", "alpha")
_AGREEMENT_HEADER = tuple(
    f"{name}{part}" for name in _FIGURES for part in ("", "_low", "_high", "_n", "_reason")
)  # fmt: skip
_RIGHT, _WRONG = Verdict.CORRECT.value, Verdict.INCORRECT.value
Names = Mapping[int, str]


def agreement_sheet(found: Reliability, _: Names) -> Sheet:
    """Return the agreement of each category."""
    rows = tuple(
        (category, one.judgement_count, *_agreement_values(one)) for category, one in found.by_category.items()
    )
    return Sheet(("category", "judgements", *_AGREEMENT_HEADER), rows)


def pairs_sheet(found: Reliability, names: Names) -> Sheet:
    """Return the agreement of each two people."""
    rows = tuple((names[a], names[b], *_agreement_values(one)) for (a, b), one in found.by_pair.items())
    return Sheet(("person", "other", *_AGREEMENT_HEADER), rows)


def people_sheet(found: Reliability, names: Names) -> Sheet:
    """Return how each person judges."""
    header = (
        "person", "labels", "as_gold", "as_gold_low", "as_gold_high", "as_gold_n", "as_before", "as_before_low",
        "as_before_high", "as_before_n", "median_active_seconds", "labels_per_active_hour", "timed",
    )  # fmt: skip
    rows = tuple(
        (
            names[one.person_id], one.label_count, *ends_of(one.as_gold), *ends_of(one.as_before), one.seconds,
            one.labels_per_hour, one.timed_count,
        )
        for one in found.people
    )  # fmt: skip
    return Sheet(header, rows)


def graders_sheet(found: Reliability, _: Names) -> Sheet:
    """Return each grader against people, with the confusion counts (grader's verdict, then people's)."""
    shares = [f"{share}_{verdict}" for verdict in (_RIGHT, _WRONG) for share in ("precision", "recall")]
    cells = [(grade, verdict) for grade in Verdict.values for verdict in (_RIGHT, _WRONG)]
    header = (
        "grader", "category", "n", *(f"{share}{part}" for share in shares for part in ("", "_low", "_high", "_n")),
        *(f"{grade}_{verdict}" for grade, verdict in cells),
    )  # fmt: skip
    rows = tuple(
        (
            one.grader, one.category, one.n,
            *(value for verdict in (_RIGHT, _WRONG) for share in (one.precision(verdict), one.recall(verdict))
              for value in ends_of(share)),
            *(one.count(*cell) for cell in cells),
        )
        for one in found.graders
    )  # fmt: skip
    return Sheet(header, rows)


SHEETS: dict[str, Callable[[Reliability, Names], Sheet]] = {
    "agreement": agreement_sheet,
    "pairs": pairs_sheet,
    "people": people_sheet,
    "graders": graders_sheet,
}


def _agreement_values(one: Agreement) -> tuple[Value, ...]:
    return (*_values(one.raw), *_values(one.ac1), *_values(one.alpha))


def _values(figure: Figure) -> tuple[Value, ...]:
    return (figure.value, figure.low, figure.high, figure.n, figure.reason)

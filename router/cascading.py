"""The policy cascade over what is known: what is measured of its checkers, and its choice in words."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.models import Deployment
from benchmarks.units import grams_to_milligrams
from router.cascade import LEAST_ACCEPTED, Plan, Rates
from router.checker_figures import CheckerFigure, checker_figures
from router.checking import JUDGE
from router.knowledge import Knowledge
from router.lately import lately
from router.policy import PlannedRun, Trust

_Model = TypeVar("_Model", int, str)  # how a model is named


def measured_rates(knowledge: Knowledge) -> tuple[Rates, ...]:
    """Return what is measured of checkers, of active models and well enough to count, now or a moment ago.

    Verdicts belong to the model, so that each of its deployments has the same rates.
    """
    asked = ("rates", knowledge.columns, knowledge.categories)  # which number the models and categories
    return lately(asked, lambda: tuple(_measured_rates(knowledge)))


def _measured_rates(knowledge: Knowledge) -> list[Rates]:
    """Read them in two queries."""
    ids = [column.deployment_id for column in knowledge.columns]
    model_of = dict(Deployment.objects.filter(pk__in=ids).values_list("pk", "language_model_id"))
    columns: dict[int, list[int]] = {}
    for number, deployment_id in enumerate(ids):
        columns.setdefault(model_of[deployment_id], []).append(number)
    return _rates(knowledge.categories, columns, lambda one: (one.model_id, one.second_id))


def rates_by_name(models: Sequence[str], categories: Sequence[str]) -> tuple[Rates, ...]:
    """Return what is measured of checkers, well enough to count, for columns and categories by name, in one query."""
    columns = {name: [number] for number, name in enumerate(models)}
    return tuple(_rates(categories, columns, lambda one: (one.model, one.second_model or None)))


def _rates(
    categories: Sequence[str],
    columns: Mapping[_Model, Sequence[int]],
    models_of: Callable[[CheckerFigure], tuple[_Model, _Model | None]],
) -> list[Rates]:
    found = []
    for one in checker_figures():
        acceptance, precision = one.acceptance, one.precision
        if not one.is_usable or acceptance is None or precision is None or one.category not in categories:
            continue
        model, second_model = models_of(one)
        seconds: Sequence[int | None] = [None] if second_model is None else columns.get(second_model, [])
        found += [
            Rates(
                checker=one.checker,
                column=column,
                category=categories.index(one.category),
                acceptance=acceptance.value,
                precision=precision.value,
                accepted_count=one.accepted_count,
                second=second,
                right_share=one.right_share,
            )
            for column in columns.get(model, [])
            for second in seconds
        ]
    return found


def planned_runs(plan: Plan, knowledge: Knowledge) -> tuple[PlannedRun, ...]:
    """Return a plan by deployments, the last one unchecked; nothing where nothing is checked."""
    if not plan.checked:
        return ()
    ids = [column.deployment_id for column in knowledge.columns]
    runs = [
        PlannedRun(
            ids[one.column],
            one.checker,
            None if one.second is None else ids[one.second],
            Trust(one.acceptance, one.precision, one.right_share),
        )
        for one in plan.checked
    ]
    return (*runs, PlannedRun(ids[plan.last]))


def told_plan(plan: Plan, knowledge: Knowledge) -> str:
    """Return in words who is asked in turn, and what that is expected to cost against the last model alone."""
    steps = [_told_step(one, knowledge) for one in plan.checked]
    last = knowledge.columns[plan.last].model
    told = f"A cascade: {', then '.join(steps)}, and else {last}."
    expected, direct = plan.expected_sci_gco2e, plan.direct_sci_gco2e
    if expected is None or direct is None:
        return told
    return f"{told} Expected {_amount(expected)} in all, against {_amount(direct)} of {last} alone."


def told_none(knowledge: Knowledge, rates: Sequence[Rates], category: int) -> str:
    """Return in words why no cheaper model is asked first."""
    name = knowledge.categories[category]
    if not any(one.category == category for one in rates):
        return (
            f"No checker has accepted {LEAST_ACCEPTED} judged answers of an active model in {name} (manage.py "
            f"measure_checkers), so that nothing cheaper is asked first."
        )
    return f"No cheaper model with a checker of {name} is right as often where it is accepted, and saves SCI."


def is_asked(plan: Plan, column: int) -> bool:
    """Tell whether a model has a part in a plan: asked, asked for comparison, or last."""
    return column == plan.last or any(column in {one.column, one.second} for one in plan.checked)


def _told_step(one: Rates, knowledge: Knowledge) -> str:
    model = knowledge.columns[one.column].model
    beside = ""
    if one.second is not None:
        beside = f" {'and judged by' if one.checker == JUDGE else 'beside'} {knowledge.columns[one.second].model}"
    measured = f"{_percent(one.acceptance)} of its answers, {_percent(one.precision)} of these right"
    return (
        f"{model} is asked{beside}, and its answer stands where {one.checker} accepts it ({measured}, "
        f"n = {one.accepted_count})"
    )


def _percent(share: float) -> str:
    return f"{math.floor(100 * share + 0.5)} %"


def _amount(sci_gco2e: float) -> str:
    return f"{grams_to_milligrams(sci_gco2e):.3g} mgCO2e"

"""Work out in which order routing would have the waiting answers judged, and put it where the queue reads it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from benchmarks.models import Category, Deployment, LanguageModel, Prompt, Response, Study
from labeling.models import QueueOrder
from labeling.placing import WaitingAnswer, judged_count, latest_order, store_order, waiting_answers
from labeling.verdicts import UNDECIDED, verdicts_of
from router.estimate import Floats
from router.label_worth import Strata, Worth, label_worth, order_answers
from router.models import RoutingDecision

LIVE_DECISIONS = 2000  # so many of the latest prompts of live traffic are looked at
# A model that leads in fewer draws than this hardly changes anything: its labels are not called worthwhile.
WORTHWHILE_CHANGE = 0.02


class NothingWaits(LookupError):
    """No answer waits for a judgement, so that there is nothing to put in order."""


@dataclass(frozen=True)
class _Grid:
    """The categories and models of what waits, with the numbers of each; `routed_ids` are models not retired."""

    category_ids: tuple[int, ...]
    model_ids: tuple[int, ...]
    routed_ids: frozenset[int]
    categories: np.ndarray
    models: np.ndarray


def order_labels(*, study: Study | None, seed: int, now: datetime) -> QueueOrder:
    """Put the waiting answers of a study, or of all, in the order in which their labels may change the routing most.

    Raises:
        NothingWaits: no answer to a training prompt waits.
    """
    waiting = waiting_answers(study=study)
    if not waiting:
        raise NothingWaits(
            "No answer to a training prompt waits for a judgement, so that there is nothing to put in order."
        )
    grid = _grid(waiting)
    near, live_count = live_influence()
    strata, quality = _strata(grid, near)
    worth = label_worth(strata, seed=seed)
    prompt_ids = np.array([one.prompt_id for one in waiting], dtype=np.int64)
    order = order_answers(
        shares=worth.shares,
        categories=grid.categories,
        models=grid.models,
        answer_ids=np.array([one.response_id for one in waiting], dtype=np.int64),
        prompt_weights=prompt_weights(prompt_ids, near),
        seed=seed,
    )
    is_worthwhile = _worthwhile(worth)
    return store_order(
        response_ids=[waiting[row].response_id for row in order],
        made_at=now,
        facts={
            "label_count": judged_count(),
            "worthwhile_count": int(is_worthwhile[grid.categories, grid.models].sum()),
            "live_count": live_count,
            "sci_price": worth.sci_price,
            "strata": _told(grid, strata, worth, is_worthwhile, quality),
        },
    )


def labels_since_order() -> int | None:
    """Return how many answers were judged since the order in force was made, less those taken back; None: no order."""
    order = latest_order()
    return None if order is None else judged_count() - order.label_count


def live_influence() -> tuple[dict[int, float], int]:
    """Return how much live traffic lies near each known prompt, and how many decisions that is taken from.

    Each live prompt shares 1 among its neighbours, by their cosine.
    """
    decisions = RoutingDecision.objects.filter(
        request__isnull=False, request__background_task="", prompt__isnull=True
    ).exclude(neighbours=[])
    near: dict[int, float] = defaultdict(float)
    count = 0
    for neighbours in decisions.order_by("-decided_at", "-pk").values_list("neighbours", flat=True)[:LIVE_DECISIONS]:
        cosines = {one["prompt_id"]: max(1 - one["squared_distance"] / 2, 1e-3) for one in neighbours}
        total = sum(cosines.values())
        for prompt_id, cosine in cosines.items():
            near[prompt_id] += cosine / total
        count += 1
    return dict(near), count


def prompt_weights(prompt_ids: np.ndarray, near: dict[int, float]) -> Floats:
    """Return the weight of each answer's prompt: 1 far from live traffic, 2 where as much lies near as on average."""
    influence = np.array([near.get(int(prompt_id), 0.0) for prompt_id in prompt_ids])
    mean = influence.mean()
    return 1 + influence / mean if mean > 0 else np.ones(len(prompt_ids))


def _grid(waiting: Sequence[WaitingAnswer]) -> _Grid:
    category_ids = sorted({one.category_id for one in waiting})
    deployed = Deployment.objects.exclude(state=Deployment.State.RETIRED).filter(
        language_model__purpose=LanguageModel.Purpose.CHAT
    )
    routed_ids = frozenset(deployed.values_list("language_model_id", flat=True))
    model_ids = sorted({one.language_model_id for one in waiting} | routed_ids)
    return _Grid(
        tuple(category_ids),
        tuple(model_ids),
        routed_ids,
        np.searchsorted(category_ids, [one.category_id for one in waiting]),
        np.searchsorted(model_ids, [one.language_model_id for one in waiting]),
    )


def _strata(grid: _Grid, near: dict[int, float]) -> tuple[Strata, str]:
    """Count labels and answers by category and model, and return the quality of the SCI too.

    A category weighs by its prompts and the live traffic near.
    """
    shape = (len(grid.category_ids), len(grid.model_ids))
    labels, right, answers = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    costs, cost_counts = np.zeros(shape), np.zeros(shape)
    prompts, live = np.zeros(shape[0]), np.zeros(shape[0])
    np.add.at(answers, (grid.categories, grid.models), 1.0)
    row_of = {key: row for row, key in enumerate(grid.category_ids)}
    column_of = {key: column for column, key in enumerate(grid.model_ids)}
    seen: set[int] = set()
    rows = list(_responses(grid))
    verdicts = verdicts_of(row[0] for row in rows)
    usual = _usual_quality(row[5] for row in rows)
    for response_id, prompt_id, category_id, model_id, sci, quality in rows:
        place = row_of[category_id], column_of[model_id]
        is_correct = verdicts.get(response_id, UNDECIDED).is_correct
        if is_correct is not None:
            labels[place] += 1
            right[place] += is_correct
        if sci is not None and sci > 0 and quality == usual and model_id in grid.routed_ids:
            costs[place] += sci
            cost_counts[place] += 1
        if prompt_id not in seen:
            seen.add(prompt_id)
            prompts[place[0]] += 1
            live[place[0]] += near.get(prompt_id, 0.0)
    shares = prompts / prompts.sum()
    if live.sum() > 0:
        shares = (shares + live / live.sum()) / 2
    return Strata(labels, right, _mean_sci(costs, cost_counts), answers, shares), usual


def _responses(grid: _Grid) -> Iterable[tuple[Any, ...]]:
    return (
        Response.objects.finished()
        .filter(prompt__role=Prompt.Role.TRAIN)
        .filter(prompt__category_id__in=grid.category_ids, deployment__language_model_id__in=grid.model_ids)
        .exclude(study__kind=Study.Kind.ROUTER)
        .order_by("pk")
        .values_list(
            "pk", "prompt_id", "prompt__category_id", "deployment__language_model_id",
            "measurement__sci_gco2e", "measurement__quality",
        )
    )  # fmt: skip


def _usual_quality(qualities: Iterable[str | None]) -> str:
    """Return the quality of most figures: those of another kind are not ranked against them."""
    counted = Counter(quality for quality in qualities if quality is not None and quality != "missing")
    return max(sorted(counted), key=lambda quality: counted[quality]) if counted else ""


def _mean_sci(costs: Floats, counts: Floats) -> Floats:
    """Return the mean SCI of each category and model; where it has none, the model's mean, or NaN."""
    total = counts.sum(axis=0)
    overall = np.divide(costs.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
    means: Floats = np.divide(costs, counts, out=np.broadcast_to(overall, costs.shape).copy(), where=counts > 0)
    return means


def _worthwhile(worth: Worth) -> np.ndarray:
    """Tell of which categories and models a label may change the routing: contenders, and who leads against them."""
    contends = worth.changes >= WORTHWHILE_CHANGE
    rows = np.arange(len(contends))
    contends[rows, worth.leading] = contends.any(axis=1)
    return contends


def _told(grid: _Grid, strata: Strata, worth: Worth, is_worthwhile: np.ndarray, quality: str) -> list[dict[str, Any]]:
    """Return what is known of each category and model, for people; the most worthwhile first."""
    categories = {one.pk: one.title or one.name for one in Category.objects.filter(pk__in=grid.category_ids)}
    models = {one.pk: one.name for one in LanguageModel.objects.filter(pk__in=grid.model_ids)}
    told = [
        {
            "category": categories[category_id],
            "model": models[model_id],
            "label_count": int(strata.label_counts[row, column]),
            "waiting_count": int(strata.waiting_counts[row, column]),
            "p": round(float(worth.p[row, column]), 4),
            "sci_gco2e": _or_none(strata.sci_gco2e[row, column]),
            "quality": quality,
            "share": round(float(worth.shares[row, column]), 4),
            "is_leading": bool(worth.leading[row] == column),
            "is_worthwhile": bool(is_worthwhile[row, column]),
        }
        for row, category_id in enumerate(grid.category_ids)
        for column, model_id in enumerate(grid.model_ids)
    ]
    return sorted(told, key=lambda one: (-one["share"], one["category"], one["model"]))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

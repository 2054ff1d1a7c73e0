"""What the live router knows of the prompts in its index, kept in the process and read anew when it changes.

Reading it whole costs about a second for 50,000 answers. A stamp of five small look-ups tells whether anything changed:
labels, corrections, rules, measurements and the federation. Up to a size it is then read before the decision, so that
routing follows at once; above that the decision goes by what is known, and the rest is read beside it.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from django.db import connection, connections
from django.db.models import QuerySet

from benchmarks.models import Category, Deployment, Prompt, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of
from router.estimate import Estimator, Integers, Known, Shrinkage
from router.index import VectorStore
from router.models import PromptIndex
from router.policy import QUALITIES_IN_ORDER, NoCandidate

AT_ONCE_S = 0.5  # what takes longer to read is read beside the decision
_STAMP = """
SELECT
    (SELECT max(id) FROM labeling_label),
    (SELECT max(voided_at) FROM labeling_label WHERE voided_at IS NOT NULL),
    (SELECT max(greatest(created_at, undone_at)) FROM labeling_correction),
    (SELECT max(id) FROM labeling_judgementrule),
    (SELECT max(id) FROM benchmarks_measurement),
    (SELECT array_agg(id ORDER BY id) FROM benchmarks_deployment WHERE state = 'active')
"""


@dataclass(frozen=True)
class Column:
    """One active deployment of a model that answers; `quality` is that of the SCI which counts for it."""

    deployment_id: int
    model: str
    quality: str
    is_ranked: bool


@dataclass(frozen=True)
class Knowledge:
    """Everything known of one index: a row for each prompt, a column for each active deployment."""

    stamp: tuple[Any, ...]
    prompt_ids: Integers
    categories: tuple[str, ...]
    columns: tuple[Column, ...]
    known: Known | None
    _estimators: dict[Shrinkage, Estimator]

    def estimator(self, shrinkage: Shrinkage) -> Estimator:
        """Return the estimator of that shrinkage; its means are worked out once.

        Raises:
            NoCandidate: no deployment is active, so that nothing is known.
        """
        if self.known is None:
            raise NoCandidate("The federation has no active model; add one with manage.py add_model and measure it.")
        found = self._estimators.get(shrinkage)
        return found or self._estimators.setdefault(shrinkage, Estimator(self.known, shrinkage))


class KnowledgeKeeper:
    """Keeps the knowledge of the current index in this process; safe to use from several threads."""

    def __init__(self, *, store: VectorStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._kept: Knowledge | None = None
        self._spent_s = 0.0
        self._lock = threading.Lock()

    def current(self, index: PromptIndex) -> Knowledge:
        """Return what is known now.

        Raises:
            IndexStoreError: the vectors cannot be read.
        """
        stamp = _stamp(index)
        kept = self._kept
        if kept is not None and kept.stamp == stamp:
            return kept
        is_other = kept is None or kept.stamp[0] != stamp[0] or kept.stamp[-1] != stamp[-1]
        if not is_other and kept is not None and self._spent_s > AT_ONCE_S:
            self._read_beside(index, stamp)
            return kept
        with self._lock:
            kept = self._kept
            return kept if kept is not None and kept.stamp == stamp else self._read(index, stamp)

    def _read(self, index: PromptIndex, stamp: tuple[Any, ...]) -> Knowledge:
        began = self._clock()
        self._kept = _read(index, self._store, stamp)
        self._spent_s = self._clock() - began
        return self._kept

    def _read_beside(self, index: PromptIndex, stamp: tuple[Any, ...]) -> None:
        if not self._lock.acquire(blocking=False):
            return  # somebody reads it already

        def read() -> None:
            try:
                self._read(index, stamp)
            finally:
                self._lock.release()
                connections.close_all()  # those of this thread

        threading.Thread(target=read, name="knowledge", daemon=True).start()


_keepers: WeakKeyDictionary[VectorStore, KnowledgeKeeper] = WeakKeyDictionary()


def keeper_of(store: VectorStore) -> KnowledgeKeeper:
    """Return the one keeper of a store in this process."""
    return _keepers.setdefault(store, KnowledgeKeeper(store=store))


def _stamp(index: PromptIndex) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)
        *changing, active = cursor.fetchone()
    return (index.pk, *changing, tuple(active or ()))


def knowledge_with(index: PromptIndex, store: VectorStore, deployment_ids: Iterable[int]) -> Knowledge:
    """Return what would be known if just these deployments were active; it is kept nowhere.

    Raises:
        IndexStoreError: the vectors cannot be read.
    """
    found = Deployment.objects.chat().filter(pk__in=deployment_ids, server__is_router=False)
    return _read(index, store, (index.pk,), found)


def _read(
    index: PromptIndex, store: VectorStore, stamp: tuple[Any, ...], among: QuerySet[Deployment] | None = None
) -> Knowledge:
    loaded = store.whole(index.collection_name, index.prompt_count)
    prompt_ids = [int(prompt_id) for prompt_id in loaded.prompt_ids]
    row_of = {prompt_id: row for row, prompt_id in enumerate(prompt_ids)}
    category_of = dict(Prompt.objects.filter(pk__in=prompt_ids).values_list("pk", "category_id"))
    category_ids = sorted(set(category_of.values()))
    names = dict(Category.objects.filter(pk__in=category_ids).values_list("pk", "name"))
    if among is None:
        among = Deployment.objects.active().filter(pk__in=stamp[-1])
    active = list(among.select_related("language_model").order_by("language_model__name", "pk"))
    scores, counts = _scores(row_of, [deployment.language_model_id for deployment in active])
    costs, qualities = _costs(row_of, [deployment.pk for deployment in active])
    usual = _usual(qualities)
    for column, quality in enumerate(qualities):
        if quality != usual:
            costs[:, column] = np.nan  # figures of unlike kind are not ranked against each other
    return Knowledge(
        stamp=stamp,
        prompt_ids=np.asarray(prompt_ids, dtype=np.int64),
        categories=tuple(names[category_id] for category_id in category_ids),
        columns=tuple(
            Column(deployment.pk, deployment.language_model.name, quality, quality == usual)
            for deployment, quality in zip(active, qualities, strict=True)
        ),
        known=Known(
            vectors=loaded.matrix,
            categories=np.array([category_ids.index(category_of[key]) for key in prompt_ids], dtype=np.int64),
            scores=scores,
            label_counts=counts,
            sci_gco2e=costs,
        )
        if active
        else None,
        _estimators={},
    )


def _scores(row_of: dict[int, int], model_ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of right verdicts and their number; verdicts belong to the model, not to the machine."""
    rows = list(
        Response.objects.finished()
        .filter(prompt_id__in=row_of, deployment__language_model_id__in=set(model_ids))
        .exclude(study__kind=Study.Kind.ROUTER)
        .values_list("pk", "prompt_id", "deployment__language_model_id")
    )
    verdicts = verdicts_of(row[0] for row in rows)
    tally: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for response_id, prompt_id, model_id in rows:
        is_correct = verdicts.get(response_id, UNDECIDED).is_correct
        if is_correct is not None:
            tally[prompt_id, model_id].append(is_correct)
    scores = np.full((len(row_of), len(model_ids)), np.nan)
    counts = np.zeros(scores.shape, dtype=np.int64)
    columns: dict[int, list[int]] = defaultdict(list)
    for column, model_id in enumerate(model_ids):
        columns[model_id].append(column)
    for (prompt_id, model_id), given in tally.items():
        for column in columns[model_id]:
            scores[row_of[prompt_id], column] = sum(given) / len(given)
            counts[row_of[prompt_id], column] = len(given)
    return scores, counts


def _costs(row_of: dict[int, int], deployment_ids: list[int]) -> tuple[np.ndarray, list[str]]:
    """Return each deployment's mean SCI on each prompt, of the best quality that it has, and that quality."""
    sums: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for prompt_id, deployment_id, sci, quality in (
        Response.objects.finished()
        .filter(prompt_id__in=row_of, deployment_id__in=deployment_ids, measurement__sci_gco2e__gt=0)
        .exclude(study__kind=Study.Kind.ROUTER)
        .values_list("prompt_id", "deployment_id", "measurement__sci_gco2e", "measurement__quality")
    ):
        if sci is not None:  # the filter asks for it; the type does not know
            sums[quality, prompt_id, deployment_id].append(sci)
    has = {(quality, deployment_id) for quality, _, deployment_id in sums}
    qualities = [
        next((quality for quality in QUALITIES_IN_ORDER if (quality, deployment_id) in has), "missing")
        for deployment_id in deployment_ids
    ]
    costs = np.full((len(row_of), len(deployment_ids)), np.nan)
    column_of = {deployment_id: column for column, deployment_id in enumerate(deployment_ids)}
    for (quality, prompt_id, deployment_id), given in sums.items():
        column = column_of[deployment_id]
        if quality == qualities[column]:
            costs[row_of[prompt_id], column] = sum(given) / len(given)
    return costs, qualities


def _usual(qualities: list[str]) -> str:
    """Return the quality of most deployments; of equals the better one."""
    in_order = [quality for quality in QUALITIES_IN_ORDER if quality in qualities]
    return max(in_order, key=qualities.count, default="missing")

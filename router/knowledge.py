"""What the live router knows of the prompts in its index, kept in the process and read anew when it changes.

Reading it whole costs about a second for 50,000 answers. A stamp of five small look-ups tells whether anything changed:
labels, corrections, rules, measurements and the federation. Up to a size it is then read before the decision, so that
routing follows at once; above that the decision goes by what is known, and the rest is read beside it. Where people
judge all the time it would be read all the time, so that reading has a share of the time (`Allowance`); another index
and another federation are read in any case.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from django.db import connection, connections
from django.db.models import QuerySet

from benchmarks.models import Category, Deployment, Prompt
from router.candidates import Outcomes, best_quality, outcomes_on
from router.estimate import Estimator, Floats, Integers, Known
from router.index import VectorStore
from router.lately import lately, require_time
from router.models import PromptIndex
from router.policy import Choice, NoCandidate, usual_quality
from router.recent import Recent
from router.vectors import Neighbour, usual_distance

_CHOICES = 512  # kept of them; with twenty models one takes some 30 kB
AT_ONCE_S = 0.5  # what takes longer to read is read beside the decision
_SHARE = 0.02  # of the time may be spent on reading what goes on changing
_SAVED_S = 2.0  # of reading, after a while without any
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
    """Everything known of one index: a row for each prompt, a column for each active deployment.

    `stamp` is that of the moment since when nothing else was known.
    `novelty` is the squared L2 distance above which a prompt is of a kind that the index does not know; None where
    there is nothing to derive it from.
    """

    stamp: tuple[Any, ...]
    prompt_ids: Integers
    categories: tuple[str, ...]
    columns: tuple[Column, ...]
    by_neighbours: Estimator | None
    novelty: float | None

    @property
    def known(self) -> Known | None:
        """Return the table that the estimates are made of; None without an active deployment."""
        return None if self.by_neighbours is None else self.by_neighbours.known

    def is_same(self, other: "Knowledge") -> bool:
        """Tell whether as much is known of the same index and federation, whatever else changed meanwhile."""
        mine, its = self.known, other.known
        if (self.stamp[0], self.stamp[-1]) != (other.stamp[0], other.stamp[-1]) or mine is None or its is None:
            return False
        if (self.categories, self.columns, self.novelty) != (other.categories, other.columns, other.novelty):
            return False
        return all(
            np.array_equal(one, another, equal_nan=one.dtype.kind == "f")
            for one, another in (
                (self.prompt_ids, other.prompt_ids),
                (mine.categories, its.categories),
                (mine.scores, its.scores),
                (mine.label_counts, its.label_counts),
                (mine.sci_gco2e, its.sci_gco2e),
            )
        )

    def rows_of(self, neighbours: Sequence[Neighbour]) -> Integers:
        """Return the rows of prompts that a search of this index has found."""
        wanted = np.array([one.prompt_id for one in neighbours], dtype=np.int64)
        return self._in_order[np.searchsorted(self.prompt_ids, wanted, sorter=self._in_order)]

    @cached_property
    def choices(self) -> Recent[Hashable, Choice]:
        """Return what was chosen lately by what is known; an agent asks the same again at each of its steps."""
        return Recent(_CHOICES)

    @cached_property
    def _in_order(self) -> Integers:
        return np.argsort(self.prompt_ids)

    def estimator(self) -> Estimator:
        """Return what estimates by neighbours; its means were worked out when it was read.

        Raises:
            NoCandidate: no deployment is active, so that nothing is known.
        """
        if self.by_neighbours is None:
            raise NoCandidate("The federation has no active model; add one with manage.py add_model and measure it.")
        return self.by_neighbours

    def strongest_id(self) -> int | None:
        """Return the deployment of the model that is right most often; None where nobody judged."""
        found = self.by_neighbours
        if found is None or np.isnan(found.model_scores).all():
            return None
        return self.columns[found.best_model].deployment_id


class Allowance:
    """Has something take a share of the time in the long run; what was not used is saved up, to a bound, in seconds."""

    def __init__(self, *, share: float, saved_s: float, clock: Callable[[], float]) -> None:
        self._share, self._most_s, self._clock = share, saved_s, clock
        self._left_s, self._seen = saved_s, clock()

    def has_time(self) -> bool:
        """Tell whether something of the share is left."""
        now = self._clock()
        self._left_s = min(self._most_s, self._left_s + (now - self._seen) * self._share)
        self._seen = now
        return self._left_s > 0

    def spend(self, took_s: float) -> None:
        """Take what something took from the share; what took more than is left has the next wait longer."""
        self._left_s -= took_s


class KnowledgeKeeper:
    """Keeps the knowledge of the current index in this process; safe to use from several threads."""

    def __init__(self, *, store: VectorStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._latest: tuple[tuple[Any, ...], Knowledge] | None = None  # the latest stamp, and what is known as of it
        self._spent_s, self._allowance = 0.0, Allowance(share=_SHARE, saved_s=_SAVED_S, clock=clock)
        self._novelty: tuple[str, float | None] | None = None  # of which collection; its vectors never change
        self._lock = threading.Lock()

    def current(self, index: PromptIndex) -> Knowledge:
        """Return what is known now; while much changes, what was known lately.

        Raises:
            IndexStoreError: the vectors cannot be read.
        """
        stamp = lately(("knowledge", index.pk), lambda: stamp_of(index))
        seen, kept = self._latest or (None, None)
        if kept is not None and seen == stamp:
            return kept
        is_other = kept is None or kept.stamp[0] != stamp[0] or kept.stamp[-1] != stamp[-1]
        if not is_other and kept is not None:
            if not self._allowance.has_time():
                return kept
            if self._spent_s > AT_ONCE_S:
                self._read_beside(index, stamp)
                return kept
        require_time("what is known")
        with self._lock:
            seen, kept = self._latest or (None, None)
            return kept if kept is not None and seen == stamp else self._read(index, stamp)

    def _read(self, index: PromptIndex, stamp: tuple[Any, ...]) -> Knowledge:
        """Read what is known; where that is what was, as after a label of another prompt, what rests on it stays."""
        began = self._clock()
        found = _read(index, self._store, stamp, self._novelty_of(index))
        self._spent_s = self._clock() - began
        if self._latest is None or self._latest[0][0] != stamp[0]:  # the first reading of an index is of another kind
            self._allowance = Allowance(share=_SHARE, saved_s=_SAVED_S, clock=self._clock)
        else:
            self._allowance.spend(self._spent_s)
        kept = found if self._latest is None or not self._latest[1].is_same(found) else self._latest[1]
        self._latest = (stamp, kept)
        return kept

    def _novelty_of(self, index: PromptIndex) -> float | None:
        if self._novelty is None or self._novelty[0] != index.collection_name:
            matrix = self._store.whole(index.collection_name, index.prompt_count).matrix
            self._novelty = (index.collection_name, usual_distance(matrix))
        return self._novelty[1]

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


def stamp_of(index: PromptIndex) -> tuple[Any, ...]:
    """Return what changes whenever something that is known does; its last part are the active deployments."""
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
    novelty = usual_distance(store.whole(index.collection_name, index.prompt_count).matrix)
    return _read(index, store, (index.pk,), novelty, found)


def _read(
    index: PromptIndex,
    store: VectorStore,
    stamp: tuple[Any, ...],
    novelty: float | None,
    among: QuerySet[Deployment] | None = None,
) -> Knowledge:
    loaded = store.whole(index.collection_name, index.prompt_count)
    prompt_ids = [int(prompt_id) for prompt_id in loaded.prompt_ids]
    row_of = {prompt_id: row for row, prompt_id in enumerate(prompt_ids)}
    category_of = dict(Prompt.objects.filter(pk__in=prompt_ids).values_list("pk", "category_id"))
    category_ids = sorted(set(category_of.values()))
    names = dict(Category.objects.filter(pk__in=category_ids).values_list("pk", "name"))
    outcomes = outcomes_on(prompt_ids, among=among)
    scores, counts = _scores(row_of, outcomes)
    costs, qualities = _costs(row_of, outcomes)
    usual = usual_quality(qualities)
    for column, quality in enumerate(qualities):
        if quality != usual:
            costs[:, column] = np.nan  # figures of unlike kind are not ranked against each other
    return Knowledge(
        stamp=stamp,
        prompt_ids=np.asarray(prompt_ids, dtype=np.int64),
        categories=tuple(names[category_id] for category_id in category_ids),
        columns=tuple(
            Column(deployment.pk, deployment.language_model.name, quality, quality == usual)
            for deployment, quality in zip(outcomes.deployments, qualities, strict=True)
        ),
        by_neighbours=Estimator(
            Known(
                vectors=loaded.matrix,
                categories=np.array([category_ids.index(category_of[key]) for key in prompt_ids], dtype=np.int64),
                scores=scores,
                label_counts=counts,
                sci_gco2e=costs,
            )
        )
        if outcomes.deployments
        else None,
        novelty=novelty,
    )


def _scores(row_of: dict[int, int], outcomes: Outcomes) -> tuple[Floats, Integers]:
    """Return the share of right verdicts and their number; verdicts belong to the model, not to the machine."""
    scores = np.full((len(row_of), len(outcomes.deployments)), np.nan)
    counts = np.zeros(scores.shape, dtype=np.int64)
    columns: dict[int, list[int]] = defaultdict(list)
    for column, deployment in enumerate(outcomes.deployments):
        columns[deployment.language_model_id].append(column)
    for (prompt_id, model_id), tally in outcomes.tallies.items():
        if tally.judged:
            scores[row_of[prompt_id], columns[model_id]] = tally.right / tally.judged
            counts[row_of[prompt_id], columns[model_id]] = tally.judged
    return scores, counts


def _costs(row_of: dict[int, int], outcomes: Outcomes) -> tuple[Floats, list[str]]:
    """Return each deployment's mean SCI on each prompt, of the best quality that it has, and that quality."""
    column_of = {deployment.pk: column for column, deployment in enumerate(outcomes.deployments)}
    has: dict[int, set[str]] = defaultdict(set)
    for (_, deployment_id), given in outcomes.costs.items():
        has[deployment_id] |= set(given)
    qualities = [best_quality(has[deployment.pk]) for deployment in outcomes.deployments]
    costs = np.full((len(row_of), len(column_of)), np.nan)
    for (prompt_id, deployment_id), given in outcomes.costs.items():
        column = column_of.get(deployment_id)  # another deployment of an active model is not active itself
        cost = None if column is None else given.get(qualities[column])
        if cost is not None and cost.total_gco2e > 0:
            costs[row_of[prompt_id], column] = cost.mean_gco2e
    return costs, qualities

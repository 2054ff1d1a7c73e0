"""What is known of an index that is too large for the memory, and what estimates around one prompt of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.models import Category, Deployment
from router.estimate import Estimator, Known
from router.index import IndexStoreError
from router.knowledge import Column, Knowledge
from router.known_table import KnownTable, Sums
from router.policy import MISSING, QUALITIES_IN_ORDER, Evidence, NobodyJudged, NoCandidate, usual_quality
from router.totals import Totals
from router.vectors import Neighbour, cosines_of


class StillReading(NobodyJudged):
    """What is known of a large index is being read for the first time."""


@dataclass(frozen=True)
class LargeKnowledge(Knowledge):
    """A table on the disk and its sums, with a column for each deployment that was active then and is now."""

    table: KnownTable
    taken: tuple[int, ...]
    totals: Totals
    lacks_any: bool  # whether a deployment is active of which the table has no column yet

    def estimator(self) -> Estimator:
        """Refuse: there is an estimator around each prompt only."""
        raise NobodyJudged("The index is too large for estimates over all known prompts at a time.")

    def strongest_id(self) -> int | None:
        """Return the deployment of the model that is right most often; None where nobody judged."""
        return None if np.isnan(self.totals.model_scores).all() else self.columns[self.totals.best_model].deployment_id

    def evidence(self, prompt_id: int) -> list[Evidence] | None:
        """Return one piece of evidence per active deployment on a known prompt, as `router.candidates` reads it.

        The table knows verdicts and the mean SCI: `response_count` counts the judged answers, and `sci_count` the one
        prompt. None where the table lacks the prompt or an active deployment.
        """
        [row] = self.table.rows_of(np.array([prompt_id]))
        if self.lacks_any or row < 0:
            return None
        return [self._evidence(int(row), place, one) for place, one in zip(self.taken, self.columns, strict=True)]

    def _evidence(self, row: int, place: int, column: Column) -> Evidence:
        right, wrong = int(self.table.right[row, place]), int(self.table.wrong[row, place])
        sci = self.table.sci[:, row, place]
        quality = next((number for number in range(len(sci)) if sci[number] > 0), None)
        return Evidence(
            deployment_id=column.deployment_id,
            model=column.model,
            sci_gco2e=None if quality is None else float(sci[quality]),
            quality=MISSING if quality is None else QUALITIES_IN_ORDER[quality],
            is_correct=None if right == wrong else right > wrong,
            response_count=right + wrong,
            sci_count=0 if quality is None else 1,
        )

    def around(self, neighbours: Sequence[Neighbour]) -> Knowledge:
        """Return what is known around the prompt that has these neighbours: a row for each of them, nearest first."""
        prompt_ids = np.array([one.prompt_id for one in neighbours], dtype=np.int64)
        rows = self.table.rows_of(prompt_ids)
        if (rows < 0).any():
            raise IndexStoreError(
                "Chroma names prompts that the index does not have; build it again with manage.py build_index."
            )
        scores, counts = self.table.scores(rows)
        usual = next((QUALITIES_IN_ORDER.index(one.quality) for one in self.columns if one.is_ranked), None)
        costs = np.full(scores.shape, np.nan) if usual is None else self.table.costs(usual, rows)
        taken = list(self.taken)
        costs[:, [place for place, one in zip(taken, self.columns, strict=True) if not one.is_ranked]] = np.nan
        nearby = Known(
            vectors=np.zeros((len(neighbours), 0), dtype=np.float32),
            categories=self.table.categories[rows].astype(np.int64),
            scores=scores[:, taken],
            label_counts=counts[:, taken],
            sci_gco2e=costs[:, taken],
        )
        estimator = Estimator(nearby, totals=self.totals).around(np.arange(len(rows)), cosines_of(neighbours))
        return Knowledge(self.stamp, prompt_ids, self.categories, self.columns, estimator, self.novelty)


@dataclass
class Kept:
    """The table of an index, the sums over it, and the moment that they are of."""

    stamp: tuple[Any, ...]
    table: KnownTable
    deployment_ids: tuple[int, ...]
    category_ids: tuple[int, ...]
    sums: Sums
    novelty: float | None
    spent_s: float
    ready_s: float
    changes: int = 0


def knowledge_of(kept: Kept, active_ids: Sequence[int]) -> LargeKnowledge:
    """Return the columns of what is active now; one that was activated since has none yet.

    Raises:
        NoCandidate: nothing is active of which anything is known.
    """
    found = Deployment.objects.active().filter(pk__in=active_ids)
    active = list(found.select_related("language_model").order_by("language_model__name", "pk"))
    deployments = [one for one in active if one.pk in kept.deployment_ids]
    if not deployments:
        raise NoCandidate("The federation has no active model; add one with manage.py add_model and measure it.")
    sums, taken = kept.sums, [kept.deployment_ids.index(one.pk) for one in deployments]
    counts = sums.sci_count[:, :, taken]
    qualities = [
        next((name for row, name in enumerate(QUALITIES_IN_ORDER) if counts[row, :, column].any()), MISSING)
        for column in range(len(taken))
    ]
    usual = usual_quality(qualities)
    best = QUALITIES_IN_ORDER.index(usual) if usual in QUALITIES_IN_ORDER else 0
    is_ranked = np.array([quality == usual and quality != MISSING for quality in qualities])
    names = dict(Category.objects.filter(pk__in=kept.category_ids).values_list("pk", "name"))
    return LargeKnowledge(
        stamp=(id(kept), kept.changes, tuple(active_ids)),
        prompt_ids=kept.table.prompt_ids,
        categories=tuple(names[key] for key in kept.category_ids),
        columns=tuple(
            Column(one.pk, one.language_model.name, quality, bool(ranks))
            for one, quality, ranks in zip(deployments, qualities, is_ranked, strict=True)
        ),
        by_neighbours=None,
        novelty=kept.novelty,
        table=kept.table,
        taken=tuple(taken),
        totals=Totals(
            sums.score_total[:, taken],
            sums.score_count[:, taken],
            sums.sci_total[best][:, taken] * is_ranked,
            counts[best] * is_ranked,
        ),
        lacks_any=len(deployments) < len(active),
    )

"""A table of outcomes: n prompts, m models, what each model made of each prompt and what that cost."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

COST_KINDS = ("energy_j", "sci_gco2e")
QUALITIES = ("measured", "component", "estimated", "simulated")
DEFAULT_QUALITY = "estimated"  # of a figure from elsewhere that does not say how it came about
CORRECT_FROM = 0.5  # a score below counts as wrong
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class UnknownModels(ValueError):
    """A model was asked for that the table does not have."""


@dataclass(frozen=True, eq=False)
class OutcomeTable:
    """What m models made of n prompts.

    Args:
        prompt_ids: the prompts' ids in the order of the file.
        texts: the prompts; the same text may stand under several ids (see `text_groups`).
        category_names: the categories' names, sorted.
        categories: (n,) numbers of the prompts' categories, from 0.
        models: the models' names, sorted.
        scores: (n, m) 0 (wrong) to 1 (right); NaN where there is none.
        costs: (n, m) cost of one answer, in J or gCO2e as `cost_kind` says; NaN where it is missing.
        cost_kind: `energy_j` or `sci_gco2e`.
        qualities: (n, m) places in `QUALITIES`: how each cost came about.
        passed_over_cost: the other cost that the file has as well and that is not in the table; empty if there is none.
    """

    prompt_ids: tuple[str, ...]
    texts: tuple[str, ...]
    category_names: tuple[str, ...]
    categories: Integers
    models: tuple[str, ...]
    scores: Floats
    costs: Floats
    cost_kind: str
    qualities: npt.NDArray[np.uint8]
    passed_over_cost: str = ""

    @property
    def text_groups(self) -> Integers:
        """Return (n,) numbers, from 0, that prompts of the same text share: split by these, never by id."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(text, len(numbers)) for text in self.texts], dtype=np.int64)

    @property
    def prompts_hash(self) -> str:
        """Return what tells these prompts from any others, however they are ordered."""
        return hashlib.sha256(json.dumps(self._words(self._order())).encode()).hexdigest()

    @property
    def content_hash(self) -> str:
        """Return what tells this table from any other: the same for the same cells, however the lines are ordered."""
        order = self._order()
        digest = hashlib.sha256(json.dumps([self.cost_kind, self.models, self._words(order)]).encode())
        for cells in (self.scores, self.costs, self.qualities):
            digest.update(np.ascontiguousarray(cells[order]).tobytes())
        return digest.hexdigest()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what a reader of any figure made of the table should know: what is missing, what cannot be shown."""
        return (
            *self._missing_notices(),
            *self._shape_notices(),
        )

    def of_models(self, names: Sequence[str]) -> "OutcomeTable":
        """Return the table of some models only.

        Raises:
            UnknownModels: one of them is not in it, or none is named.
        """
        if unknown := sorted(set(names) - set(self.models)):
            listed = ", ".join(map(repr, unknown))
            raise UnknownModels(f"models: there is no {listed}; the table has {', '.join(self.models)}.")
        if not names:
            raise UnknownModels(f"models: name at least one of {', '.join(self.models)}.")
        columns = [column for column, name in enumerate(self.models) if name in names]
        return replace(
            self,
            models=tuple(self.models[column] for column in columns),
            scores=self.scores[:, columns],
            costs=self.costs[:, columns],
            qualities=self.qualities[:, columns],
        )

    def _order(self) -> list[int]:
        return sorted(range(len(self.prompt_ids)), key=self.prompt_ids.__getitem__)

    def _words(self, order: Sequence[int]) -> list[tuple[str, str, str]]:
        return [(self.prompt_ids[row], self.category_names[self.categories[row]], self.texts[row]) for row in order]

    def _missing_notices(self) -> list[str]:
        told = []
        unscored, uncosted = np.isnan(self.scores), np.isnan(self.costs)
        for name, gaps in (("score", unscored), (self.cost_kind, uncosted)):
            if gaps.any():
                told.append(f"{name}: {gaps.sum():,} of {gaps.size:,} cells (prompt and model) have none.")
        without = [name for name, gaps in zip(self.models, uncosted.T, strict=True) if gaps.all()]
        if without:
            told.append(f"{self.cost_kind}: {', '.join(without)} has none for any prompt and cannot be ranked by cost.")
        empty = int(unscored.all(axis=1).sum())
        if empty:
            told.append(f"prompt_id: {empty:,} of {len(self.prompt_ids):,} prompts have no score of any model.")
        if self.passed_over_cost:
            told.append(f"{self.passed_over_cost}: passed over, because the file has {self.cost_kind} as well.")
        return told

    def _shape_notices(self) -> list[str]:
        told = []
        repeated = sum(count - 1 for count in Counter(self.texts).values())
        if repeated:
            told.append(
                f"prompt: {repeated:,} prompts repeat the text of another; all are kept, and splits keep them together."
            )
        if len(self.category_names) == 1:
            told.append("category: there is one only, so that a table of categories is the same as one fixed model.")
        if len(self.models) == 1:
            told.append("model: there is one only, so that nothing can be chosen.")
        return told

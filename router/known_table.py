"""What m deployments did on n known prompts, in files that are mapped rather than read: for an index of any size.

A million prompts and twenty models are 170 MB on the disk, of which a decision touches some pages. The maps are
copy-on-write: a process notes later changes for itself, and the files stay as they were made. Pure numpy.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from router.draft_folders import put_in_place
from router.totals import Floats, Totals

_CHUNK = 20_000  # prompts summed up at a time
_ARRAYS = {"prompt_ids": np.int64, "categories": np.int32, "right": np.uint16, "wrong": np.uint16, "sci": np.float32}
_FACTS = "facts.json"


@dataclass
class Sums:
    """Sums over prompts for g categories and m deployments, (g, m) each; those of SCI for each quality, (q, g, m)."""

    score_total: Floats
    score_count: Floats
    sci_total: Floats
    sci_count: Floats

    @classmethod
    def nothing(cls, *, qualities: int, categories: int, deployments: int) -> Self:
        """Return sums over no prompt."""
        shape = (categories, deployments)
        return cls(*np.zeros((2, *shape)), *np.zeros((2, qualities, *shape)))

    def add(self, other: Self, *, sign: int = 1) -> None:
        """Add other sums, or take them away."""
        for name, value in vars(other).items():
            vars(self)[name] += sign * value


@dataclass(frozen=True)
class KnownTable:
    """Counts and costs of the answers to known prompts, by ascending prompt id.

    Args:
        prompt_ids: (n,).
        categories: (n,) numbers of the prompts' categories, from 0.
        right: (n, m) answers judged right, `wrong` those judged wrong.
        wrong: (n, m).
        sci: (q, n, m) mean SCI in gCO2e of each quality; 0 where nothing was measured.
    """

    prompt_ids: npt.NDArray[np.int64]
    categories: npt.NDArray[np.int32]
    right: npt.NDArray[np.uint16]
    wrong: npt.NDArray[np.uint16]
    sci: npt.NDArray[np.float32]

    @classmethod
    def make(cls, folder: Path, *, prompts: int, deployments: int, qualities: int) -> Self:
        """Make an empty table whose arrays are files in the folder, which is emptied."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        table = (prompts, deployments)
        shapes = {"prompt_ids": (prompts,), "categories": (prompts,), "right": table, "wrong": table}
        shapes["sci"] = (qualities, *table)
        return cls(**{
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shapes[name])
            for name, dtype in _ARRAYS.items()
        })  # fmt: skip

    @classmethod
    def open(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Open a finished table and its facts.

        Raises:
            OSError, ValueError, KeyError: there is none, or it is damaged.
        """
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return cls(**{name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}), facts

    def finish(self, folder: Path, target: Path, facts: dict[str, Any]) -> None:
        """Write the facts of a table made in the folder, and put the folder, which lies in a draft, in its place."""
        for name in _ARRAYS:
            vars(self)[name].flush()
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        put_in_place(folder, target)  # who has mapped the files of the one before keeps them

    def rows_of(self, prompt_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of prompts; -1 for one that is not in the table."""
        rows = np.searchsorted(self.prompt_ids, prompt_ids)
        found = np.minimum(rows, len(self.prompt_ids) - 1)
        return np.where(self.prompt_ids[found] == prompt_ids, found, -1).astype(np.int64)

    def scores(self, rows: Any) -> tuple[Floats, npt.NDArray[np.int64]]:  # whatever numpy takes as an index
        """Return the share of right verdicts of some prompts, NaN without any, and the number of verdicts."""
        right = self.right[rows].astype(np.int64)
        counts = right + self.wrong[rows]
        return np.divide(right, counts, out=np.full(counts.shape, np.nan), where=counts > 0), counts

    def costs(self, quality: int, rows: Any) -> Floats:  # whatever numpy takes as an index
        """Return the mean SCI of some prompts in gCO2e; NaN where nothing of that quality was measured."""
        sci = self.sci[quality][rows].astype(np.float64)
        return np.where(sci > 0, sci, np.nan)

    def summed(self, category_count: int, rows: npt.NDArray[np.int64] | None = None) -> Sums:
        """Sum up some prompts, or all of them some thousand at a time."""
        qualities, _, deployments = self.sci.shape
        found = Sums.nothing(qualities=qualities, categories=category_count, deployments=deployments)
        for part in self._parts() if rows is None else [rows]:
            scores, _ = self.scores(part)
            categories = np.asarray(self.categories[part], dtype=np.int64)
            for quality in range(qualities):
                totals = Totals.of(
                    categories=categories,
                    scores=scores,
                    sci_gco2e=self.costs(quality, part),
                    category_count=category_count,
                )
                found.sci_total[quality] += totals.sci_total
                found.sci_count[quality] += totals.sci_count
            found.score_total += totals.score_total
            found.score_count += totals.score_count
        return found

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.prompt_ids), _CHUNK):
            yield slice(start, start + _CHUNK)

"""Answers as columns of numbers, which numpy adds up in milliseconds, a hundred thousand of them and more. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
_CLOSE = 10  # times as many ids as rows
Number = TypeVar("Number", np.int64, np.float64)


def distinct(ids: Whole) -> tuple[Whole, Rows]:
    """Return the ids that come, each once and in order, and for each row the place of its id among them.

    Ids that lie close together are not sorted, which `np.unique` does.
    """
    first, last = (int(ids.min()), int(ids.max())) if len(ids) else (0, 0)
    if not len(ids) or last - first > _CLOSE * len(ids):
        known, rows = np.unique(ids, return_inverse=True)
        return known, rows
    do_come = np.zeros(last - first + 1, np.bool_)
    do_come[ids - first] = True
    places = np.cumsum(do_come) - 1
    return np.flatnonzero(do_come) + first, places[ids - first]


@dataclass(frozen=True)
class Words:
    """A column of words: each row's place among those that come."""

    places: Whole
    words: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[str]) -> "Words":
        """Return a column of words, one for each row."""
        words = tuple(sorted(set(rows)))
        place_of = {word: place for place, word in enumerate(words)}
        return cls(np.fromiter((place_of[one] for one in rows), np.int64, len(rows)), words)

    def at(self, rows: Rows) -> "Words":
        """Return those rows."""
        return Words(self.places[rows], self.words)

    def known(self, rows: Rows | Flags) -> tuple[str, ...]:
        """Return the words of those rows, each once, in order."""
        return tuple(sorted(self.words[place] for place in np.unique(self.places[rows]).tolist()))

    def __add__(self, other: "Words") -> "Words":
        words, places = self._told_of(other)
        return Words(np.concatenate([self.places, places]), words)

    def with_rows(self, rows: Rows, other: "Words") -> "Words":
        """Return it with other words in some rows."""
        words, places = self._told_of(other)
        return Words(_with_rows(self.places, rows, places), words)

    def _told_of(self, other: "Words") -> tuple[tuple[str, ...], Whole]:
        """Return the words of both, and the other's places among them."""
        words = (*self.words, *(one for one in other.words if one not in self.words))
        moved = np.array([words.index(one) for one in other.words], np.int64)
        return words, moved[other.places]


@dataclass(frozen=True)
class Columns:
    """Finished answers in the order of their ids, a column for each thing; a value that is missing is NaN, or empty.

    `vote` is 1 where an answer is right, -1 where it is wrong, 0 where nobody decided; `duration` (s) is the reserved
    time, `energy` and `net` are in J, `sci` in gCO2e, `intensity` in gCO2e/kWh, `embodied` in gCO2e, `lifespan` in s.
    """

    whole: dict[str, Whole]
    values: dict[str, Floats]
    words: dict[str, Words]

    def __len__(self) -> int:
        return len(self.whole["id"])

    def at(self, rows: Rows) -> "Columns":
        """Return those rows, in that order."""
        return Columns(
            {name: column[rows] for name, column in self.whole.items()},
            {name: column[rows] for name, column in self.values.items()},
            {name: column.at(rows) for name, column in self.words.items()},
        )

    def renewed(self, ids: Collection[int], fresh: "Columns") -> "Columns":
        """Return it with what is said now of some answers in place of what was said of them."""
        rows = self._rows_of(ids)
        if np.array_equal(self.whole["id"][rows], fresh.whole["id"]):
            return self._with_rows(rows, fresh)
        both = np.concatenate([self.whole["id"], fresh.whole["id"]])
        is_kept = np.ones(len(both), np.bool_)
        is_kept[rows] = False
        rows = np.flatnonzero(is_kept)
        rows = rows[np.argsort(both[rows], kind="stable")]
        return Columns(
            {name: np.concatenate([column, fresh.whole[name]])[rows] for name, column in self.whole.items()},
            {name: np.concatenate([column, fresh.values[name]])[rows] for name, column in self.values.items()},
            {name: (column + fresh.words[name]).at(rows) for name, column in self.words.items()},
        )

    def _rows_of(self, ids: Collection[int]) -> Rows:
        """Return the rows of those answers that are here, in order."""
        asked = np.array(sorted(ids), np.int64)
        first = np.searchsorted(self.whole["id"], asked, "left")
        rows: Rows = first[np.searchsorted(self.whole["id"], asked, "right") > first]
        return rows

    def _with_rows(self, rows: Rows, fresh: "Columns") -> "Columns":
        """Return it with other values in some rows; a column that says the same there is not copied."""
        return Columns(
            {name: _with_rows(column, rows, fresh.whole[name]) for name, column in self.whole.items()},
            {name: _with_rows(column, rows, fresh.values[name]) for name, column in self.values.items()},
            {name: column.with_rows(rows, fresh.words[name]) for name, column in self.words.items()},
        )


def _with_rows(column: npt.NDArray[Number], rows: Rows, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    if np.array_equal(column[rows], values, equal_nan=True):
        return column
    changed = column.copy()
    changed[rows] = values
    return changed

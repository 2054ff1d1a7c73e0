"""Answers as columns of numbers, which numpy adds up in milliseconds, a hundred thousand of them and more. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


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
        words = (*self.words, *(one for one in other.words if one not in self.words))
        moved = np.array([words.index(one) for one in other.words], np.int64)
        return Words(np.concatenate([self.places, moved[other.places]]), words)


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
        both = np.concatenate([self.whole["id"], fresh.whole["id"]])
        is_kept = np.concatenate([~np.isin(self.whole["id"], list(ids)), np.ones(len(fresh), np.bool_)])
        rows = np.flatnonzero(is_kept)
        rows = rows[np.argsort(both[rows], kind="stable")]
        return Columns(
            {name: np.concatenate([column, fresh.whole[name]])[rows] for name, column in self.whole.items()},
            {name: np.concatenate([column, fresh.values[name]])[rows] for name, column in self.values.items()},
            {name: (column + fresh.words[name]).at(rows) for name, column in self.words.items()},
        )

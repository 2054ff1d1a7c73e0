"""The figures of the cells of a study, kept with what they take of each answer: a label changes nothing of that.

After a change the answers that changed are read, and no others; the cells of those that say something else are worked
out anew of what is kept.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from benchmarks.models import Study
from benchmarks.spreading import (
    Asked,
    Cell,
    CellFigures,
    Repeat,
    Repeated,
    cell_figures,
    prompt_spread,
    repeated_prompts,
)
from labeling.figure_text import from_text, to_text
from labeling.packing import Column, fewest_bytes, packed_columns, roomy, unpacked_columns, widened
from labeling.renewing import Packing, Renewals, Touched, renewed

_ASKED = ("deployment", "parameters", "prompt")  # ids
_WHOLE = ("id", "cell", "quality", *_ASKED)
_FIGURES = ("energy", "sci")  # J and gCO2e; NaN where one is missing
_Said = tuple[Cell, Asked, Repeat]  # all that a cell takes of an answer: its name, what was asked, and the answer


@dataclass(frozen=True)
class KeptSpread:
    """The cells of a study, and what they take of answers, in the order of ids: a column for each thing.

    An answer has the place of its cell, and that of its quality among `qualities`.
    """

    cells: Sequence[CellFigures]
    columns: dict[str, Column]
    qualities: tuple[str, ...]

    @classmethod
    def of(cls, cells: Sequence[CellFigures], answers: Sequence[_Said]) -> "KeptSpread":
        """Return what is kept of cells and of what they take of answers."""
        place_of = {one.cell: place for place, one in enumerate(cells)}
        qualities = tuple(sorted({one.quality for _, _, one in answers}))
        numbers = {
            "id": [one.response_id for _, _, one in answers],
            "cell": [place_of[cell] for cell, _, _ in answers],
            **{name: [asked[place] for _, asked, _ in answers] for place, name in enumerate(_ASKED)},
            "quality": [qualities.index(one.quality) for _, _, one in answers],
            "energy": [_number(one.energy_j) for _, _, one in answers],
            "sci": [_number(one.sci_gco2e) for _, _, one in answers],
        }
        return cls(
            cells,
            {name: np.array(numbers[name], np.float64 if name in _FIGURES else np.int64) for name in numbers},
            qualities,
        )._in_order()

    def said_of(self, ids: Collection[int]) -> dict[int, _Said]:
        """Return what is kept of those of some answers that cells are made of, by id."""
        rows = np.flatnonzero(np.isin(self.columns["id"], list(ids)))
        return {one.response_id: (cell, asked, one) for cell, asked, one in self._said(rows)}

    def with_answers(self, gone: Collection[int], fresh: Sequence[_Said]) -> "KeptSpread | None":
        """Return it with some answers gone and others come; None where a cell comes or goes with them."""
        changed = {cell for cell, _, _ in (*self.said_of(gone).values(), *fresh)}
        others = self.of(self.cells, fresh) if changed <= {one.cell for one in self.cells} else None
        if others is None:
            return None
        rows = np.flatnonzero(~np.isin(self.columns["id"], list(gone)))
        qualities = (*self.qualities, *(one for one in others.qualities if one not in self.qualities))
        moved = np.array([qualities.index(one) for one in others.qualities], np.int64)
        columns = {name: np.concatenate([self.columns[name][rows], others.columns[name]]) for name in self.columns}
        columns["quality"][len(rows) :] = moved[others.columns["quality"]]
        found = KeptSpread(self.cells, columns, qualities)._in_order()
        figures = {cell: found._figures(place) for place, cell in enumerate(self._names) if cell in changed}
        if not all(figures.values()):
            return None
        return KeptSpread([figures.get(one.cell) or one for one in self.cells], found.columns, qualities)

    def asked(self, cell: Cell) -> list[Asked]:
        """Return what was asked in a cell."""
        rows = np.flatnonzero(self.columns["cell"] == self._names.index(cell))
        ids = np.unique(np.column_stack([self.columns[name][rows] for name in _ASKED]), axis=0).tolist()
        return [(one[0], one[1], one[2]) for one in ids]

    @property
    def _names(self) -> list[Cell]:
        return [one.cell for one in self.cells]

    def _said(self, rows: Column) -> Iterator[_Said]:
        """Yield what is kept in some rows."""
        names = self._names
        values = [self.columns[name][rows].tolist() for name in (*_WHOLE, *_FIGURES)]
        for pk, cell, quality, *asked, energy_j, sci_gco2e in zip(*values, strict=True):
            answer = Repeat(pk, _known(energy_j), _known(sci_gco2e), self.qualities[quality])
            yield names[cell], (asked[0], asked[1], asked[2]), answer

    def _figures(self, place: int) -> CellFigures | None:
        """Return the figures of the cell at a place; None without answers."""
        rows = np.flatnonzero(self.columns["cell"] == place)
        rows = rows[np.lexsort([self.columns[name][rows] for name in _ASKED])]
        prompts = [
            # a cell takes nothing of what its prompts are called
            Repeated(self.cells[place].cell, asked, dataset="", prompt="", role="", repeats=[one for *_, one in its])
            for asked, its in groupby(self._said(rows), key=itemgetter(1))
        ]
        return next(iter(cell_figures(map(prompt_spread, prompts))), None)

    def _in_order(self) -> "KeptSpread":
        order = np.argsort(self.columns["id"])
        columns = {
            name: roomy(column[order]) if name in _FIGURES else fewest_bytes(widened(column)[order])
            for name, column in self.columns.items()
        }
        return KeptSpread(self.cells, columns, self.qualities)


def kept_spread(study: Study) -> KeptSpread:
    """Return the cells of a study, and what was asked in each.

    After a change only cells are worked out anew where an answer says something else.
    """
    return renewed(
        ("studies.spread", study.pk),
        lambda: read_cells(study),
        lambda before, touched: _renewed(study, before, touched),
        studies=[study.pk],
        renewals=_LATEST,
    )


def read_cells(study: Study) -> KeptSpread:
    """Read all cells of a study."""
    prompts = repeated_prompts(study=study)
    return KeptSpread.of(cell_figures(map(prompt_spread, prompts)), list(_each(prompts)))


def _renewed(study: Study, before: KeptSpread, touched: Touched) -> KeptSpread:
    was = before.said_of(touched.response_ids)
    now = {said[2].response_id: said for said in _each(repeated_prompts(study=study, among=touched.response_ids))}
    changed = [pk for pk in was.keys() | now.keys() if was.get(pk) != now.get(pk)]
    if not changed:
        return before
    return before.with_answers(changed, [now[pk] for pk in changed if pk in now]) or read_cells(study)


def _each(prompts: Sequence[Repeated]) -> Iterator[_Said]:
    return ((prompt.cell, prompt.asked, one) for prompt in prompts for one in prompt.repeats)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _packed(kept: KeptSpread) -> bytes:
    return packed_columns(kept.columns, [kept.qualities, to_text(list(kept.cells))])


def _unpacked(packed: bytes) -> KeptSpread:
    columns, (qualities, cells) = unpacked_columns(packed)
    return KeptSpread(from_text(cells, list[CellFigures]), columns, tuple(qualities))


PACKING = Packing(_packed, _unpacked, lambda kept: len(kept.columns["id"]))
_LATEST = Renewals(most=4, packing=PACKING)  # studies: two and a half megabytes for a hundred thousand answers

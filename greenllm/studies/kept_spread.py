"""The figures of the cells of a study, kept with what they say of each answer: a label changes nothing of that.

After a change the answers that changed are read, and of the others only those in a cell where one says something else.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from benchmarks.models import Study
from benchmarks.spreading import Block, Cell, CellFigures, PromptSpread, Repeat, cell_figures, prompt_spreads
from labeling.figure_text import from_text, to_text
from labeling.packing import Whole, fewest_bytes, packed_columns, roomy, unpacked_columns
from labeling.renewing import Packing, Renewals, Touched, renewed

Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class KeptSpread:
    """The cells of a study, and the answers that they are made of: in the order of ids, the place of each one's cell.

    A digest stands for all that its cell takes from an answer.
    """

    cells: Sequence[CellFigures]
    ids: Whole
    places: Whole
    digests: Digests

    @classmethod
    def of(cls, prompts: Sequence[PromptSpread]) -> "KeptSpread":
        """Return what is kept of the spreads of prompts."""
        cells = cell_figures(prompts)
        place_of = {one.cell: place for place, one in enumerate(cells)}
        answers = [(one.response_id, place_of[prompt.cell], digest_of(prompt, one)) for prompt, one in _each(prompts)]
        ids = np.array([pk for pk, _, _ in answers], np.int64)
        order = np.argsort(ids)
        return cls(
            cells,
            fewest_bytes(ids[order]),
            fewest_bytes(np.array([place for _, place, _ in answers], np.int64)[order]),
            roomy(np.array([digest for _, _, digest in answers], np.uint64)[order]),
        )

    def said_of(self, ids: Collection[int]) -> dict[int, tuple[Cell, int]]:
        """Return the cell and the digest of those of some answers that it is made of, by id."""
        rows = np.flatnonzero(np.isin(self.ids, list(ids)))
        known = zip(self.ids[rows].tolist(), self.places[rows].tolist(), self.digests[rows].tolist(), strict=True)
        return {pk: (self.cells[place].cell, digest) for pk, place, digest in known}

    def with_cells(self, block: Block, fresh: "KeptSpread") -> "KeptSpread | None":
        """Return it with the cells of a block as they are now; None where one of them came or went."""
        fresh_of = {one.cell: one for one in fresh.cells}
        if fresh_of.keys() != {one.cell for one in self.cells if one.cell in block}:
            return None
        place_of = {one.cell: place for place, one in enumerate(self.cells)}
        moved = np.array([place_of[one.cell] for one in fresh.cells], np.int64)
        is_kept = ~np.isin(self.places, moved)
        ids = np.concatenate([self.ids[is_kept], fresh.ids])
        order = np.argsort(ids)
        return KeptSpread(
            [fresh_of.get(one.cell, one) for one in self.cells],
            fewest_bytes(ids[order]),
            fewest_bytes(np.concatenate([self.places[is_kept], moved[fresh.places]])[order]),
            roomy(np.concatenate([self.digests[is_kept], fresh.digests])[order]),
        )


def kept_cells(study: Study) -> Sequence[CellFigures]:
    """Return the figures of a study's cells; after a change only cells where an answer says something else are read."""
    return renewed(
        ("studies.spread", study.pk),
        lambda: read_cells(study),
        lambda before, touched: _renewed(study, before, touched),
        studies=[study.pk],
        renewals=_LATEST,
    ).cells


def read_cells(study: Study, block: Block | None = None) -> KeptSpread:
    """Read all cells of a study, or those of a block."""
    return KeptSpread.of(prompt_spreads(study=study, block=block))


def digest_of(prompt: PromptSpread, answer: Repeat) -> int:
    """Return a number below 2**64 for all that a cell takes from an answer."""
    cell = prompt.cell
    said = (
        cell.model, cell.category, cell.parameters, prompt.dataset, prompt.prompt,
        answer.energy_j, answer.sci_gco2e, answer.quality,
    )  # fmt: skip
    return int.from_bytes(blake2b(repr(said).encode(), digest_size=8).digest(), "little")


def _renewed(study: Study, before: KeptSpread, touched: Touched) -> KeptSpread:
    was = before.said_of(touched.response_ids)
    now = {
        one.response_id: (prompt.cell, digest_of(prompt, one))
        for prompt, one in _each(prompt_spreads(study=study, among=touched.response_ids))
    }
    changed = {
        one[pk][0] for pk in was.keys() | now.keys() if was.get(pk) != now.get(pk) for one in (was, now) if pk in one
    }
    if not changed:
        return before
    block = Block.around(changed)
    return before.with_cells(block, read_cells(study, block)) or read_cells(study)


def _each(prompts: Sequence[PromptSpread]) -> list[tuple[PromptSpread, Repeat]]:
    return [(prompt, one) for prompt in prompts for one in prompt.repeats]


def _packed(kept: KeptSpread) -> bytes:
    columns = {"ids": kept.ids, "places": kept.places, "digests": kept.digests}
    return packed_columns(columns, to_text(list(kept.cells)))


def _unpacked(packed: bytes) -> KeptSpread:
    columns, cells = unpacked_columns(packed)
    return KeptSpread(from_text(cells, list[CellFigures]), columns["ids"], columns["places"], columns["digests"])


PACKING = Packing(_packed, _unpacked, lambda kept: len(kept.ids))
_LATEST = Renewals(most=4, packing=PACKING)  # studies: a megabyte and a half for a hundred thousand answers

"""What the finished answers of a study add up to: by category and model, and by what their SCI was made with. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from benchmarks.products import Products, pairs_of
from greenllm.answer_columns import Columns, Flags, Floats, Rows, Whole, distinct
from greenllm.reports.cells import POPULATIONS, Basis, ReportCell

_Figures = Mapping[str, Floats]
Place = tuple[str, str]  # names of a category and a model
_Facts = tuple[str | float | int | None, ...]
_Named = Sequence[tuple[str, Sequence[int]]]  # names in order, each with the ids that bear it
_BASIS = {
    "machine": "machine", "intensity": "carbon_intensity_gco2e_per_kwh", "intensity_source": "carbon_intensity_source",
    "embodied": "total_embodied_emissions_gco2e", "lifespan": "expected_lifespan_s", "share": "resource_share",
    "boundary": "boundary", "method": "method_version",
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What the finished answers of a model in a category add up to; without a training one they have no cell.

    `bases` are of training and validation answers; those without a measurement have none.
    """

    cell: ReportCell | None
    bases: list[Basis]


def parts_of(
    columns: Columns, *, categories: _Named, models: _Named, only: Collection[Place] | None = None
) -> dict[Place, Part]:
    """Return the parts of a study by category and model, in the order of the names; all of them, or only some."""
    rows = np.arange(len(columns))
    if only is not None:
        chosen = _ids_of(categories, {one for one, _ in only}), _ids_of(models, {other for _, other in only})
        rows = np.flatnonzero(
            np.isin(columns.whole["category"], chosen[0]) & np.isin(columns.whole["model"], chosen[1])
        )
    places = _places(columns.whole["category"][rows], categories) * len(models)
    places += _places(columns.whole["model"][rows], models)
    found = {}
    for place, its in _groups(places):
        category, model = categories[place // len(models)][0], models[place % len(models)][0]
        if only is None or (category, model) in only:
            found[category, model] = _part(category, model, columns.at(rows[its]))
    return found


def bases_of(parts: Iterable[Part], *, most: int) -> list[Basis]:
    """Return what SCI was made with in all parts, the most used first."""
    same: dict[_Facts, list[Basis]] = {}
    for part in parts:
        for one in part.bases:
            same.setdefault(_facts(one), []).append(one)
    found = [_together(its) for its in same.values()]
    found.sort(key=lambda one: (-one.answer_count, [(part is None, part) for part in _facts(one)]))
    return found[:most]


def _ids_of(named: _Named, names: Collection[str]) -> list[int]:
    return [one for name, its in named if name in names for one in its]


def _part(category: str, model: str, answers: Columns) -> Part:
    training = np.flatnonzero(answers.whole["is_validation"] == 0)
    cell = _cell(category, model, answers.at(training)) if len(training) else None
    return Part(cell, _bases(answers))


def _bases(answers: Columns) -> list[Basis]:
    measured = np.flatnonzero(answers.whole["is_measured"] == 1)
    places = np.zeros(len(measured), np.int64)
    for name in _BASIS:
        column = answers.words[name].places if name in answers.words else answers.values[name]
        known, at = np.unique(column[measured], return_inverse=True)
        if len(known) > 1:  # most are the same for all
            places = np.unique(places * len(known) + at, return_inverse=True)[1]
    groups = [measured[rows] for _, rows in _groups(places)]
    return [_basis(_basis_at(answers, rows[0]), answers.at(rows)) for rows in groups]


def _facts(basis: Basis) -> _Facts:
    return tuple(getattr(basis, field) for field in _BASIS.values())


def _together(bases: Sequence[Basis]) -> Basis:
    """Return what answers of one basis add up to, of several parts of them."""
    return replace(
        bases[0],
        answer_count=sum(one.answer_count for one in bases),
        qualities=tuple(sorted({quality for one in bases for quality in one.qualities})),
        energy=reduce(add, (one.energy for one in bases)),
        sci=reduce(add, (one.sci for one in bases)),
    )


def _places(ids: Whole, named: _Named) -> Whole:
    """Return the place of each id among the names."""
    place_of = {one: place for place, (_, its) in enumerate(named) for one in its}
    known, at = distinct(ids)
    return np.array([place_of[one] for one in known.tolist()], np.int64)[at]


def _groups(places: Whole) -> Iterator[tuple[int, Rows]]:
    """Yield each place that comes, in order, with its rows."""
    order = np.argsort(places, kind="stable")
    known, begins = np.unique(places[order], return_index=True)
    if len(known):
        yield from zip(known.tolist(), np.split(order, begins[1:]), strict=True)


def _cell(category: str, model: str, answers: Columns) -> ReportCell:
    figures = _figures(answers)
    is_judged, energy = ~np.isnan(figures["right"]), answers.values["energy"]
    return ReportCell(
        category=category,
        model=model,
        answer_count=len(answers),
        judged_count=int(is_judged.sum()),
        correct_count=int((figures["right"] == 1).sum()),
        qualities=_qualities(answers),
        sources=answers.words["verdict_source"].known(is_judged),
        products={name: _products(name, figures) for name in POPULATIONS},
        untimed_count=int((~np.isnan(energy) & np.isnan(answers.values["duration"])).sum()),
    )


def _qualities(answers: Columns) -> tuple[str, ...]:
    found = answers.words["quality"].known(np.arange(len(answers)))
    return tuple(sorted(one or "missing" for one in found))


def _figures(answers: Columns) -> _Figures:
    """Return the figures that answers are added up by, as `POPULATIONS` names them; what is missing is NaN."""
    values, vote = answers.values, answers.values["vote"]
    # energies without a time count as such; what a what-if makes of them `ReportCell.untimed_count` tells
    share = np.where(np.isnan(values["share"]), 1.0, values["share"])
    return {
        "sci": values["sci"],
        "energy": values["energy"],
        "net": values["net"],
        "time": np.nan_to_num(values["duration"]) * share,
        "tokens": np.where(values["tokens"] == 0, np.nan, values["tokens"]),
        "right": np.where(vote == 0, np.nan, (vote > 0).astype(np.float64)),
    }


def _products(name: str, figures: _Figures) -> Products:
    """Return the sums and products of a population."""
    terms = [figures[one] for one in POPULATIONS[name]]
    is_in: Flags = np.logical_and.reduce([~np.isnan(one) for one in terms])
    if name.endswith("_of_right"):
        is_in &= figures["right"] == 1
    known = [one[is_in] for one in terms]
    products = tuple(float((known[a] * known[b]).sum()) for a, b in pairs_of(len(known)))
    return Products(int(is_in.sum()), tuple(float(one.sum()) for one in known), products)


def _basis_at(columns: Columns, row: int) -> dict[str, str | float | int | None]:
    """Return what the SCI of one answer was made with, by the names of a `Basis`."""
    found: dict[str, str | float | int | None] = {}
    for name, field in _BASIS.items():
        if name in columns.words:
            words = columns.words[name]
            found[field] = words.words[words.places[row]]
        else:
            value = float(columns.values[name][row])
            found[field] = None if np.isnan(value) else int(value) if name == "lifespan" else value
    return found


def _basis(facts: Mapping[str, str | float | int | None], answers: Columns) -> Basis:
    figures = _figures(answers)
    made = {name: _products(name, figures) for name in ("energy", "sci")}
    return Basis(**facts, answer_count=len(answers), qualities=_qualities(answers), **made)  # type: ignore[arg-type]  # by name

"""Read tables of outcomes from elsewhere: what each model made of each prompt, and what that cost.

A folder holds `prompts.csv` (prompt_id, category, prompt) and `outcomes.csv` (prompt_id, model, score, and energy_j or
sci_gco2e; quality if one likes). Every mistake is named by its file and line; what is lacking is counted and told.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets.base import (
    MAX_SHOWN_ERRORS,
    LineError,
    LineProblem,
    PromptFileError,
    check_storable,
    decode,
    read_bytes,
)
from benchmarks.datasets.files import MAX_ID_LENGTH, category_problem
from benchmarks.datasets.outcome_table import COST_KINDS, DEFAULT_QUALITY, QUALITIES, OutcomeTable
from benchmarks.datasets.tables import csv_records

PROMPTS_NAME = "prompts.csv"
OUTCOMES_NAME = "outcomes.csv"
MAX_MODEL_LENGTH = 200
_PROMPT_COLUMNS = [("prompt_id",), ("category",), ("prompt",)]
_OUTCOME_COLUMNS = [("prompt_id",), ("model",), ("score",), COST_KINDS]
_Problem = tuple[str, LineError]  # the file's name, and what is wrong on which line of it


class OutcomeFileError(ValueError):
    """A table of outcomes cannot be used; nothing of it was."""

    def __init__(self, folder: Path, problems: Sequence[_Problem]) -> None:
        self.problems = tuple(problems)
        shown = "\n".join(f"  {name}, {error}" for name, error in self.problems[:MAX_SHOWN_ERRORS])
        rest = len(self.problems) - MAX_SHOWN_ERRORS
        more = f"\n  and {rest} more" if rest > 0 else ""
        super().__init__(f"{folder}: no outcomes were taken, because of\n{shown}{more}")


@dataclass(frozen=True)
class _Cell:
    """What one line of outcomes.csv says of one model on one prompt; None where the cell is empty."""

    score: float | None
    costs: Mapping[str, float | None]
    quality: str


@dataclass
class _Reading:
    """What was read so far; `known` holds each prompt id's line, of wrong lines as well, so that each is told once."""

    problems: list[_Problem] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    prompts: dict[str, tuple[str, str]] = field(default_factory=dict)
    cells: dict[tuple[str, str], _Cell] = field(default_factory=dict)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)


def read_outcomes(folder: Path) -> OutcomeTable:
    """Read a folder's `prompts.csv` and `outcomes.csv` without touching the database.

    Scores are from 0 to 1, energy in joules and SCI in gCO2e per prompt, both above 0; an empty cell is a missing one.

    Raises:
        OutcomeFileError: a file cannot be read, is empty, or has wrong lines; each is named by its file and number.
    """
    reading = _Reading()
    for number, record in _records(folder, PROMPTS_NAME, _PROMPT_COLUMNS, reading.problems):
        try:
            _take_prompt(reading, number, record)
        except LineProblem as problem:
            reading.problems.append((PROMPTS_NAME, LineError(number, problem.field, str(problem))))
    has_prompts = bool(reading.known)
    if not has_prompts and not reading.problems:
        reading.problems.append((PROMPTS_NAME, LineError(0, "", "it holds no prompt")))
    for number, record in _records(folder, OUTCOMES_NAME, _OUTCOME_COLUMNS, reading.problems):
        try:
            _take_outcome(reading, number, record, is_checked=has_prompts)
        except LineProblem as problem:
            reading.problems.append((OUTCOMES_NAME, LineError(number, problem.field, str(problem))))
    if not reading.problems:
        reading.problems.extend((OUTCOMES_NAME, LineError(0, "model", wrong)) for wrong in _lacking(reading.cells))
    if reading.problems:
        raise OutcomeFileError(folder, reading.problems)
    return _table(reading)


def _records(
    folder: Path, name: str, needed: Sequence[tuple[str, ...]], problems: list[_Problem]
) -> Iterator[tuple[int, dict[str, Any]]]:
    path = folder / name
    try:
        text = decode(path, read_bytes(path))
    except PromptFileError as error:
        problems.extend((name, one) for one in error.errors)
        return
    for number, record in csv_records(text, needed=needed):
        if isinstance(record, str):
            problems.append((name, LineError(number, "", record)))
        else:
            yield number, record


def _take_prompt(reading: _Reading, number: int, record: Mapping[str, str]) -> None:
    prompt_id = _text(record, "prompt_id", MAX_ID_LENGTH)
    if prompt_id in reading.known:
        message = f"{prompt_id!r} stands on line {reading.known[prompt_id]} already; give each prompt an id of its own"
        raise LineProblem("prompt_id", message)
    reading.known[prompt_id] = number
    category = _text(record, "category", None)
    if wrong := category_problem(category):
        raise LineProblem("category", wrong)
    reading.prompts[prompt_id] = category, _text(record, "prompt", None)


def _take_outcome(reading: _Reading, number: int, record: Mapping[str, str], *, is_checked: bool) -> None:
    prompt_id, model = _text(record, "prompt_id", MAX_ID_LENGTH), _text(record, "model", MAX_MODEL_LENGTH)
    if is_checked and prompt_id not in reading.known:
        raise LineProblem("prompt_id", f"{prompt_id!r} is not in {PROMPTS_NAME}; add the prompt or leave the line out")
    key = prompt_id, model
    if key in reading.lines:
        message = f"{model!r} has an outcome for {prompt_id!r} on line {reading.lines[key]} already; keep one of them"
        raise LineProblem("model", message)
    reading.lines[key] = number
    reading.cells[key] = _Cell(
        score=_score(record.get("score")),
        costs={kind: _cost(kind, record.get(kind)) for kind in COST_KINDS},
        quality=_quality(record.get("quality")),
    )


def _text(record: Mapping[str, str], name: str, max_length: int | None) -> str:
    value = record.get(name, "")
    if not value.strip():
        raise LineProblem(name, "it is empty")
    if max_length is not None and len(value) > max_length:
        raise LineProblem(name, f"it is longer than {max_length} characters")
    check_storable(name, value)
    return value


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise LineProblem(name, f"{value!r} is not a number; leave the cell empty if it is not known") from None


def _score(value: str | None) -> float | None:
    if value is None:
        return None
    score = _number("score", value)
    if not 0 <= score <= 1:
        raise LineProblem("score", f"{value} is not from 0 (wrong) to 1 (right); leave the cell empty if nobody judged")
    return score


def _cost(kind: str, value: str | None) -> float | None:
    if value is None:
        return None
    cost = _number(kind, value)
    if not (cost > 0 and math.isfinite(cost)):
        raise LineProblem(kind, f"{value} is not a number above 0; leave the cell empty if it is missing")
    return cost


def _quality(value: str | None) -> str:
    if value is not None and value not in QUALITIES:
        raise LineProblem("quality", f"{value!r} is not one of {', '.join(QUALITIES)}")
    return value or DEFAULT_QUALITY


def _lacking(cells: Mapping[tuple[str, str], _Cell]) -> list[str]:
    """Say what is missing as a whole: any outcome at all, or every score of a model."""
    if not cells:
        return ["it holds no outcome"]
    scored = {model for (_, model), cell in cells.items() if cell.score is not None}
    models = {model for _, model in cells}
    return [f"{model!r} has no score for any prompt; leave the model out" for model in sorted(models - scored)]


def _table(reading: _Reading) -> OutcomeTable:
    rows = {prompt_id: row for row, prompt_id in enumerate(reading.prompts)}
    models = sorted({model for _, model in reading.cells})
    columns = {model: column for column, model in enumerate(models)}
    names = sorted({category for category, _ in reading.prompts.values()})
    kinds = [kind for kind in COST_KINDS if any(cell.costs[kind] is not None for cell in reading.cells.values())]
    cost_kind = kinds[0] if kinds else COST_KINDS[0]
    scores = np.full((len(rows), len(models)), np.nan)
    costs = scores.copy()
    qualities = np.full(scores.shape, QUALITIES.index(DEFAULT_QUALITY), dtype=np.uint8)
    for (prompt_id, model), cell in reading.cells.items():
        at = rows[prompt_id], columns[model]
        cost = cell.costs[cost_kind]
        scores[at] = np.nan if cell.score is None else cell.score
        costs[at] = np.nan if cost is None else cost
        qualities[at] = QUALITIES.index(cell.quality)
    return OutcomeTable(
        prompt_ids=tuple(rows),
        texts=tuple(text for _, text in reading.prompts.values()),
        category_names=tuple(names),
        categories=np.array([names.index(category) for category, _ in reading.prompts.values()], dtype=np.int64),
        models=tuple(models),
        scores=scores,
        costs=costs,
        cost_kind=cost_kind,
        qualities=qualities,
        passed_over_cost=kinds[1] if len(kinds) > 1 else "",
    )

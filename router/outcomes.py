"""Read a folder of outcomes that others measured: prompts.csv and outcomes.csv. Pure: no database, no network.

    prompts.csv   prompt_id, category, prompt
    outcomes.csv  prompt_id, model, score, and energy_j or sci_gco2e

`score` lies between 0 and 1; from 0.5 on an answer counts as right. A cell that is not there is missing, never 0.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from router.estimate import Floats, Integers

PROMPT_COLUMNS = ("prompt_id", "category", "prompt")
COST_COLUMNS = {"energy_j": "J", "sci_gco2e": "gCO2e"}
_LONGEST_FIELD = 10_000_000  # characters; a prompt of a whole book fits
_SHOWN_PROBLEMS = 20


class BadOutcomes(ValueError):
    """The files cannot be used; `problems` names file, line, field and remedy of each, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        shown = list(problems[:_SHOWN_PROBLEMS])
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more.")
        super().__init__("\n".join(shown))


@dataclass(frozen=True)
class Outcomes:
    """What m models did on n prompts, as the files have it.

    Args:
        prompt_ids: (n,) as in the files; `texts` and `categories` (numbers into `category_names`) belong to them.
        models: (m,) names, sorted.
        scores: (n, m) 0 to 1; NaN where there is none.
        costs: (n, m) above 0, in `unit`; NaN where there is none.
        unit: J or gCO2e.
        notices: what is unusual but no error.
    """

    prompt_ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: Integers
    category_names: tuple[str, ...]
    models: tuple[str, ...]
    scores: Floats
    costs: Floats
    unit: str
    notices: tuple[str, ...]


def read_outcomes(folder: Path) -> Outcomes:
    """Read both files of a folder.

    Raises:
        BadOutcomes: a file is missing, cannot be read, or has lines that cannot be used.
    """
    problems: list[str] = []
    prompts = _read_prompts(folder / "prompts.csv", problems)
    cells, unit = _read_cells(folder / "outcomes.csv", set(prompts), problems)
    if not problems and not cells:
        problems.append("outcomes.csv: it has no line; write one for each prompt and model.")
    if problems:
        raise BadOutcomes(problems)
    ids = tuple(prompts)
    names = tuple(sorted({category for category, _ in prompts.values()}))
    models = tuple(sorted({model for _, model in cells}))
    rows, columns = {name: row for row, name in enumerate(ids)}, {name: column for column, name in enumerate(models)}
    scores = np.full((len(ids), len(models)), np.nan)
    costs = scores.copy()
    for (prompt_id, model), (score, cost) in cells.items():
        scores[rows[prompt_id], columns[model]] = score
        costs[rows[prompt_id], columns[model]] = cost
    for model, column in columns.items():
        for field, values in (("score", scores), ("cost", costs)):
            if np.isnan(values[:, column]).all():
                problems.append(f"outcomes.csv: the model {model!r} has no {field} at all; give some, or leave it out.")
    if problems:
        raise BadOutcomes(problems)
    texts = tuple(text for _, text in prompts.values())
    return Outcomes(
        prompt_ids=ids,
        texts=texts,
        categories=np.array([names.index(category) for category, _ in prompts.values()], dtype=np.int64),
        category_names=names,
        models=models,
        scores=scores,
        costs=costs,
        unit=unit,
        notices=tuple(_notices(texts, names, scores, costs)),
    )


def _notices(texts: Sequence[str], names: Sequence[str], scores: Floats, costs: Floats) -> Iterator[str]:
    for field, values in (("score", scores), ("cost", costs)):
        if missing := int(np.isnan(values).sum()):
            yield f"{missing} of {values.size} cells have no {field}; they are left out of every figure."
    if doubled := len(texts) - len(set(texts)):
        yield f"{doubled} prompts have the text of another; prompts of the same text are never parted by a split."
    if len(names) == 1:
        yield f"There is one category only ({names[0]}), so that a table by category is no more than one model."


def _read_prompts(path: Path, problems: list[str]) -> dict[str, tuple[str, str]]:
    """Return category and text of each prompt id, in the order of the file."""
    prompts: dict[str, tuple[str, str]] = {}
    for line, row in _rows(path, PROMPT_COLUMNS, problems):
        prompt_id = row["prompt_id"].strip()
        for field in PROMPT_COLUMNS:
            if not row[field].strip():
                problems.append(f"prompts.csv, line {line}: {field} is empty; fill it in, or leave the line out.")
        if prompt_id in prompts:
            problems.append(f"prompts.csv, line {line}: prompt_id {prompt_id!r} is there twice; give each its own.")
        prompts[prompt_id] = (row["category"].strip(), row["prompt"])
    if not prompts and not problems:
        problems.append("prompts.csv: it has no prompt; write one a line.")
    return prompts


def _read_cells(
    path: Path, prompt_ids: set[str], problems: list[str]
) -> tuple[dict[tuple[str, str], tuple[float, float]], str]:
    """Return score and cost of each pair of prompt id and model, and the unit of the costs."""
    cells: dict[tuple[str, str], tuple[float, float]] = {}
    column = ""
    for line, row in _rows(path, ("prompt_id", "model", "score"), problems):
        if not column:
            column = next((name for name in COST_COLUMNS if name in row), "")
            if not column:
                problems.append("outcomes.csv: there is no column energy_j or sci_gco2e; add one of them.")
                break
        where, key = f"outcomes.csv, line {line}", (row["prompt_id"].strip(), row["model"].strip())
        if key[0] not in prompt_ids:
            problems.append(
                f"{where}: prompt_id {key[0]!r} is not in prompts.csv; add it there, or leave the line out."
            )
        if not key[1]:
            problems.append(f"{where}: model is empty; name the model.")
        if key in cells:
            problems.append(f"{where}: prompt {key[0]!r} and model {key[1]!r} are there twice; keep one of the lines.")
        score, cost = _number(row["score"]), _number(row[column])
        if score is None or not (math.isnan(score) or 0 <= score <= 1):
            problems.append(f"{where}: score is {row['score']!r}; it must lie between 0 and 1, or be empty.")
        if cost is None or not (math.isnan(cost) or 0 < cost < math.inf):
            problems.append(
                f"{where}: {column} is {row[column]!r}; it must be above 0, or empty where nobody measured."
            )
        cells[key] = (math.nan if score is None else score, math.nan if cost is None else cost)
    return cells, COST_COLUMNS.get(column, "")


def _rows(path: Path, columns: Sequence[str], problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the fields of each line; what hinders that becomes a problem."""
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if lacking := [name for name in columns if name not in (reader.fieldnames or ())]:
                problems.append(f"{path.name}: there is no column {' and no column '.join(lacking)}; add it to line 1.")
                return
            for row in reader:
                if None in row or None in row.values():
                    problems.append(
                        f"{path.name}, line {reader.line_num}: it has not as many fields as line 1; "
                        f"put texts with a comma into quotes."
                    )
                    continue
                yield reader.line_num, row
    except FileNotFoundError:
        problems.append(f"{path.name}: there is none in {path.parent}; outcomes need prompts.csv and outcomes.csv.")
    except UnicodeDecodeError as error:
        problems.append(f"{path.name}: byte {error.start} is no UTF-8; save the file as UTF-8.")
    except (OSError, csv.Error) as error:
        problems.append(f"{path.name}: it cannot be read ({error}).")


def _number(text: str) -> float | None:
    """Return a number, NaN for an empty field, None for what is no number."""
    text = text.strip()
    if not text:
        return math.nan
    try:
        found = float(text)
    except ValueError:
        return None
    return None if math.isnan(found) else found

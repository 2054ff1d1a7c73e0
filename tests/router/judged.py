"""Studies and outcomes in which a cheap model answers every second prompt right, and a dear one all of them."""

import csv
from pathlib import Path

from benchmarks.models import Measurement, Study
from benchmarks.scoring import apply_score, basis_of
from router.models import PromptIndex
from tests.factories import (
    NOW,
    make_deployment,
    make_label,
    make_machine,
    make_prompt,
    make_response,
    make_study,
    make_user,
)
from tests.router.standins import make_embedder

WORDS = ("apple", "theorem")  # of what the cheap model knows, and of what it does not


def judged_study(*, count: int = 48, name: str = "") -> Study:
    """Make a study whose answers are all judged and measured; each prompt says which kind it is of."""
    study, person = make_study(name, state=Study.State.FINISHED, finished_at=NOW), make_user()
    models = {model: make_deployment(model) for model in ("cheap", "dear")}
    for number in range(count):
        prompt = make_prompt(f"{WORDS[number % 2]} item{number}")
        for model, energy_j in (("cheap", 1.0), ("dear", 10.0)):
            verdict = "incorrect" if model == "cheap" and number % 2 else "correct"
            make_label(make_response(prompt, models[model], study=study, energy_j=energy_j), verdict, labeler=person)
    return study


def write_outcomes(folder: Path, *, count: int = 60) -> Path:
    """Write the same as a folder of outcomes."""
    folder.mkdir()
    with (folder / "prompts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt_id", "category", "prompt"])
        rows.writerows([n, ("Easy", "Hard")[n % 2], f"{WORDS[n % 2]} item{n}"] for n in range(count))
    with (folder / "outcomes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt_id", "model", "score", "energy_j"])
        rows.writerows([n, "cheap", 1 - n % 2, 1] for n in range(count))
        rows.writerows([n, "dear", 1, 10] for n in range(count))
    return folder


def measured_index(*, energy_j: float | None = 50.0, prompt_count: int = 100, **facts: object) -> PromptIndex:
    """Make an index whose building was measured, or whose measurement failed."""
    measured = Measurement(
        purpose=Measurement.Purpose.INDEX_BUILD,
        energy_j=energy_j,
        quality="missing" if energy_j is None else "measured",
        missing_reason="the meter fell silent." if energy_j is None else "",
        boundary="whole machine",
    )
    if energy_j is not None:
        measured.machine, measured.time_reserved_s = make_machine(), 1.0
        apply_score(measured, basis_of(measured.machine, 385.0))
    measured.save()
    values = {"state": "replaced", "dimension": 384, "built_at": NOW, "prompt_count": prompt_count, **facts}
    return PromptIndex.objects.create(embedder=make_embedder().language_model, measurement=measured, **values)

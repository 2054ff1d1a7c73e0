"""Studies and outcomes in which a cheap model answers every second prompt right, and a dear one all of them."""

import csv
from pathlib import Path

from benchmarks.models import Category, Deployment, Measurement, Study
from benchmarks.scoring import apply_score, basis_of
from router.checking import VERSIONS
from router.models import CheckerMeasurement, PromptIndex
from tests.factories import (
    NOW,
    make_deployment,
    make_known,
    make_labels,
    make_machine,
    make_prompts,
    make_responses,
    make_study,
    make_user,
)
from tests.router.standins import make_embedder

WORDS = ("apple", "theorem")  # of what the cheap model knows, and of what it does not


def judged_study(*, count: int = 48, name: str = "") -> Study:
    """Make a study whose answers are all judged and measured; each prompt says which kind it is of."""
    study, person = make_study(name, state=Study.State.FINISHED, finished_at=NOW), make_user()
    cheap, dear = make_deployment("cheap"), make_deployment("dear")
    make_known(
        *(
            (
                f"{WORDS[number % 2]} item{number}",
                "math",
                {cheap: (1.0, "incorrect" if number % 2 else "correct"), dear: (10.0, "correct")},
            )
            for number in range(count)
        ),
        study=study,
        labeler=person,
    )
    return study


def checked_study(*, right: int = 15, wrong: int = 5, unreadable: int = 4, name: str = "") -> Study:
    """Make a study in which a model gives right and wrong numbers, and some answers without any number (wrong)."""
    study, person = make_study(name, state=Study.State.FINISHED, finished_at=NOW), make_user()
    small = Deployment.objects.filter(language_model__name="small").first() or make_deployment("small")
    answers = [("It is 7.", "correct")] * right + [("It is 8.", "incorrect")] * wrong
    answers += [("I do not know.", "incorrect")] * unreadable
    asked = "How many apples are there?"
    prompts = make_prompts(len(answers), text=asked, item_text=asked)
    responses = make_responses(
        ((prompt, small, {"text": text}) for prompt, (text, _) in zip(prompts, answers, strict=True)), study=study
    )
    make_labels(responses, [verdict for _, verdict in answers], labeler=person)
    return study


def trust(
    checker: str,
    deployment: Deployment,
    category: str,
    *,
    accepted: int,
    right: int,
    answers: int = 100,
    **facts: object,
) -> CheckerMeasurement:
    """Store how far a checker can be trusted: of so many answers of a model it accepted some, and these were right."""
    values = {
        "study": make_study(), "version": VERSIONS[checker], "category": Category.objects.get(name=category),
        "answer_count": answers, "unknown_count": 0, "accepted_count": accepted, "right_count": right,
        "accepted_right_count": right, "measured_at": NOW,
    }  # fmt: skip
    return CheckerMeasurement.objects.create(
        checker=checker, language_model=deployment.language_model, **{**values, **facts}
    )


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

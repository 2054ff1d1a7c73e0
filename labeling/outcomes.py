"""Import a table of outcomes: a study of it, and each score as a label of the source `imported`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from benchmarks.datasets.outcome_table import CORRECT_FROM, OutcomeTable
from benchmarks.models import CarbonIntensity, Measurement, Prompt, Response, Study
from benchmarks.outcomes import create_outcome_study, store_answers
from benchmarks.planner import tell_planner
from benchmarks.studying import StudyError
from labeling.models import Label, Verdict


@dataclass(frozen=True)
class ImportedOutcomes:
    """The study that was made of a table, and how many answers and labels it has."""

    study: Study
    answer_count: int
    label_count: int


def import_outcomes(
    *,
    table: OutcomeTable,
    name: str,
    folder_name: str,
    intensity: CarbonIntensity,
    now: datetime,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ImportedOutcomes:
    """Make a finished study of the kind `imported` of a table, in one transaction: all of it or nothing.

    `on_progress` hears how many answers are stored. A score of at least `CORRECT_FROM` is a correct answer, and stays
    exact in its label.

    Raises:
        StudyError: the same outcomes are here already, or the name is taken or no name.
    """
    answer_count = label_count = 0
    try:
        with transaction.atomic():
            made = create_outcome_study(table=table, name=name, folder_name=folder_name, intensity=intensity, now=now)
            for answers in store_answers(made=made, table=table, now=now):
                labels = [
                    Label(
                        response=one.response,
                        verdict=Verdict.CORRECT if one.score >= CORRECT_FROM else Verdict.INCORRECT,
                        score=one.score,
                        source=Label.Source.IMPORTED,
                    )
                    for one in answers
                    if one.score is not None
                ]
                Label.objects.bulk_create(labels)
                answer_count, label_count = answer_count + len(answers), label_count + len(labels)
                on_progress(answer_count)
            tell_planner(Prompt, Response, Measurement, Label)
    except IntegrityError as error:  # two imports at once: the later one finds the study made
        raise StudyError(f"The study cannot be stored: {str(error).splitlines()[0]}") from error
    return ImportedOutcomes(made.study, answer_count, label_count)

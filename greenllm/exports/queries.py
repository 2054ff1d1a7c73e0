"""What the page of exports tells of a study before anything is written."""

from dataclasses import dataclass

from django.db.models import Sum

from benchmarks.models import Response, Study
from benchmarks.models.energy import Quality
from labeling.models import AnswerTally


@dataclass(frozen=True)
class ExportFacts:
    """How many answers would be written, and how their energies came about."""

    answer_count: int
    missing_count: int
    qualities: tuple[str, ...]

    @property
    def is_simulated(self) -> bool:
        """Tell whether any energy is simulated."""
        return Quality.SIMULATED.value in self.qualities


def export_facts(study: Study) -> ExportFacts:
    """Return the facts from what is counted of the answers, in one query."""
    finished = AnswerTally.objects.filter(study_id=study.pk, state=Response.State.FINISHED)
    rows = finished.values_list("quality").annotate(count=Sum("answer_count")).filter(count__gt=0).order_by("quality")
    counted = dict(rows)
    missing_count = counted.pop("", 0) + counted.pop(Quality.MISSING.value, 0)
    return ExportFacts(missing_count + sum(counted.values()), missing_count, tuple(counted))

"""What the page of exports tells of a study before anything is written."""

from dataclasses import dataclass

from django.db.models import Count

from benchmarks.models import Response, Study
from benchmarks.models.energy import Quality


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
    """Return the facts in one query."""
    answers = Response.objects.finished().filter(study=study)
    counted = dict(
        answers.values_list("measurement__quality").annotate(count=Count("pk")).order_by("measurement__quality")
    )
    missing_count = counted.pop(None, 0) + counted.pop(Quality.MISSING.value, 0)
    return ExportFacts(missing_count + sum(counted.values()), missing_count, tuple(counted))

"""What the control workload of a study tells: whether the machine changed while it measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.models import Response, Study, StudyMeasurement
from benchmarks.spread import Drift, Spread, drift_of, spread_of

_SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class ControlRun:
    """One run of the control workload; an energy that is missing is None. `hours` count from the first run."""

    place: int
    started_at: datetime | None
    hours: float
    energy_j: float | None
    time_reserved_s: float | None
    quality: str
    missing_reason: str
    output_token_count: int | None
    is_outlier: bool
    has_other_text: bool


@dataclass(frozen=True, slots=True)
class ControlReport:
    """Every run of a study's control workload and what they say together.

    `drift` and `change` (the last energy over the first, less 1) are None where too few are known, and where the
    energies are of several qualities, which are not compared.
    """

    model: str
    due_count: int
    runs: tuple[ControlRun, ...]
    spread: Spread | None
    drift: Drift | None
    change: float | None

    @property
    def missing_count(self) -> int:
        """Return how many runs have no energy."""
        return sum(run.energy_j is None for run in self.runs)

    @property
    def span_s(self) -> float:
        """Return how long it was from the first to the last run whose energy is known (s)."""
        hours = [run.hours for run in self.runs if run.energy_j is not None]
        return (hours[-1] - hours[0]) * _SECONDS_PER_HOUR if hours else 0.0

    @property
    def qualities(self) -> tuple[str, ...]:
        """Return how the energies came about."""
        return tuple(sorted({run.quality for run in self.runs}))

    @property
    def is_mixed(self) -> bool:
        """Tell whether the known energies are of several qualities."""
        return len({run.quality for run in self.runs if run.energy_j is not None}) > 1

    @property
    def other_text_count(self) -> int:
        """Return how many runs said something else than the first, and so did other work."""
        return sum(run.has_other_text for run in self.runs)

    @property
    def has_drifted(self) -> bool:
        """Tell whether the drift is statistically real: the 95 % interval of its slope leaves out 0."""
        return self.drift is not None and self.drift.is_seen


def control_report(*, study: Study) -> ControlReport | None:
    """Return what the control workload of a study tells so far; None where the study asks for none."""
    if not study.control_every:
        return None
    first = study.targets.select_related("deployment__language_model").order_by("position").first()
    rows = list(
        StudyMeasurement.objects.filter(study=study, place__isnull=False)
        .select_related("measurement")
        .order_by("measurement__started_at", "place")
    )
    known = [index for index, row in enumerate(rows) if row.measurement.energy_j is not None]
    energies = [energy_j for row in rows if (energy_j := row.measurement.energy_j) is not None]
    spread = spread_of(energies)
    outliers = {known[index] for index in spread.outliers} if spread else set()
    runs = _runs(rows, outliers)
    measured = [run for run in runs if run.energy_j is not None]
    is_alike = len({run.quality for run in measured}) == 1
    return ControlReport(
        model=first.deployment.language_model.name if first else "",
        due_count=_due_count(study),
        runs=runs,
        spread=spread,
        drift=drift_of([run.hours for run in measured], energies) if is_alike else None,
        change=energies[-1] / energies[0] - 1 if is_alike and len(energies) > 1 else None,
    )


def _runs(rows: Sequence[StudyMeasurement], outliers: set[int]) -> tuple[ControlRun, ...]:
    started = next((row.measurement.started_at for row in rows if row.measurement.started_at), None)
    first_text = next((row.text for row in rows if row.measurement.time_reserved_s is not None), "")
    return tuple(
        ControlRun(
            place=row.place or 0,
            started_at=row.measurement.started_at,
            hours=_hours(started, row.measurement.started_at),
            energy_j=row.measurement.energy_j,
            time_reserved_s=row.measurement.time_reserved_s,
            quality=row.measurement.quality,
            missing_reason=row.measurement.missing_reason,
            output_token_count=row.output_token_count,
            is_outlier=index in outliers,
            has_other_text=row.measurement.time_reserved_s is not None and row.text != first_text,
        )
        for index, row in enumerate(rows)
    )


def _hours(start: datetime | None, moment: datetime | None) -> float:
    return (moment - start).total_seconds() / _SECONDS_PER_HOUR if start is not None and moment is not None else 0.0


def _due_count(study: Study) -> int:
    """Return how many runs are due by now: one before each response that has been measured or tried, one at the end."""
    total = study.responses.count()
    done = study.responses.exclude(state__in=[Response.State.PENDING, Response.State.CANCELLED])
    latest = done.order_by("-sequence").values_list("sequence", flat=True).first() or 0
    begun = -(-latest // study.control_every)
    return begun + (total > 0 and study.state == Study.State.FINISHED)

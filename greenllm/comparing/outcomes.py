"""What two studies say of the same prompts: values per prompt and model, repeats averaged."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.models import Response, Study
from benchmarks.sci import SciInputs, score
from labeling.verdicts import UNDECIDED, verdicts_of

ENERGY, SCI, DURATION, TOKENS, ACCURACY = "energy", "sci", "duration", "tokens", "accuracy"
VALUES = (ENERGY, SCI, DURATION, TOKENS)
Key = tuple[int, int]  # prompt, language model
_FIELDS = (
    "pk", "prompt_id", "deployment__language_model_id", "deployment__language_model__name", "output_token_count",
    "measurement__energy_j", "measurement__quality", "measurement__boundary", "measurement__time_reserved_s",
    "measurement__carbon_intensity_gco2e_per_kwh", "measurement__total_embodied_emissions_gco2e",
    "measurement__expected_lifespan_s", "measurement__resource_share", "measurement__sci_gco2e",
)  # fmt: skip


@dataclass
class StudyOutcomes:
    """One study's answers: per prompt and model the mean of each value, and what the figures rest on."""

    study: Study
    names: dict[int, str] = field(default_factory=dict)
    values: dict[str, dict[Key, float]] = field(default_factory=dict)
    verdicts: dict[Key, bool] = field(default_factory=dict)
    qualities: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    boundaries: set[str] = field(default_factory=set)
    intensities: set[float] = field(default_factory=set)
    answer_count: int = 0
    missing_count: int = 0

    def quality_of(self, models: Iterable[int]) -> str:
        """Return the one quality of these models' energies; several are named together, none is `missing`."""
        found = set().union(*(self.qualities.get(model, set()) for model in models))
        return " and ".join(sorted(found)) or "missing"


def outcomes_of(*, study: Study, intensity: float | None) -> StudyOutcomes:
    """Return what the finished answers of a study say; SCI is made anew at a carbon intensity (gCO2e/kWh), if given.

    An answer whose score cannot be made at that intensity has none. A prompt's verdict is the majority's of its
    repeats; a tie decides nothing.
    """
    found = StudyOutcomes(study)
    sums: dict[str, dict[Key, list[float]]] = {name: defaultdict(list) for name in VALUES}
    votes: dict[Key, int] = defaultdict(int)
    rows = list(Response.objects.finished().filter(study=study).order_by("pk").values_list(*_FIELDS))
    verdicts = verdicts_of(row[0] for row in rows)
    for pk, prompt, model, name, tokens, energy, quality, boundary, seconds, *basis in rows:
        key = (prompt, model)
        found.names[model] = name
        found.answer_count += 1
        found.missing_count += energy is None
        if energy is not None:
            found.qualities[model].add(quality)
            found.boundaries.add(boundary)
        if basis[0] is not None:
            found.intensities.add(basis[0])
        sci = _sci(energy, seconds, basis, intensity)
        for measure, value in ((ENERGY, energy), (SCI, sci), (DURATION, seconds), (TOKENS, tokens)):
            if value is not None:
                sums[measure][key].append(float(value))
        is_correct = verdicts.get(pk, UNDECIDED).is_correct
        if is_correct is not None:
            votes[key] += 1 if is_correct else -1
    found.values = {
        name: {key: sum(values) / len(values) for key, values in of_measure.items()}
        for name, of_measure in sums.items()
    }
    found.verdicts = {key: balance > 0 for key, balance in votes.items() if balance != 0}
    return found


def _sci(
    energy: float | None, seconds: float | None, basis: Sequence[float | None], intensity: float | None
) -> float | None:
    own_intensity, embodied, lifespan, share, stored = basis
    if intensity is None or own_intensity == intensity:
        return stored
    if energy is None or seconds is None or embodied is None or lifespan is None or share is None:
        return None
    return score(SciInputs(energy, seconds, intensity, embodied, lifespan, share)).sci_gco2e

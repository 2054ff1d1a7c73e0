"""A study with everything that an export has to get right."""

from datetime import timedelta

from benchmarks.models import ChannelReading, Measurement, Response, Study, StudyDeployment
from tests import factories as make

ENERGIES_J = {"tiny": (10.1, 20.7, None), "=HYPERLINK(1)": (33.3, 0.004, 7.77)}  # one is missing, one name a formula


def make_mixed_study(name: str = "mixed", *, quality: str = "measured", answer_count: int = 1) -> Study:
    """Make a finished study of two models and three prompts, judged by two people whose names must not leave."""
    study = make.make_study(
        name,
        state="finished",
        title='Mixed: "quotes"\nand lines 🌱',
        machine_snapshot={
            "zone": "DE", "cpu_model": "EPYC", "cpu_count": 2, "memory_bytes": 32 * 1024**3, "resource_share": 1.0,
        },
    )  # fmt: skip
    grace, henry = make.make_user("grace"), make.make_user("henry")
    prompts = [make.make_prompt(category=category) for category in ("math", "code", "math")]
    for position, (model, energies_j) in enumerate(ENERGIES_J.items(), start=1):
        deployment = make.make_deployment(model)
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
        for prompt, energy_j in zip(prompts, energies_j, strict=True):
            response = make.make_response(
                prompt, deployment, study=study, energy_j=energy_j, quality=quality, text="Grüße,\n\"42\"",
                sequence=study.responses.count() + 1, prompt_token_count=10, output_token_count=5,
            )  # fmt: skip
            _measure(response, energy_j, answer_count)
            make.make_label(response, "correct", labeler=grace, comment="Grace says so.")
            make.make_label(response, "incorrect" if energy_j == 7.77 else "correct", labeler=henry)
    return study


def energies_of(study: Study) -> list[float]:
    """Return every energy of a study that is known, as the database has it."""
    known = Measurement.objects.filter(response__study=study, energy_j__isnull=False)
    return list(known.order_by("response__sequence").values_list("energy_j", flat=True))


def _measure(response: Response, energy_j: float | None, answer_count: int) -> None:
    measurement = response.measurement
    assert measurement is not None
    measurement.answer_count = answer_count
    measurement.boundary = "the processor"
    measurement.started_at = make.NOW - timedelta(seconds=1)
    measurement.save()
    for channel, share in (("cpu-package-0", 0.75), ("cpu-package-0-dram", 0.25)):
        ChannelReading.objects.create(
            measurement=measurement, channel=channel, meter="rapl", is_in_boundary=True,
            energy_j=None if energy_j is None else energy_j * share * answer_count,
            quality="missing" if energy_j is None else measurement.quality,
            missing_reason="" if energy_j is not None else "a gap", sample_count=12, coverage=1.0,
        )  # fmt: skip

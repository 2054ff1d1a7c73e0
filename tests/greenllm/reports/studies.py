"""A study with known numbers for the report's tests."""

from benchmarks.models import Deployment, Study, StudyDeployment
from tests import factories as make

# by category, model: energies of the answers (J; None: missing) with whether they were right (None: not judged)
KNOWN: dict[tuple[str, str], list[tuple[float | None, bool | None]]] = {
    ("math", "small"): [(10.0, True), (12.0, True), (14.0, False), (None, True)],
    ("math", "large"): [(90.0, True), (110.0, True), (100.0, True), (100.0, None)],
    ("code", "small"): [(20.0, False), (20.0, False)],
    ("code", "large"): [(200.0, True), (240.0, True)],
}


def make_known_study(name: str = "known", *, times: int = 1, validation: bool = True) -> Study:
    """Make a study of `KNOWN`, each answer so many times, and two validation prompts."""
    study = make.make_study(name, state="finished", started_at=make.NOW)
    server = make.make_server()
    deployments = {
        model: Deployment.objects.filter(language_model__name=model).first()
        or make.make_deployment(model, server=server)
        for model in ("small", "large")
    }
    for position, deployment in enumerate(deployments.values()):
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
    for (category, model), answers in KNOWN.items():
        judged = [
            (energy_j, "" if is_right is None else "correct" if is_right else "incorrect")
            for energy_j, is_right in answers * times
        ]
        make.make_responses(
            (
                (prompt, deployments[model], {"energy_j": energy_j, "verdict": verdict, "output_token_count": 50})
                for prompt, (energy_j, verdict) in zip(
                    make.make_prompts(len(judged), category=category), judged, strict=True
                )
            ),
            study=study,
        )
    for number in range(2 if validation else 0):
        prompt = make.make_prompt(category="math", role="validation")
        for model, deployment in deployments.items():
            is_right = model == "large" or number == 0
            make.make_response(
                prompt, deployment, study=study, energy_j=30.0, verdict="correct" if is_right else "incorrect"
            )
    return study

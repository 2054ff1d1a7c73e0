"""Fit how the energy of answers grows with their lengths."""

from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.energy_fit import TooFewAnswers
from benchmarks.federating import find_deployment
from benchmarks.fitting import fit_energy
from benchmarks.management.telling import TellingCommand
from benchmarks.models import Deployment, EnergyFit


class Command(TellingCommand):
    help = "Fit each model's energy against prompt and output tokens, from the answers that studies measured."
    told: ClassVar[tuple[type[Exception], ...]] = (TooFewAnswers,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deployment", help="Name of the model, for example smollm2:135m; all where absent.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["deployment"]:
            fit = fit_energy(deployment=find_deployment(name=options["deployment"]), now=timezone.now())
            self.stdout.write(told_fit(fit))
            return
        for deployment in Deployment.objects.of_models().chat().serving().distinct().order_by("pk"):
            try:
                self.stdout.write(told_fit(fit_energy(deployment=deployment, now=timezone.now())))
            except TooFewAnswers as error:
                self.stdout.write(f"{deployment}: not fitted. {error}")


def told_fit(fit: EnergyFit) -> str:
    """Return a fit in two sentences."""
    parts = [f"{fit.fixed_j:.3g} J"]
    for coefficient, words in ((fit.j_per_prompt_token, "prompt"), (fit.j_per_output_token, "output")):
        parts.append(f"{words} length unknown" if coefficient is None else f"{coefficient:.3g} J per {words} token")
    r_squared = "" if fit.r_squared is None else f", R² {fit.r_squared:.2f}"
    return (
        f"{fit.deployment}: {' + '.join(parts)} (n = {fit.answer_count}, {fit.quality}). "
        f"Median absolute error {fit.median_absolute_error_j:.3g} J of {fit.mean_energy_j:.3g} J{r_squared}; "
        f"prompts of {fit.prompt_tokens_least} to {fit.prompt_tokens_most} tokens, "
        f"answers of {fit.output_tokens_least} to {fit.output_tokens_most}."
    )

"""Choose a price, a floor or a tolerance on prompts that are reported nowhere, and put it into force; or go back."""

from argparse import SUPPRESS
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.management.telling import study_named
from benchmarks.models import Study
from router.assessing import NothingJudged, outcomes_of_study
from router.cascading import rates_by_name
from router.estimate import UnusableOutcomes
from router.management.progress import stages
from router.management.telling import RouterCommand
from router.models import Evaluation
from router.own_energy import own_cost_per_prompt
from router.policy_versions import NothingToRestore, put_into_force, roll_back
from router.remembered import RememberedEmbedder
from router.reporting import ESTIMATORS, TUNABLE, NothingToTune, Proposal, TuningPlan, UnusablePlan, propose, title_of
from router.wiring import embedder


class Command(RouterCommand):
    help = "Tune a policy on the judged and measured answers of a study, and put it into force; or go back to a former."
    told = (*RouterCommand.told, NothingJudged, UnusableOutcomes, UnusablePlan, NothingToTune, NothingToRestore)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", help="Whose answers; the latest measured study that has finished if not given.")
        parser.add_argument("--policy", default="knn", choices=list(TUNABLE))
        parser.add_argument(
            "--estimates", default=ESTIMATORS[0], choices=ESTIMATORS, help="Of knn and floor (regression)."
        )
        parser.add_argument("--loss", type=float, default=1.0, help="Points of accuracy that it may cost (1).")
        parser.add_argument("--seed", type=int, default=0, help="Of the split (0).")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be put into force.")
        parser.add_argument(
            "--rollback", nargs="?", type=int, const=0, default=SUPPRESS, metavar="VERSION",
            help="Make a former version the latest again: the one before the latest, or this one.",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if "rollback" in options:
            made = roll_back(version_id=options["rollback"] or None, made_by_id=None)
            self.stdout.write(f"In force: {made}. {made.note}.")
            return
        plan = TuningPlan(
            policy=options["policy"], loss=options["loss"], seed=options["seed"], estimator=options["estimates"]
        )
        study = study_named(options["study"]) if options["study"] else _latest_study()
        begun_at, outcomes = timezone.now(), outcomes_of_study(study, embedded_text=settings.EMBEDDED_TEXT)
        asked = embedder()
        with stages() as tell:
            found = propose(
                outcomes,
                plan=plan,
                embedder=RememberedEmbedder(asked, folder=settings.VAR_DIR / "index"),
                own_cost=lambda unit: own_cost_per_prompt(embedder=asked.language_model, unit=unit),
                tell=tell,
                rates_of=rates_by_name,
            )
        self._show(found, study)
        if options["dry_run"]:
            self.stdout.write("Nothing was put into force (--dry-run).")
            return
        kept = Evaluation.objects.create(
            kind=Evaluation.Kind.TUNING, study=study, outcomes=study.name, created_at=begun_at, started_at=begun_at,
            plan={"policy": plan.policy, "loss": plan.loss, "seed": plan.seed, "estimator": plan.estimator},
        )  # fmt: skip
        kept.finish(found.as_json(), timezone.now())
        made = put_into_force(evaluation_id=kept.pk, made_by_id=None)
        self.stdout.write(
            f"In force: {made}; /routing/evaluations/{kept.pk}/ shows how it was tuned, and manage.py tune_router "
            f"--rollback goes back."
        )

    def _show(self, found: Proposal, study: Study) -> None:
        tuned, report, plan = found.tuned, found.report, found.plan
        row = report.row(title_of(plan.policy))
        train, calibration, test = (f"{100 * share:g}" for share in report.shares)
        self.stdout.write(
            f"{study}: {report.prompt_count} prompts ({report.text_count} different), split by text from seed "
            f"{plan.seed}: {train} % and {calibration} % to choose on, {test} % held out."
        )
        self.stdout.write(
            f"{plan.policy}, {found.parameter} = {found.value:.6g}: on the {tuned.prompt_count} prompts that it was "
            f"chosen on, accuracy {100 * tuned.accuracy_change:+.2f} points and SCI {-100 * tuned.saving:+.1f} % "
            f"against the best single model ({', '.join(report.fallbacks)})."
        )
        change, saving = row.accuracy_change, row.saving
        self.stdout.write(
            f"On the held-out prompts: accuracy {100 * change.value:+.2f} points [{100 * change.low:+.1f}, "
            f"{100 * change.high:+.1f}], saving {100 * saving.value:.1f} % [{100 * saving.low:.1f}, "
            f"{100 * saving.high:.1f}] (95 % intervals over prompts)."
        )
        if change.high < -plan.loss / 100:
            self.stdout.write(
                self.style.WARNING("The held-out prompts lose more than was allowed: look twice before you use it.")
            )
        for how in report.reckoned.values():
            self.stdout.write(how)
        own = report.own_cost
        if own.value is None:
            self.stdout.write(f"The router's own energy is missing, and not in it. {own.source}")
        else:
            self.stdout.write(f"With the router's own {own.value:.4g} {report.unit} per prompt ({own.quality}).")


def _latest_study() -> Study:
    found = (
        Study.objects.filter(kind=Study.Kind.MEASURED, state=Study.State.FINISHED)
        .order_by("-finished_at", "-pk")
        .first()
    )
    if found is None:
        raise CommandError("There is no finished measured study to tune on; name one with --study.")
    return found

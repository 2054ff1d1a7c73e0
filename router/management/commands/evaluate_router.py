"""Evaluate routing policies on a study or on outcomes of others, against every control, over seeded splits."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.datasets.outcome_table import OutcomeTable
from benchmarks.datasets.outcomes import OutcomeFileError, read_outcomes
from benchmarks.intervals import Interval
from benchmarks.management.telling import study_named
from benchmarks.models import Study
from router.assessing import NothingJudged, outcomes_of_study
from router.cascading import rates_by_name
from router.estimate import UnusableOutcomes
from router.evaluation.report import Report
from router.management.progress import stages
from router.management.telling import RouterCommand
from router.models import Evaluation
from router.own_energy import own_cost_per_prompt
from router.remembered import RememberedEmbedder
from router.reporting import POLICIES, USUAL_POLICIES, WRONG_ALIKE, Plan, UnusablePlan, draw_up
from router.wiring import embedder


class Command(RouterCommand):
    help = "Evaluate routing policies on held-out prompts, beside every control, with paired bootstrap intervals."
    told = (*RouterCommand.told, OutcomeFileError, NothingJudged, UnusableOutcomes)

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--study", help="The judged and measured answers of this study.")
        source.add_argument("--outcomes", type=Path, metavar="DIR", help="A folder with prompts.csv and outcomes.csv.")
        parser.add_argument("--policy", nargs="+", choices=POLICIES, default=USUAL_POLICIES)
        parser.add_argument("--splits", type=int, default=20, help="How many seeded splits by prompt text (20).")
        parser.add_argument("--seed", type=int, default=0, help="Of the first split (0).")
        parser.add_argument("--points", type=float, default=1.0, help="Points of accuracy that a price may cost (1).")
        parser.add_argument("--floor", type=float, default=0.6, help="Probability for the policy floor (0.6).")
        parser.add_argument(
            "--wrong-alike", type=float, default=WRONG_ALIKE,
            help=f"For cascade without measured checkers: share of wrong answers that are the same ({WRONG_ALIKE}).",
        )  # fmt: skip
        parser.add_argument("--written", action="store_true", help="With typos and other framings as well.")
        parser.add_argument("--keep", action="store_true", help="Keep the report, for the page /routing/.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write the whole report there.")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = _plan(options)
        study = None if options["study"] is None else study_named(options["study"])
        begun_at, outcomes = timezone.now(), self._outcomes(study, options["outcomes"])
        for notice in outcomes.notices:
            self.stdout.write(self.style.NOTICE(notice))
        asked = embedder()
        with stages() as tell:
            found = draw_up(
                outcomes,
                plan=plan,
                embedder=RememberedEmbedder(asked, folder=settings.VAR_DIR / "index"),
                own_cost=lambda unit: own_cost_per_prompt(embedder=asked.language_model, unit=unit),
                tell=tell,
                rates_of=None if study is None else rates_by_name,
            )
        self._show(found)
        if options["json"]:
            options["json"].write_text(json.dumps(found.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
            self.stdout.write(f"The whole report is in {options['json']}.")
        if options["keep"]:
            name = study.name if study else options["outcomes"].resolve().name
            kept = Evaluation(study=study, outcomes=name[:200], plan=plan.as_json(), created_at=begun_at)
            kept.started_at = begun_at
            kept.save()
            kept.finish(found.as_json(), timezone.now())
            self.stdout.write(f"It is kept as evaluation {kept.pk}: /routing/evaluations/{kept.pk}/.")

    def _outcomes(self, study: Study | None, folder: Path) -> OutcomeTable:
        if study is None:
            return read_outcomes(folder)
        return outcomes_of_study(study, embedded_text=settings.EMBEDDED_TEXT)

    def _show(self, found: Report) -> None:
        train, calibration, test = (f"{100 * share:g}" for share in found.shares)
        self.stdout.write(
            f"{found.prompt_count} prompts ({found.text_count} different), {found.category_count} categories; "
            f"{found.split_count} splits from seed {found.seed}: {train} % to learn from, {calibration} % more to tune "
            f"on, {test} % reported. Cost in {found.unit} per prompt; changes and savings against the best single "
            f"model, 95 % intervals over prompts in brackets."
        )
        self.stdout.write(f"{'':36} {'accuracy':>8} {'cost':>10}  {'change, points':24} {'saving, %':22} {'worst':>6}")
        for row in found.rows:
            if row.dial_of:
                continue  # for the picture
            mixture = "" if row.mixture is None else f"  (mix of two at that cost: {row.mixture:.3f})"
            change, saving = _percent(row.accuracy_change, signed=True), _percent(row.saving)
            self.stdout.write(
                f"{row.title:36} {row.accuracy.value:8.3f} {row.cost.value:10.4g}  {change:24} {saving:22} "
                f"{100 * row.worst_change:+6.1f}{mixture}"
            )
        for title, calibration_found in found.calibration.items():
            self.stdout.write(f"{title}: expected calibration error {calibration_found['expected_error']:.3f}")
        for one in found.steadiness:
            self.stdout.write(
                f"{one['policy']}, {one['written']}: {100 * one['unchanged']:.0f} % of {one['n']} choices unchanged, "
                f"accuracy {100 * one['accuracy_change']:+.2f} points, cost {100 * one['cost_change']:+.1f} %"
            )
        for title, how in found.reckoned.items():
            self.stdout.write(f"{title}: {how}")
        own = found.own_cost
        if own.value is None:
            self.stdout.write(f"The router's own energy is missing, and in no row. {own.source}")
        else:
            self.stdout.write(
                f"The router's own {own.value:.4g} {found.unit} per prompt ({own.quality}, n = {own.n} prompts) are in "
                f"the cost of every row that embeds a prompt. {own.source}"
            )


def _plan(options: dict[str, Any]) -> Plan:
    try:
        return Plan(
            policies=tuple(options["policy"]), split_count=options["splits"], seed=options["seed"],
            points=options["points"], floor=options["floor"], is_written=options["written"],
            wrong_alike=options["wrong_alike"],
        )  # fmt: skip
    except UnusablePlan as error:
        raise CommandError(f"--{error}") from error


def _percent(found: Interval, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * found.value:{sign}.2f} [{100 * found.low:{sign}.1f}, {100 * found.high:{sign}.1f}]"

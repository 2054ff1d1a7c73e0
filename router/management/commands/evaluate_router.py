"""Evaluate routing policies on a study or on outcomes of others, against every control, over seeded splits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from benchmarks.datasets.outcome_table import OutcomeTable
from benchmarks.datasets.outcomes import OutcomeFileError, read_outcomes
from benchmarks.intervals import Interval
from benchmarks.management.telling import study_named
from router.assessing import NothingJudged, outcomes_of_study, table_of, written_otherwise
from router.estimate import UnusableOutcomes
from router.evaluation.report import Report, report
from router.evaluation.running import Approach, run, usual_approaches
from router.evaluation.table import MOST_SPLITS, require_splittable
from router.management.telling import RouterCommand
from router.policies import Floor
from router.remembered import RememberedEmbedder
from router.wiring import embedder

_POLICIES = ("nearest", "category", "guarded", "knn", "floor")


class Command(RouterCommand):
    help = "Evaluate routing policies on held-out prompts, beside every control, with paired bootstrap intervals."
    told = (*RouterCommand.told, OutcomeFileError, NothingJudged, UnusableOutcomes)

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--study", help="The judged and measured answers of this study.")
        source.add_argument("--outcomes", type=Path, metavar="DIR", help="A folder with prompts.csv and outcomes.csv.")
        parser.add_argument("--policy", nargs="+", choices=_POLICIES, default=_POLICIES[:-1])
        parser.add_argument("--splits", type=int, default=20, help="How many seeded splits by prompt text (20).")
        parser.add_argument("--seed", type=int, default=0, help="Of the first split (0).")
        parser.add_argument("--points", type=float, default=1.0, help="Points of accuracy that a price may cost (1).")
        parser.add_argument("--floor", type=float, default=0.6, help="Probability for the policy floor (0.6).")
        parser.add_argument("--written", action="store_true", help="With typos and other framings as well.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write the whole report there.")

    def handle(self, *args: Any, **options: Any) -> None:
        _require("splits", options["splits"], 1, MOST_SPLITS)
        _require("points", options["points"], 0, 100)
        _require("floor", options["floor"], 0, 1)
        outcomes = self._outcomes(options)
        require_splittable(outcomes.texts)
        for notice in outcomes.notices:
            self.stdout.write(self.style.NOTICE(notice))
        asked = RememberedEmbedder(embedder(), folder=settings.VAR_DIR / "index")
        with Progress(console=Console(stderr=True), transient=True) as bars:
            table = table_of(outcomes, embedder=asked, on_progress=_bar(bars, "embedding", len(outcomes.texts)))
            written = None
            if options["written"]:
                told = _bar(bars, "embedding what is written otherwise", len(outcomes.texts))
                written = written_otherwise(table, embedder=asked, seed=options["seed"], on_progress=told)
            found = report(
                run(
                    table,
                    approaches=_approaches(options),
                    split_count=options["splits"],
                    seed=options["seed"],
                    written=written,
                    on_progress=_bar(bars, "evaluating", options["splits"]),
                )
            )
        self._show(found)
        if options["json"]:
            options["json"].write_text(json.dumps(found.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
            self.stdout.write(f"The whole report is in {options['json']}.")

    def _outcomes(self, options: dict[str, Any]) -> OutcomeTable:
        if options["outcomes"] is not None:
            return read_outcomes(options["outcomes"])
        return outcomes_of_study(study_named(options["study"]), embedded_text=settings.EMBEDDED_TEXT)

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
        self.stdout.write("The router's own energy (embedding and search) was not measured here and is in no row.")


def _approaches(options: dict[str, Any]) -> list[Approach]:
    usual = usual_approaches(target=-options["points"] / 100)
    chosen = [approach for approach in usual if approach.policy.name in options["policy"]]
    if "floor" in options["policy"]:
        chosen.append(Approach(f"floor {options['floor']:g}", Floor(accuracy=options["floor"]), is_regression=True))
    return chosen


def _percent(found: Interval, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * found.value:{sign}.2f} [{100 * found.low:{sign}.1f}, {100 * found.high:{sign}.1f}]"


def _bar(bars: Progress, title: str, total: int) -> Callable[[int], None]:
    task = bars.add_task(title, total=total)
    return lambda done: bars.update(task, completed=done)


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise CommandError(f"--{name}: {value:g} is not between {low:g} and {high:g}.")

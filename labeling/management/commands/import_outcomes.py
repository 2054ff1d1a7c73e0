"""Make a study of outcomes from elsewhere."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from django.core.management.base import CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from benchmarks.datasets.outcome_table import OutcomeTable, UnknownModels
from benchmarks.datasets.outcomes import OutcomeFileError, read_outcomes
from benchmarks.intensities import NoIntensity, average_of
from benchmarks.management.telling import TellingCommand
from benchmarks.outcomes import require_new_outcomes
from labeling.outcomes import import_outcomes


class Command(TellingCommand):
    help = (
        "Make a study of DIR/prompts.csv (prompt_id, category, prompt) and DIR/outcomes.csv (prompt_id, model, score, "
        "energy_j or sci_gco2e): all of it, or nothing."
    )
    told: ClassVar[tuple[type[Exception], ...]] = (OutcomeFileError, UnknownModels, NoIntensity)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--name", help="Name of the study; the folder's where absent.")
        parser.add_argument("--models", metavar="A,B", help="Only these models.")
        parser.add_argument("--zone", default="DE", help="Energy is scored at the intensity of this zone (DE).")
        parser.add_argument("--dry-run", action="store_true", help="Only read and tell.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        table = read_outcomes(folder)
        if options["models"] is not None:
            table = table.of_models([name.strip() for name in options["models"].split(",") if name.strip()])
        name = options["name"] or folder.resolve().name
        intensity = average_of(zone=options["zone"])
        require_new_outcomes(table=table, name=name)
        self._tell(table)
        if options["dry_run"]:
            self.stdout.write(f"Nothing was imported; without --dry-run this becomes the study {name}.")
            return
        with Progress(console=Console(stderr=True), transient=True, disable=not self.stderr.isatty()) as bar:
            task = bar.add_task("importing", total=table.scores.size)
            imported = import_outcomes(
                table=table,
                name=name,
                folder_name=folder.resolve().name,
                intensity=intensity,
                now=timezone.now(),
                on_progress=lambda done: bar.update(task, completed=done),
            )
        self.stdout.write(
            f"Study {imported.study}: {imported.answer_count:,} answers, {imported.label_count:,} labels, "
            f"at {intensity.gco2e_per_kwh:g} gCO2e/kWh ({intensity.origin})."
        )

    def _tell(self, table: OutcomeTable) -> None:
        self.stdout.write(
            f"{len(table.prompt_ids):,} prompts, {len(table.category_names)} categories, {len(table.models)} models; "
            f"cost: {table.cost_kind}."
        )
        for name, scores, costs in zip(table.models, table.scores.T, table.costs.T, strict=True):
            known = costs[~np.isnan(costs)]
            cost = f"mean {table.cost_kind} {known.mean():.4g} (n = {len(known):,})" if len(known) else "cost missing"
            score = scores[~np.isnan(scores)]
            self.stdout.write(f"  {name}: mean score {score.mean():.3f} (n = {len(score):,}), {cost}")
        for notice in table.notices:
            self.stdout.write(f"Note: {notice}")

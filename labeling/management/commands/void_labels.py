"""Void the labels of an annotator or of a guideline's version; their answers wait to be judged again."""

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.models import Category
from labeling.correcting import CorrectionRefused, Effect, Scope, foresee, undo_correction, void_labels
from labeling.models import Guideline


class Command(TellingCommand):
    help = (
        "Void the labels of an annotator, of a version of a guideline, or of both together, with a reason; their "
        "answers wait again at once. Nothing is deleted: --undo N lets the labels of correction N count again."
    )
    told = (CorrectionRefused,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--annotator", help="Whose labels: a user name.")
        parser.add_argument("--guideline", type=int, metavar="N", help="Given by this version of a guideline.")
        parser.add_argument("--study", help="Only labels in this study.")
        parser.add_argument("--category", help="Only labels in this category; tells which guideline has version N.")
        parser.add_argument(
            "--since", type=_moment, metavar="MOMENT", help="Only labels given from then on (ISO 8601; UTC)."
        )
        parser.add_argument("--until", type=_moment, metavar="MOMENT", help="Only labels given before then.")
        parser.add_argument("--reason", default="", help="Why; whoever judged reads it beside each of these labels.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what it would do.")
        parser.add_argument("--undo", type=int, metavar="N", help="Undo correction N instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["undo"] is not None:
            done = undo_correction(correction_id=options["undo"], person_id=None, now=timezone.now())
            self.stdout.write(f"{done.restored_count} labels count again.")
            if done.left_count:
                self.stdout.write(
                    f"{done.left_count} stay out: their judges have judged these answers anew meanwhile "
                    f"(/label/corrections/{options['undo']}/ lists them)."
                )
            return
        scope = _scope(options)
        self._tell(foresee(scope=scope))
        if options["dry_run"]:
            self.stdout.write("Nothing was changed (--dry-run).")
            return
        correction = void_labels(scope=scope, reason=options["reason"], person_id=None, now=timezone.now())
        self.stdout.write(
            f"Correction {correction.pk}: {correction.label_count} labels are void. "
            f"manage.py void_labels --undo {correction.pk} lets them count again."
        )

    def _tell(self, effect: Effect) -> None:
        self.stdout.write(
            f"{effect.label_count} labels of {effect.judge_count} people on {effect.answer_count} answers. Verdicts: "
            f"{effect.lost_count} lost, {effect.turned_count} turned, {effect.gained_count} gained, "
            f"{effect.handed_count} left to imported labels or graders, {effect.kept_count} as they are."
        )


def _scope(options: dict[str, Any]) -> Scope:
    annotator_id, category, guideline = None, None, None
    if options["annotator"]:
        found = get_user_model()._default_manager.filter(username=options["annotator"]).values_list("pk", flat=True)
        annotator_id = found.first()
        if annotator_id is None:
            raise CommandError(f"--annotator: there is nobody named {options['annotator']!r}.")
    if options["category"]:
        category = Category.objects.filter(name=options["category"]).first()
        if category is None:
            known = ", ".join(Category.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(f"--category: there is no {options['category']!r}. There are: {known or 'none yet'}.")
    if options["guideline"] is not None:
        guideline = _guideline(options["guideline"], category)
    study = study_named(options["study"]) if options["study"] else None
    return Scope(annotator_id, guideline, study, category, options["since"], options["until"])


def _guideline(version: int, category: Category | None) -> Guideline:
    """Return the one guideline of this version: of the category, or else for every category.

    Raises:
        CommandError: there is none, or several and no category says which.
    """
    found = Guideline.objects.filter(version=version).select_related("category").order_by("category__name")
    if category is not None:
        found = found.filter(category=category) or found.filter(category__isnull=True)
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"--guideline: there is no version {version}" + (f" for {category}." if category else "."))
    named = ", ".join(str(one.category or "every category") for one in found)
    raise CommandError(f"--guideline: version {version} exists for {named}. Say which by --category.")


def _moment(text: str) -> datetime:
    moment = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00")
    if moment is None:
        raise ValueError(text)
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)

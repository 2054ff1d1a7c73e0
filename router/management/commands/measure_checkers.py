"""Measure how far checkers can be trusted, on the judged answers of a study."""

from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.federating import find_deployment
from benchmarks.inference.base import ChatMessage, Generation, GenerationRequest
from benchmarks.intervals import Interval
from benchmarks.management.telling import study_named
from router.cascade import LEAST_ACCEPTED
from router.checker_figures import CheckerFigure, Judge, NothingToMeasureOn, checker_figures, measure_checkers
from router.checking import JUDGE, JUDGING, VERSIONS
from router.management.progress import stages
from router.management.telling import RouterCommand
from router.wiring import checkers, connect_server


class Command(RouterCommand):
    help = (
        "Run checkers over the judged answers of a study and keep how often each accepts an answer, and how often "
        "rightly, for each model and category. The policy cascade goes by it."
    )
    told = (*RouterCommand.told, NothingToMeasureOn)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Whose judged answers count.")
        parser.add_argument(
            "--checker",
            nargs="+",
            choices=sorted(VERSIONS),
            help=f"Which ones; all if absent, {JUDGE} where there is a judge.",
        )
        parser.add_argument(
            "--judge", metavar="MODEL", help="Ask this model of the federation whether each answer of another is right."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study, every, judge = study_named(options["study"]), checkers(), _judge(options["judge"])
        names = options["checker"] or [name for name in sorted(VERSIONS) if name != JUDGE or judge is not None]
        if (JUDGE in names) != (judge is not None):
            raise CommandError(f"--checker {JUDGE} and --judge MODEL go together.")
        silent: list[tuple[str, str]] = []
        with stages() as tell:
            stored = measure_checkers(
                study=study,
                checkers=[every[name] for name in names],
                now=timezone.now(),
                judge=judge,
                on_progress=partial(tell, "Checking answers"),
                on_silent=lambda name, reason: silent.append((name, reason)),
            )
        for name, reason in silent:
            self.stdout.write(f"{name} can say nothing of the answers of {study.name}. {reason}")
        if not stored:
            self.stdout.write(f"None of these checkers can say anything of the answers of {study.name}.")
        self._show(checker_figures())

    def _show(self, figures: list[CheckerFigure]) -> None:
        if not figures:
            return
        self.stdout.write(
            "Over all studies measured so far; shares in % with 95 % intervals. Precision: accepted answers that are "
            "right. Recall: right answers that are accepted."
        )
        self.stdout.write(
            f"{'checker':14} {'category':14} {'model':30} {'answers':>7} {'accepted':>8}  {'precision':18} "
            f"{'recall':18}"
        )
        for one in figures:
            beside = "judged by" if one.is_judged else "with"
            model = f"{one.model} {beside} {one.second_model}" if one.second_model else one.model
            note = "" if one.is_usable else f"  not used: fewer than {LEAST_ACCEPTED} accepted"
            self.stdout.write(
                f"{one.checker:14} {one.category[:14]:14} {model[:30]:30} {one.answer_count:7} {one.accepted_count:8}  "
                f"{_share(one.precision):18} {_share(one.recall):18}{note}".rstrip()
            )


def _judge(name: str | None) -> Judge | None:
    if name is None:
        return None
    deployment = find_deployment(name=name)
    client = connect_server(deployment.server)

    def ask(question: str) -> str:
        request = GenerationRequest(deployment.language_model.name, (ChatMessage("user", question),), JUDGING)
        return "".join(piece.text for piece in client.stream(request) if isinstance(piece, Generation))

    return Judge(deployment.language_model_id, ask)


def _share(found: Interval | None) -> str:
    if found is None:
        return "none"
    return f"{100 * found.value:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"

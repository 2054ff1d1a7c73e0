"""Have every model and the router answer the validation prompts on one machine, and compare them by their joules."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from benchmarks.federating import Timeouts
from benchmarks.launching import ask_versions, launch
from benchmarks.management.router_target import add_router_arguments, router_of
from benchmarks.management.telling import study_named
from benchmarks.management.watching import watch_study
from benchmarks.models import Study
from benchmarks.queueing import enqueue_study
from benchmarks.studying import progress_of
from greenllm.comparison_table import comparison_lines
from router.evaluating import compare
from router.indexing import current_index
from router.management.telling import RouterCommand
from router.validating import router_study, validation_study
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = (
        "Measure the validation prompts of a study through every model and through the router, on the study's machine, "
        "and print both. What is measured already stays; after a break the same command goes on. A worker (manage.py "
        "work, or manage.py up) does the measuring."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study of the models.")
        parser.add_argument(
            "--limit", type=int, help="At most so many validation prompts of each category, where none were asked yet."
        )
        add_router_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["limit"] or 1) < 1:
            raise CommandError("--limit must be 1 or more.")
        study = study_named(options["study"])
        current_index()  # without one the router refuses every prompt
        timeouts = Timeouts(settings.CONNECT_TIMEOUT_S, settings.FIRST_TOKEN_TIMEOUT_S, settings.GENERATION_TIMEOUT_S)
        servers = {deployment.server for deployment in study.deployments.select_related("server")}
        of_models = validation_study(
            study=study, limit=options["limit"], versions=ask_versions(servers=servers, timeouts=timeouts)
        )
        self._measure(of_models)
        machine = of_models.machine
        if machine is None:
            raise CommandError(f"The study {of_models} has no machine.")
        router = router_of(options, machine, timeouts)
        versions = ask_versions(servers={router.server}, timeouts=timeouts)
        self._measure(router_study(base=of_models, router=router, versions=versions))
        compared = compare(study=of_models, embedder=embedder(), store=vector_store(), clock=timezone.now)
        for line in comparison_lines(compared):
            self.stdout.write(line)

    def _measure(self, study: Study) -> None:
        """Let a study come to its end; one that has is left as it is.

        Raises:
            CommandError: somebody paused or cancelled it, or answers are lacking.
        """
        is_whole = study.state == Study.State.FINISHED and not progress_of(study=study).failed
        if not is_whole:
            launch(study=study, now=timezone.now())
            self.stdout.write(f"{study}: {enqueue_study(study=study)} responses put on the queue of {study.machine}.")
            watch_study(study=study, write=self.stdout.write, is_terminal=self.stdout.isatty())
        failed = progress_of(study=study).failed
        if study.state != Study.State.FINISHED:
            raise CommandError(f"{study} is {study.get_state_display().lower()}: start it, then say this again.")
        if failed:
            raise CommandError(
                f"{failed} answers of {study} failed; see its page, then say this again: only they are asked."
            )
        if is_whole:
            self.stdout.write(f"{study}: measured already.")

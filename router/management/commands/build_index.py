"""Build the index of known prompts."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.federating import ensure_machine
from benchmarks.management.telling import study_named
from router.indexing import build_index, delete_replaced, training_prompts
from router.jobs import build_measured
from router.management.telling import RouterCommand, energy_of
from router.models import PromptIndex
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = "Embed the training prompts into a new index and make it the current one; the old one serves until then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", help="Only the prompts of this study; all training prompts where absent.")
        parser.add_argument(
            "--embed",
            choices=PromptIndex.EmbeddedText.values,
            default=settings.EMBEDDED_TEXT,
            help="What is embedded: the bare item or the whole prompt; GREENLLM_EMBEDDED_TEXT (item) where absent.",
        )

        parser.add_argument(
            "--measure",
            action="store_true",
            help="Measure the energy of it with the meters of this machine (GREENLLM_MACHINE): by its worker where one "
            "runs, in this process otherwise.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"]) if options["study"] else None
        store = vector_store()
        if options["measure"]:
            index = build_measured(
                machine=ensure_machine(name=settings.MACHINE_NAME), study=study, embedded_text=options["embed"]
            )
        else:
            index = build_index(
                prompts=training_prompts(study),
                embedder=embedder(),
                store=store,
                embedded_text=options["embed"],
                clock=timezone.now,
            )
        delete_replaced(store=store)
        self.stdout.write(
            f"Index {index.pk}: {index.prompt_count} prompts, {index.dimension} numbers each by {index.embedder}, "
            f"built in {index.build_duration_s:.1f} s; it is current."
        )
        if options["measure"]:
            self.stdout.write(energy_of(index))

"""Build the index of known prompts."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.management.telling import study_named
from benchmarks.models import Prompt
from router.indexing import build_index, delete_replaced
from router.management.telling import RouterCommand
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

    def handle(self, *args: Any, **options: Any) -> None:
        prompts = Prompt.objects.for_training().select_related("category").order_by("pk")
        if options["study"]:
            prompts = prompts.filter(studies=study_named(options["study"]))
        store = vector_store()
        index = build_index(
            prompts=list(prompts),
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

"""Show what routing would change if a model became active, or were retired where it is."""

from typing import Any

from django.core.management.base import CommandParser

from benchmarks.inference.base import InferenceError
from benchmarks.intervals import Interval
from benchmarks.models import Deployment
from benchmarks.units import grams_to_milligrams
from router.admitting import standing_of
from router.management.telling import RouterCommand, joining_model
from router.previewing import Change, Side, preview, preview_live
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = (
        "Route the known prompts and the latest live ones with a model and without it, and tell what moves and what "
        "that is worth. Nothing is changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The model's name, for example smollm2:135m.")

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = joining_model(options["name"])
        standing = standing_of(deployment)
        self.stdout.write(
            f"{deployment}, {deployment.state}: {standing.answered_count} answers to {standing.known_count} known "
            f"prompts, {standing.unjudged_count} of them not judged."
        )
        found = preview(deployment=deployment, store=vector_store())
        without = "without it" if found.is_leaving else "with it"
        version = "" if found.version_id is None else f", version {found.version_id}"
        self.stdout.write(f"Routing by {found.policy}{version}, as it is and {without}:")
        for note in (found.reckoned, found.note):
            if note:
                self.stdout.write(note)
        self._tell("Known prompts, each as if it were new", found.known)
        self._tell_live(deployment)

    def _tell_live(self, deployment: Deployment) -> None:
        try:
            live = preview_live(deployment=deployment, store=vector_store(), embedder=embedder())
        except InferenceError as error:
            self.stdout.write(f"Live prompts: not told, because the embedder cannot be asked. {error}")
            return
        if live.prompt_count:
            self._tell("Latest live prompts, estimated from their neighbours", live)
        else:
            self.stdout.write("Live prompts: the text of none is kept (GREENLLM_KEEP_PROMPT_TEXT).")

    def _tell(self, title: str, change: Change) -> None:
        share = change.moved_share
        moved = "" if share is None else f": {change.moved_count} would move ({_percent(share)})"
        self.stdout.write(f"{title}, n = {change.prompt_count}{moved}")
        for problem in change.problems:
            self.stdout.write(f"  {problem}")
        for move in change.moves:
            self.stdout.write(f"  {move.count} from {move.source} to {move.target}")
        for when, side in (("before", change.before), ("after", change.after)):
            if side is not None:
                self.stdout.write(f"  {when}: {_worth(side)}")


def _worth(side: Side) -> str:
    accuracy = "accuracy not known" if side.accuracy is None else f"accuracy {_percent(side.accuracy)}"
    if side.sci_gco2e is None:
        return f"{accuracy}; SCI missing"
    low, value, high = (
        grams_to_milligrams(one) for one in (side.sci_gco2e.low, side.sci_gco2e.value, side.sci_gco2e.high)
    )
    return (
        f"{accuracy}; SCI {value:.3g} mgCO2e a prompt ({low:.3g} to {high:.3g}, n = {side.sci_gco2e.n}, {side.quality})"
    )


def _percent(one: Interval) -> str:
    return f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%}, n = {one.n})"

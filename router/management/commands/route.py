"""Show which model a prompt would go to, and why."""

import json
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.units import grams_to_milligrams
from router.management.telling import RouterCommand
from router.routing import Route, candidates_as_json, neighbours_as_json, record_route, route
from router.wiring import embedder, vector_store


class Command(RouterCommand):
    help = "Route PROMPT without answering it: category, neighbours, candidates, the choice and why."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompt")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = route(prompt_text=options["prompt"], embedder=embedder(), store=vector_store())
        decision = record_route(route=found, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps({"decision_id": decision.pk, **_as_json(found)}, indent=2, ensure_ascii=False))
            return
        self.stdout.write(f"{found.chosen.language_model}: {found.choice.explanation}")
        self.stdout.write(f"Category {found.nearest_prompt.category}; nearest known prompts (squared L2):")
        for neighbour in found.neighbours:
            known = found.prompts[neighbour.prompt_id]
            self.stdout.write(f"  {neighbour.squared_distance:.4f}  {known.category}  {known.item_text[:70]!r}")
        for candidate in found.choice.candidates:
            cost = candidate.evidence.sci_gco2e
            shown = (
                "SCI missing"
                if cost is None
                else f"{grams_to_milligrams(cost):.3g} mgCO2e ({candidate.evidence.quality})"
            )
            self.stdout.write(f"  {candidate.evidence.model}: {shown}. {candidate.reason}")


def _as_json(found: Route) -> dict[str, Any]:
    return {
        "category": found.nearest_prompt.category.name,
        "policy": found.policy,
        "policy_version": None if found.version is None else found.version.pk,
        "choice": found.chosen.language_model.name,
        "reason": found.choice.reason,
        "explanation": found.choice.explanation,
        "predicted_sci_gco2e": found.choice.chosen.sci_gco2e,
        "quality": found.choice.chosen.quality,
        "neighbours": [{**one, "text": found.prompts[one["prompt_id"]].item_text} for one in neighbours_as_json(found)],
        "candidates": candidates_as_json(found.choice),
        "index": {
            "id": found.index.pk,
            "embedder": found.index.embedder.name,
            "embedded_text": found.index.embedded_text,
            "prompt_count": found.index.prompt_count,
        },
        "latency_ms": {
            "embedding": round(found.embedding_ms, 2),
            "search": round(found.search_ms, 2),
            "choice": round(found.choice_ms, 2),
        },
    }

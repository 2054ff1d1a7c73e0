"""Show which model a prompt would go to, and why."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from benchmarks.units import grams_to_milligrams
from router.baseline import Baseline
from router.circumstances import prompt_alone
from router.explaining import Explanation, NearPrompt, explain_sent, explanation_as_json
from router.management.telling import RouterCommand
from router.policy import Candidate, Evidence
from router.wiring import embedder, loaded_models, vector_store

_PROMPT_WIDTH = 60


class Command(RouterCommand):
    help = "Route PROMPT without answering it: category, neighbours, candidates, the choice, why, and what it saves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompt")
        parser.add_argument("--json", action="store_true", help="Print one JSON object, as POST /v1/greenllm/route.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        sent = prompt_alone(options["prompt"], now=now, loaded=loaded_models().of)
        explained = explain_sent(sent=sent, embedder=embedder(), store=vector_store(), now=now, is_patient=True)
        if options["json"]:
            self.stdout.write(json.dumps(explanation_as_json(explained), indent=2, ensure_ascii=False))
            return
        for line in _lines(explained):
            self.stdout.write(line)


def _lines(explained: Explanation) -> Iterator[str]:
    decision = explained.decision
    version = "" if decision.version_id is None else f", version {decision.version_id}"
    yield f"{explained.model}: {decision.explanation}"
    yield f"Category {explained.category}; policy {decision.policy}{version}."
    yield ""
    yield "Nearest known prompts (squared L2), and who answered them right at what SCI:"
    yield from _table(
        ("distance", "category", "prompt", "right", "answers"), [_near_row(one) for one in explained.neighbours]
    )
    yield ""
    yield "Candidates:"
    yield from _table(
        ("model", "SCI", "right, 95 %", "labels", "why"), [_candidate_row(one) for one in explained.candidates]
    )
    yield ""
    if explained.baseline is not None:
        yield _baseline_line(explained.baseline)
    parts = (("embedding", decision.embedding_ms), ("search", decision.search_ms), ("choice", decision.choice_ms))
    told = (f"{name} {value:.1f} ms" if value is not None else f"no {name}" for name, value in parts)
    yield f"Time: {', '.join(told)}. Decision {decision.pk}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; the last column is as long as it likes."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _near_row(near: NearPrompt) -> tuple[str, ...]:
    text = " ".join(near.text.split())
    return (
        f"{near.squared_distance:.4f}",
        near.category,
        text if len(text) <= _PROMPT_WIDTH else f"{text[: _PROMPT_WIDTH - 1]}…",
        f"{near.right_count} of {len(near.answers)}",
        ", ".join(f"{one.model} {_verdict(one)} at {_cost(one)}" for one in near.answers),
    )


def _candidate_row(candidate: Candidate) -> tuple[str, ...]:
    one = candidate.evidence
    if one.p is None or one.p_low is None or one.p_high is None:
        chance, labels = _verdict(one), f"{one.response_count}"
    else:
        chance, labels = f"{100 * one.p:.0f} % [{100 * one.p_low:.0f}, {100 * one.p_high:.0f}]", f"{one.label_count}"
    return f"{one.model}{' *' if candidate.is_chosen else ''}", _cost(one), chance, labels, candidate.reason


def _verdict(one: Evidence) -> str:
    return "not judged" if one.is_correct is None else "right" if one.is_correct else "wrong"


def _cost(one: Evidence) -> str:
    if one.sci_gco2e is None:
        return "SCI missing"
    return f"{grams_to_milligrams(one.sci_gco2e):.3g} mgCO2e ({one.quality}, n = {one.sci_count})"


def _baseline_line(baseline: Baseline) -> str:
    if baseline.evidence is None:
        return baseline.note
    told = (
        f"{baseline.evidence.model}, {baseline.rule}, would cost {_cost(baseline.evidence)}. {baseline.note}".rstrip()
    )
    if baseline.note or baseline.saved_gco2e is None:
        return told
    word, amount = ("more", -baseline.saved_gco2e) if baseline.saved_gco2e < 0 else ("less", baseline.saved_gco2e)
    share = "" if baseline.saved_share is None else f" ({100 * abs(baseline.saved_share):.0f} %)"
    return f"{told} The choice costs {grams_to_milligrams(amount):.3g} mgCO2e{share} {word}."

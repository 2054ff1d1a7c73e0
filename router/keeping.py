"""Prompts of live traffic that their authors allowed to be kept: waiting for labels, then known or forgotten.

Only what stands alone is kept: the first prompt of a conversation, without instructions before it, which `auto` routed.
A later turn means nothing without those before it, and an answer under instructions is none to the prompt itself.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Max, Model, Prefetch, ProtectedError, QuerySet

from benchmarks.inference.base import ChatMessage, Generation
from benchmarks.models import Category, Dataset, ParameterSet, Prompt, Response, Study
from labeling.erasing import erase_words_about
from router.models import GatewayRequest, RoutingDecision

LIVE_STUDY = "live-traffic"
LIVE_DATASET = "live-traffic"
FORGOTTEN = "(deleted)"
_Row = TypeVar("_Row", bound=Model)


def stands_alone(messages: Sequence[ChatMessage]) -> bool:
    """Tell whether a conversation is one prompt and nothing else."""
    return [message.role for message in messages] == ["user"]


def keep_live_answer(
    *, request: GatewayRequest, decision: RoutingDecision, prompt_text: str, generation: Generation, now: datetime
) -> Response | None:
    """Keep a prompt and its answer as a response of the live study; its author has agreed to that.

    The prompt is unused until an admin makes it known; its category is that of the nearest known prompt. None where the
    caller named the model, or the answer is empty.
    """
    if decision.category_id is None or not generation.text.strip():
        return None
    with transaction.atomic():
        dataset, _ = Dataset.objects.get_or_create(name=LIVE_DATASET, defaults={"title": "Live traffic, with consent"})
        Dataset.objects.select_for_update().get(pk=dataset.pk)  # two answers at once take turns for a position
        study = _live_study(now)
        prompt = _prompt(dataset, decision.category_id, prompt_text)
        places = Response.objects.filter(study=study, prompt=prompt, deployment_id=decision.chosen_id)
        response = Response(
            study=study,
            deployment_id=decision.chosen_id,
            prompt=prompt,
            parameter_set=study.parameter_sets.get(),
            repeat=_next(places, "repeat"),
            sequence=_next(study.responses.all(), "sequence"),
            state=Response.State.FINISHED,
            finished_at=now,
            text=storable_text(generation.text),
            thinking_text=storable_text(generation.thinking or ""),
            answered_by=decision.chosen.language_model.name[:200],
            gateway_request_public_id=request.public_id,
        )
        response.take_figures(generation)
        response.save()
        study.targets.get_or_create(
            deployment_id=decision.chosen_id, defaults={"position": _next(study.targets.all(), "position")}
        )
        study.tasks.get_or_create(prompt=prompt, defaults={"position": _next(study.tasks.all(), "position")})
    return response


def _live_study(now: datetime) -> Study:
    study, is_new = Study.objects.get_or_create(
        name=LIVE_STUDY,
        defaults={
            "title": "Answers of live traffic that may be kept",
            "kind": Study.Kind.LIVE,
            "state": Study.State.FINISHED,
            "started_at": now,
            "finished_at": now,
        },
    )
    if is_new:
        ParameterSet.objects.create(study=study, name="each caller's own", num_ctx=None)
    return study


def _prompt(dataset: Dataset, category_id: int, text: str) -> Prompt:
    """Return the row of a text; the same text again is the same prompt, and stays what an admin made of it."""
    external_id = f"live-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    found = Prompt.objects.filter(dataset=dataset, external_id=external_id).first()
    if found is not None and found.text == text:
        return found
    if found is not None:  # it was forgotten, and has come again with consent
        found.text = found.item_text = text
        found.save(update_fields=["text", "item_text"])
        return found
    return Prompt.objects.create(
        dataset=dataset,
        category_id=category_id,
        external_id=external_id,
        position=_next(Prompt.objects.filter(dataset=dataset, category_id=category_id), "position"),
        role=Prompt.Role.UNUSED,
        item_text=text,
        text=text,
    )


def _next(rows: QuerySet[_Row], field: str) -> int:
    return int(rows.aggregate(highest=Max(field))["highest"] or 0) + 1


def storable_text(text: str) -> str:
    """Return a model's text without what Postgres cannot hold."""
    return text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def kept_prompts() -> QuerySet[Prompt]:
    """Return the prompts of live traffic that are kept, the latest first."""
    return Prompt.objects.filter(dataset__name=LIVE_DATASET).exclude(text=FORGOTTEN).order_by("-pk")


def make_known(*, prompt: Prompt, category: Category) -> None:
    """Let the next index take a kept prompt, in a category that a person chose."""
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=prompt.dataset_id)
        if category.pk != prompt.category_id:
            prompt.category = category
            prompt.position = _next(Prompt.objects.filter(dataset=prompt.dataset_id, category=category), "position")
        prompt.role = Prompt.Role.TRAIN
        prompt.save(update_fields=["category", "position", "role"])


def make_unknown(*, prompt: Prompt) -> None:
    """Keep a prompt out of the next index."""
    prompt.role = Prompt.Role.UNUSED
    prompt.save(update_fields=["role"])


def forget(*, prompt: Prompt) -> None:
    """Delete a kept prompt with its answers; where labels, an index or another study hold rows, their texts are erased.

    Nobody is asked for what was erased: it is in no queue, and of no weight in routing.
    """
    try:
        with transaction.atomic():
            Response.objects.filter(prompt=prompt, study__kind=Study.Kind.LIVE).delete()
            prompt.study_tasks.filter(study__kind=Study.Kind.LIVE).delete()
            prompt.delete()  # what another study has of it is in the way
    except ProtectedError:
        with transaction.atomic():
            answers = Response.objects.filter(prompt_id=prompt.pk)
            erase_words_about(response_ids=list(answers.values_list("pk", flat=True)))
            answers.update(text="", thinking_text="")
            answers.filter(study__kind=Study.Kind.LIVE).update(state=Response.State.CANCELLED)
            Prompt.objects.filter(pk=prompt.pk).update(
                text=FORGOTTEN, item_text=FORGOTTEN, reference="", role=Prompt.Role.UNUSED
            )


def forget_requests(*, public_ids: Sequence[str], is_known_too: bool = False) -> int:
    """Forget what was kept of some requests, as their author deletes them; return how many prompts that were.

    What is known already stays, but for `is_known_too`. A prompt that somebody else sent too stays.
    """
    prompts = kept_alone(public_ids=public_ids)
    wanted = [one for one in prompts if is_known_too or one.role == Prompt.Role.UNUSED]
    for prompt in wanted:
        forget(prompt=prompt)
    return len(wanted)


def kept_alone(*, public_ids: Sequence[str]) -> list[Prompt]:
    """Return the kept prompts that came by some requests and by no other."""
    wanted = set(public_ids)
    found = kept_prompts().filter(responses__gateway_request_public_id__in=wanted).distinct()
    return [
        prompt
        for prompt in found.prefetch_related(Prefetch("responses", Response.objects.filter(study__kind="live")))
        if {one.gateway_request_public_id for one in prompt.responses.all()} <= wanted
    ]


def forget_old(*, before: datetime) -> int:
    """Forget what was kept and is not known yet, where the latest answer is from before a moment; return how many."""
    kept = kept_prompts().filter(role=Prompt.Role.UNUSED)
    old = kept.annotate(latest=Max("responses__finished_at")).filter(latest__lt=before)
    prompts = list(old)
    for prompt in prompts:
        forget(prompt=prompt)
    return len(prompts)

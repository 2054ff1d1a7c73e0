"""Texts that the installation kept of requests: erased when their author deletes them, or when their time is over.

With them goes what the cache has of their answers."""

from datetime import datetime

from django.db.models import QuerySet

from labeling.erasing import ERASED
from router.models import CachedAnswer, GatewayRequest, RoutingDecision, UpstreamAttempt


def erase_texts(*, requests: QuerySet[GatewayRequest]) -> int:
    """Erase what was kept of the prompts and answers of requests, whose rows stay; return of how many rows."""
    CachedAnswer.objects.filter(request__in=requests).delete()
    answers = UpstreamAttempt.objects.filter(request__in=requests).exclude(answer_text="").update(answer_text="")
    return answers + requests.exclude(prompt_text="").update(prompt_text="")


def erase_traces(*, requests: QuerySet[GatewayRequest]) -> int:
    """Erase the texts of requests, what errors and checkers quote, and the hash that tells a prompt again."""
    erased = erase_texts(requests=requests)
    for decision in RoutingDecision.objects.filter(request__in=requests).exclude(plan=[], steps=[]):
        decision.explanation = ERASED
        decision.steps = [{**step, "reason": ERASED} for step in decision.steps]
        decision.save(update_fields=["explanation", "steps"])
    UpstreamAttempt.objects.filter(request__in=requests).exclude(error="").update(error=ERASED)
    requests.exclude(error="").update(error=ERASED)
    requests.update(prompt_sha256="")
    return erased


def erase_old_texts(*, before: datetime) -> int:
    """Erase the texts of requests that began before a moment; return of how many rows."""
    CachedAnswer.objects.filter(request__started_at__lt=before).delete()
    prompts = GatewayRequest.objects.filter(started_at__lt=before).exclude(prompt_text="").update(prompt_text="")
    answers = UpstreamAttempt.objects.filter(started_at__lt=before).exclude(answer_text="").update(answer_text="")
    return prompts + answers

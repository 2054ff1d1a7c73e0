"""What the federation page tells of requests that are not routed as people's prompts are, apart from these."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from router.background import BackgroundTask
from router.looking_up import CacheUse, cache_use
from router.models import GatewayRequest


@dataclass(frozen=True)
class BackgroundRow:
    """Prompts that chat clients sent on their own for one task, answered or not, and their expected cost.

    `sci_gco2e` is the sum over the `sci_count` prompts with an expected SCI of this quality, None without any.
    """

    task: str
    quality: str
    prompt_count: int
    sci_gco2e: float | None
    sci_count: int


def background_since(moment: datetime) -> list[BackgroundRow]:
    """Return what chat clients asked on their own since a moment, a row for each task and quality. One query."""
    rows = (
        GatewayRequest.objects.filter(started_at__gte=moment)
        .exclude(background_task="")
        .order_by("background_task", "decision__predicted_quality")
        .values_list("background_task", "decision__predicted_quality")
        .annotate(Count("pk"), Sum("decision__predicted_sci_gco2e"), Count("decision__predicted_sci_gco2e"))
    )
    return [BackgroundRow(BackgroundTask(task).label, quality or "missing", *rest) for task, quality, *rest in rows]


def cached_since(moment: datetime) -> list[CacheUse]:
    """Return what the cache saved since a moment, a row for each quality. One query."""
    return cache_use(GatewayRequest.objects.filter(started_at__gte=moment))

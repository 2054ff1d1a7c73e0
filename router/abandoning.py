"""Requests whose process went away before they ended: the rows that were written early are closed."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from router.models import GatewayRequest, UpstreamAttempt, WebProcess

_KIND = "ProcessGone"
_WHY = "The web process that answered it went away: it was stopped hard, or the machine was."


def abandon_lost(*, now: datetime, silent: timedelta, longest: timedelta) -> int:
    """Mark what processes left behind that were not seen for a while, and forget these; return how many requests.

    Requests under way that no process holds are the pages' own: they are left behind once they are older than any
    answer takes. One whose process was only stopped for a while is corrected by its end.
    """
    with transaction.atomic():
        gone = list(WebProcess.objects.select_for_update(skip_locked=True).filter(seen_at__lt=now - silent))
        is_lost = Q(process__in=gone) | Q(process=None, started_at__lt=now - longest)
        lost = list(
            GatewayRequest.objects.select_for_update(skip_locked=True)
            .filter(is_lost, state=GatewayRequest.State.RUNNING)
            .values_list("pk", flat=True)
        )
        UpstreamAttempt.objects.filter(request__in=lost, outcome=UpstreamAttempt.Outcome.RUNNING).update(
            outcome=UpstreamAttempt.Outcome.ABANDONED, error_kind=_KIND, error=_WHY, finished_at=now
        )
        GatewayRequest.objects.filter(pk__in=lost).update(
            state=GatewayRequest.State.ABANDONED, error_code=_KIND, error=_WHY, finished_at=now, process=None
        )
        WebProcess.objects.filter(pk__in=[one.pk for one in gone]).delete()
    return len(lost)

"""Dismissing a notice; notices themselves stand on the front page."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from greenllm.doors import people_with
from greenllm.roles import SEE_NOTICES
from labeling.campaigning import dismiss_notice


@require_POST
@people_with(SEE_NOTICES)
def dismiss(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Show a notice to this admin no more."""
    if not dismiss_notice(notice_id=notice_id, person_id=int(request.user.pk or 0), now=timezone.now()):
        raise Http404
    return redirect("dashboards:home")

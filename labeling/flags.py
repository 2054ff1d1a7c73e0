"""The page on which admins look into flagged answers and resolve the flags."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling.doors import flag_resolvers_only
from labeling.flagging import FlagNotOpen, resolve_flag
from labeling.models import Flag

_PAGE_SIZE = 20
_SAID = {
    Flag.Resolution.KEPT: "Kept: the answer comes back to whoever flagged it, and to others.",
    Flag.Resolution.WITHDRAWN: "Withdrawn: nobody is asked to judge the answer any more.",
}


@require_safe
@never_cache
@flag_resolvers_only
def all_flags(request: HttpRequest) -> HttpResponse:
    """List the open flags, the oldest first, and on demand the resolved ones, the latest first."""
    is_resolved = request.GET.get("resolved") == "1"
    flags = Flag.objects.select_related("response__prompt__category", "person", "resolved_by")
    chosen = (
        flags.exclude(resolution="").order_by("-resolved_at", "-pk")
        if is_resolved
        else flags.filter(resolution="").order_by("created_at", "pk")
    )
    page = Paginator(chosen, _PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "labeling/flags.html", {"page": page, "is_resolved": is_resolved})


@require_POST
@flag_resolvers_only
def resolve(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Resolve a flag: the answer is kept, or withdrawn from everybody."""
    resolution = request.POST.get("resolution", "")
    if resolution not in Flag.Resolution.values:
        messages.error(request, "Nothing was chosen: keep the answer or withdraw it.")
        return redirect("labeling:flags")
    chosen = Flag.Resolution(resolution)
    try:
        resolve_flag(flag_id=flag_id, person_id=int(request.user.pk or 0), resolution=chosen, now=timezone.now())
    except FlagNotOpen as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _SAID[chosen])
    return redirect("labeling:flags")

"""The pages of API keys: one's own, and for admins everybody's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from benchmarks.sorting import Column, Sorting, heads, in_order
from greenllm.account.figures import spending_chart
from greenllm.account.key_forms import GivenKeyForm, TermsForm
from greenllm.doors import may, people_with
from greenllm.roles import CHANGE_PEOPLE
from router.key_terms import create_key_with, set_terms
from router.key_use import days_of_use, kinds_of_use, spent_by_key
from router.keys import agree_to_keeping, revoke_key
from router.limiting import blocking_limiter
from router.looking_up import cache_use
from router.models import ApiKey, GatewayRequest
from router.spending import standing_of
from router.terms import SCOPE_WORDS, Scope

_KEYS_ON_A_PAGE = 50
_SHOWN_DAYS = 30
_HEADS = {"key": "Key", "owner": "Owner", "used": "Last used"}
_SORTED: Mapping[str, Column] = {"key": F("name"), "owner": F("owner__username"), "used": F("latest_used_at")}


@require_safe
@never_cache
@people_with(CHANGE_PEOPLE)
def keys(request: HttpRequest) -> HttpResponse:
    """List everybody's keys, the latest first; a part of the owner's name finds."""
    wanted = request.GET.get("owner", "").replace("\x00", "").strip()
    found = ApiKey.objects.filter(owner__username__icontains=wanted).select_related("owner")
    sorting, kept = Sorting.of(request.GET.get("sort", ""), _SORTED), urlencode({"owner": wanted}) + "&"
    listed = in_order(found, sorting, _SORTED, otherwise=("-created_at", "-pk"))
    page = Paginator(listed, _KEYS_ON_A_PAGE).get_page(request.GET.get("page"))
    rows = list(page.object_list)
    spent = spent_by_key(keys=rows, since=_month(timezone.now()))
    context = {
        "page": page,
        "wanted": wanted,
        "rows": [(key, spent.get(key.pk)) for key in rows],
        "query": f"{kept}{sorting.query}",
        "heads": heads(_HEADS, sorting, kept=kept),
    }
    return render(request, "account/keys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(CHANGE_PEOPLE)
def give_key(request: HttpRequest) -> HttpResponse:
    """Make a key for somebody and show it this once; nothing keeps it, so that the answer is the page."""
    if request.method != "POST":
        return render(request, "account/give_key.html", {"form": GivenKeyForm()})
    form = GivenKeyForm(request.POST)
    if not form.is_valid():
        return render(request, "account/give_key.html", {"form": form}, status=400)
    made = create_key_with(
        owner_id=form.cleaned_data["username"].pk, name=form.cleaned_data["name"], terms=form.terms()
    )
    context = {"made": made, "owner": form.cleaned_data["username"], "base_url": request.build_absolute_uri("/v1")}
    return render(request, "account/given_key.html", context)


@require_safe
@never_cache
@login_required
def key_page(request: HttpRequest, key_id: int) -> HttpResponse:
    """Show what a key may be used for, and what it was used for."""
    key, now = reachable_key(request, key_id), timezone.now()
    since = now - timedelta(days=_SHOWN_DAYS)
    days = days_of_use(key=key, since=since)
    context = {
        "key": key,
        "is_own": key.owner_id == request.user.pk,
        "is_keeping_on": settings.KEEP_WITH_CONSENT,
        "may_change": may(request, CHANGE_PEOPLE),
        "scopes": [words for scope, words in SCOPE_WORDS.items() if not key.scopes or scope in key.scopes],
        "is_every_scope": not key.scopes or len(key.scopes) == len(Scope),
        "left": blocking_limiter(settings.REDIS_URL).look(key.terms) if key.terms.is_limited else None,
        "budget": standing_of(key, now) if key.has_budget else None,
        "days": days,
        "kinds": kinds_of_use(days),
        "cache": cache_use(GatewayRequest.objects.filter(api_key=key, started_at__gte=since)),
        "chart": spending_chart(
            [(one.day, one.gco2e) for one in days], until=now.astimezone(UTC).date(), day_count=_SHOWN_DAYS
        ),
        "shown_days": _SHOWN_DAYS,
    }
    return render(request, "account/key.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(CHANGE_PEOPLE)
def change_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Change what a key may be used for."""
    key = get_object_or_404(ApiKey.objects.select_related("owner"), pk=key_id, revoked_at=None)
    if request.method != "POST":
        return render(request, "account/change_key.html", {"key": key, "form": TermsForm(instance=key)})
    form = TermsForm(request.POST, instance=key)
    if not form.is_valid():
        return render(request, "account/change_key.html", {"key": key, "form": form}, status=400)
    set_terms(key=key, terms=form.terms(), now=timezone.now())
    messages.success(request, f"What the key {key.name} may be used for is changed.")
    return redirect("account:key", key.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def remove_key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask whether a key shall be revoked, and revoke it."""
    key = reachable_key(request, key_id)
    if key.revoked_at is not None:
        raise Http404
    if request.method != "POST":
        return render(request, "account/revoke.html", {"key": key})
    revoke_key(key=key, now=timezone.now())
    messages.success(request, f"The key {key.name} ({key.prefix}…) is revoked.")
    return redirect("account:overview" if key.owner_id == request.user.pk else "account:keys")


@require_POST
@login_required
def keeping(request: HttpRequest, key_id: int) -> HttpResponse:
    """Set whether prompts sent with a key of one's own may be kept; nobody agrees for somebody else."""
    key = get_object_or_404(ApiKey, pk=key_id, owner_id=request.user.pk, revoked_at=None)
    agree_to_keeping(key=key, is_agreed=request.POST.get("agree") == "yes")
    may_be = "may be kept from now on" if key.is_keeping_agreed else "are not kept from now on"
    messages.success(request, f"Prompts sent with the key {key.name} {may_be}.")
    return redirect("account:key", key.pk)


def reachable_key(request: HttpRequest, key_id: int) -> ApiKey:
    """Return a key of one's own, or to an admin anybody's.

    Raises:
        Http404: there is none.
    """
    reachable = ApiKey.objects.select_related("owner")
    if not may(request, CHANGE_PEOPLE):
        reachable = reachable.filter(owner_id=request.user.pk)
    return get_object_or_404(reachable, pk=key_id)


def _month(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

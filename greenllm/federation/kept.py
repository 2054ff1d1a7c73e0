"""Prompts of live traffic that their authors allowed to be kept: listed, made known to the router, or deleted."""

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from benchmarks.models import Category, Prompt, Response
from greenllm.doors import people_with
from greenllm.roles import CHANGE_FEDERATION
from labeling.verdicts import UNDECIDED, verdicts_of
from router.keeping import LIVE_STUDY, forget, kept_prompts, make_known, make_unknown

_LISTED = 20


@require_safe
@never_cache
@people_with(CHANGE_FEDERATION)
def kept(request: HttpRequest) -> HttpResponse:
    """List the kept prompts with their answers and what is thought of these."""
    answers = (
        Response.objects.filter(study__name=LIVE_STUDY).select_related("deployment__language_model").order_by("-pk")
    )
    listed = (
        kept_prompts()
        .select_related("category")
        .prefetch_related(Prefetch("responses", queryset=answers, to_attr="live_answers"))
    )
    page = Paginator(listed, _LISTED).get_page(request.GET.get("page"))
    prompts = list(page.object_list)
    verdicts = verdicts_of(answer.pk for prompt in prompts for answer in prompt.live_answers)
    rows = [
        (prompt, [(answer, verdicts.get(answer.pk, UNDECIDED)) for answer in prompt.live_answers]) for prompt in prompts
    ]
    context = {
        "page": page,
        "rows": rows,
        "categories": Category.objects.order_by("name"),
        "is_switched_on": settings.KEEP_WITH_CONSENT,
    }
    return render(request, "federation/kept.html", context)


@require_POST
@people_with(CHANGE_FEDERATION)
def known(request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Let the next index take a kept prompt."""
    prompt = _kept(prompt_id)
    chosen = request.POST.get("category", "")
    category = Category.objects.filter(pk=int(chosen)).first() if chosen.isdecimal() and len(chosen) < 10 else None
    if category is None:
        messages.error(request, "Choose the category of the prompt from the list; it was not made known.")
    else:
        make_known(prompt=prompt, category=category)
        messages.success(
            request,
            f"The next index takes it, as {category}: build one with manage.py build_index when you have enough.",
        )
    return redirect("federation:kept")


@require_POST
@people_with(CHANGE_FEDERATION)
def unknown(request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Keep a prompt out of the next index."""
    make_unknown(prompt=_kept(prompt_id))
    messages.success(request, "The next index leaves it out.")
    return redirect("federation:kept")


@require_POST
@people_with(CHANGE_FEDERATION)
def delete(request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Delete a kept prompt and its answers."""
    forget(prompt=_kept(prompt_id))
    messages.success(request, "Its texts are deleted, and it waits for no label any more.")
    return redirect("federation:kept")


def _kept(prompt_id: int) -> Prompt:
    return get_object_or_404(kept_prompts(), pk=prompt_id)

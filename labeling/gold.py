"""The page on which admins say which answers are gold."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks.models import Response
from labeling.doors import gold_setters_only
from labeling.gilding import GoldRefused, retire_gold, set_gold
from labeling.models import GoldAnswer, Verdict

_PAGE_SIZE = 20
_VERDICTS = [(one.value, one.label) for one in (Verdict.CORRECT, Verdict.INCORRECT)]


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@gold_setters_only
def gold_answers(request: HttpRequest) -> HttpResponse:
    """List gold answers; show one answer without its model, and take what it is."""
    typed = request.POST if request.method == "POST" else request.GET
    number, problem = _number(typed.get("answer", "")), ""
    if request.method == "POST":
        problem = _set(request, number)
        if not problem:
            messages.success(request, f"Answer {number} is gold now.")
            return redirect("labeling:gold")
    found = Response.objects.finished().select_related("prompt__category").filter(pk=number).first() if number else None
    if number and found is None:
        problem = problem or f"There is no finished answer {number}. Its number stands in its page's address."
    golden = GoldAnswer.objects.select_related("response__prompt__category", "set_by").order_by(
        "-retired_at", "-pk"
    )  # those in use first: Postgres puts NULL before all moments
    page = Paginator(golden, _PAGE_SIZE).get_page(request.GET.get("page"))
    return render(
        request,
        "labeling/gold.html",
        {"page": page, "answer": found, "typed": typed, "problem": problem, "verdicts": _VERDICTS},
    )


@require_POST
@gold_setters_only
def retire(request: HttpRequest, gold_id: int) -> HttpResponse:
    """Show an answer as gold no more."""
    try:
        retire_gold(gold_id=gold_id, now=timezone.now())
    except GoldRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Retired: it is not shown as gold any more. What was said of it stays.")
    return redirect("labeling:gold")


def _set(request: HttpRequest, number: int | None) -> str:
    """Make an answer gold; return what is wrong with what was typed, empty where it is done."""
    verdict, reason = request.POST.get("verdict", ""), request.POST.get("reason", "").replace("\x00", "")
    if number is None:
        return "Answer: give its number, which stands in its page's address (/responses/123/)."
    if verdict not in dict(_VERDICTS):
        return "Verdict: choose correct or incorrect."
    try:
        set_gold(response_id=number, verdict=Verdict(verdict), reason=reason, person_id=int(request.user.pk or 0))
    except GoldRefused as error:
        return str(error)
    return ""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None

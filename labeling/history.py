"""A person's own labels, to look over, to change and to take back."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling.doors import judges_only
from labeling.judging import LabelNotCurrent, change_verdict, take_back
from labeling.models import Label, Verdict

_PAGE_SIZE = 20


@require_safe
@never_cache
@judges_only
def own_labels(request: HttpRequest) -> HttpResponse:
    """Show the person's own labels, the latest first; never anybody else's."""
    own = Label.objects.of_people().filter(labeler_id=request.user.pk, is_current=True)
    rows = own.select_related("response__prompt__category", "supersedes").order_by("-created_at", "-pk")
    page = Paginator(rows, _PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "labeling/history.html", {"page": page, "verdicts": Verdict.choices})


@require_POST
@judges_only
def change(request: HttpRequest, label_id: int) -> HttpResponse:
    """Give an answer another verdict; the old one stays on record."""
    verdict = request.POST.get("verdict", "")
    if verdict not in Verdict.values:
        messages.error(request, "No verdict was chosen: choose correct, incorrect or unsure.")
        return _back(request)
    try:
        change_verdict(label_id=label_id, person_id=int(request.user.pk or 0), verdict=Verdict(verdict))
    except LabelNotCurrent as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The verdict is now: {Verdict(verdict).label.lower()}.")
    return _back(request)


@require_POST
@judges_only
def withdraw(request: HttpRequest, label_id: int) -> HttpResponse:
    """Take a verdict back; the answer waits again."""
    try:
        take_back(label_id=label_id, person_id=int(request.user.pk or 0), now=timezone.now())
    except LabelNotCurrent as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The verdict is taken back; the answer waits to be judged again.")
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    page = request.POST.get("page", "")
    number = f"?page={page}" if page.isdecimal() and len(page) < 8 else ""
    return redirect(reverse("labeling:history") + number)

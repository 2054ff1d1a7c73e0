"""The pages on which admins void labels: a preview first, then the correction, its labels, and how to undo it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from benchmarks.models import Category, Response, Study
from benchmarks.paging import Order, keyed_page, place_in
from benchmarks.sorting import Sorting, heads
from labeling.correcting import (
    LONGEST_REASON,
    CorrectionRefused,
    Effect,
    Scope,
    foresee,
    labels_of,
    undo_correction,
    void_labels,
)
from labeling.doors import correctors_only
from labeling.models import AnswerTally, Correction, Guideline, Label

_PAGE_SIZE = 20
_FORMAT = "%Y-%m-%dT%H:%M"
_HEADS = {"answer": "Answer", "judge": "Judge", "verdict": "Verdict", "given": "Given"}
_COLUMNS = {"answer": "response_id", "judge": "labeler__username", "verdict": "verdict", "given": "created_at"}
_VOID_FIRST = Order(column="voided_at", is_descending=True)  # after undoing, those that stay out


class CorrectionForm(forms.Form):
    """Whose labels, or by which guideline, and where and when they were given."""

    annotator = forms.ModelChoiceField(
        get_user_model()._default_manager.none(), required=False, empty_label="Everybody", label="Labels of"
    )
    guideline = forms.ModelChoiceField(Guideline.objects.none(), required=False, empty_label="Any")
    study = forms.ModelChoiceField(Study.objects.none(), required=False, empty_label="Every study")
    category = forms.ModelChoiceField(Category.objects.order_by("name"), required=False, empty_label="Every category")
    since = forms.DateTimeField(
        required=False, label="Given from (UTC)", widget=forms.DateTimeInput({"type": "datetime-local"}, _FORMAT)
    )
    until = forms.DateTimeField(
        required=False, label="Given before (UTC)", widget=forms.DateTimeInput({"type": "datetime-local"}, _FORMAT)
    )
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        error_messages={"required": "Say why: whoever judged reads it."},
        help_text="Whoever judged reads it in their history, and whoever may see results beside each of these labels.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        answered = AnswerTally.objects.filter(study_id=OuterRef("pk"), state=Response.State.FINISHED)
        self._offer("annotator", _judges())
        self._offer("guideline", Guideline.objects.select_related("category").order_by("category__name", "-version"))
        self._offer("study", Study.objects.filter(Exists(answered)).order_by("-pk"))

    def clean(self) -> dict[str, Any]:
        """Refuse what names nobody, and a span that ends before it begins."""
        values = super().clean() or {}
        if not self.errors and not (values.get("annotator") or values.get("guideline")):
            self.add_error("annotator", "Name a person or a guideline or both: not everybody's labels at once.")
        since, until = values.get("since"), values.get("until")
        if since and until and since >= until:
            self.add_error("until", "This must be later than “given from”.")
        return values

    def scope(self) -> Scope:
        """Return what was chosen."""
        said = self.cleaned_data
        annotator_id = said["annotator"].pk if said["annotator"] else None
        return Scope(annotator_id, said["guideline"], said["study"], said["category"], said["since"], said["until"])

    def _offer(self, name: str, rows: QuerySet[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared so above
        field.queryset = rows


@dataclass(frozen=True)
class _Preview:
    """What a correction would do, and the moment up to which labels are in it: later ones stay."""

    effect: Effect
    seen_at: str


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@correctors_only
def corrections(request: HttpRequest) -> HttpResponse:
    """List corrections; show what a new one would do, and make it once that was confirmed."""
    form, preview, problem = CorrectionForm(request.POST or None), None, ""
    if request.method == "POST" and form.is_valid():
        now, seen_at = timezone.now(), _moment(request.POST.get("seen_at", ""))
        if seen_at is not None and "confirm" in request.POST:
            try:
                made = _make(request, form, seen_at, now)
            except CorrectionRefused as error:
                problem = str(error)
            else:
                messages.success(request, _said(made))
                return redirect("labeling:correction", made.pk)
        else:
            scope = form.scope()
            until = min(scope.until or now, now)
            preview = _Preview(foresee(scope=replace(scope, until=until)), now.isoformat())
    every = Correction.objects.select_related("annotator", "guideline__category", "study", "category", "made_by")
    page = Paginator(every.order_by("-pk"), _PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "preview": preview, "problem": problem, "page": page}
    return render(request, "labeling/corrections.html", context)


@require_safe
@never_cache
@correctors_only
def correction(request: HttpRequest, correction_id: int) -> HttpResponse:
    """Show one correction with its labels: those that stay out after undoing first."""
    every = Correction.objects.select_related(
        "annotator", "guideline__category", "study", "category", "made_by", "undone_by"
    )
    found = get_object_or_404(every, pk=correction_id)
    sorting = Sorting.of(request.GET.get("sort", ""), _COLUMNS)
    order = Order(column=_COLUMNS[sorting.name], is_descending=sorting.is_descending) if sorting.name else _VOID_FIRST
    rows, place = labels_of(found), place_in(request.GET)
    page = keyed_page(rows, order=order, place=place, size=_PAGE_SIZE, count=rows.count())
    labels = rows.select_related("response__prompt__category", "labeler", "correction").in_bulk(page.keys)
    context = {
        "correction": found,
        "page": page,
        "labels": [labels[one] for one in page.keys if one in labels],
        "query": sorting.query,
        "heads": heads(_HEADS, sorting, kept=""),
    }
    return render(request, "labeling/correction.html", context)


@require_POST
@correctors_only
def undo(request: HttpRequest, correction_id: int) -> HttpResponse:
    """Let the labels of a correction count again, as far as that may be."""
    get_object_or_404(Correction, pk=correction_id)
    try:
        done = undo_correction(correction_id=correction_id, person_id=int(request.user.pk or 0), now=timezone.now())
    except CorrectionRefused as error:
        messages.error(request, str(error))
        return redirect("labeling:correction", correction_id)
    said = f"{_labels(done.restored_count)} {'counts' if done.restored_count == 1 else 'count'} again."
    if done.left_count:
        said += (
            f" {_labels(done.left_count)} {'stays' if done.left_count == 1 else 'stay'} out: the same person has "
            "judged the answer anew meanwhile, and only one label a person counts. They are listed first below."
        )
    messages.add_message(request, messages.ERROR if done.left_count else messages.SUCCESS, said)
    return redirect("labeling:correction", correction_id)


def _judges() -> QuerySet[Any]:
    """Return everybody who has ever judged, by name."""
    judged = Label.objects.filter(labeler=OuterRef("pk"))
    return get_user_model()._default_manager.filter(Exists(judged)).order_by("username")


def _make(request: HttpRequest, form: CorrectionForm, seen_at: datetime, now: datetime) -> Correction:
    """Void what the preview counted: a label that came after it was not seen, and stays."""
    scope = form.scope()
    seen = replace(scope, until=min(scope.until or seen_at, seen_at))
    reason, person_id = form.cleaned_data["reason"], int(request.user.pk or 0)
    return void_labels(scope=seen, reason=reason, person_id=person_id, now=now)


def _said(made: Correction) -> str:
    return f"{_labels(made.label_count)} {'is' if made.label_count == 1 else 'are'} void; their answers wait again."


def _labels(count: int) -> str:
    return f"{count} label{'' if count == 1 else 's'}"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

"""The page on which judges read a category's guideline: the version in force, what changed, and earlier versions."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from benchmarks.models import Category
from labeling.doors import judges_only
from labeling.guiding import guideline_versions


@require_safe
@judges_only
def versions(request: HttpRequest) -> HttpResponse:
    """Show the versions of a category's guideline, the one in force first."""
    categories = list(Category.objects.order_by("name"))
    name = request.GET.get("category", "")
    category = next((one for one in categories if one.name == name), categories[0] if categories else None)
    shown = {
        "categories": categories,
        "category": category,
        "versions": guideline_versions(category) if category is not None else (),
        "unknown": name if name and (category is None or category.name != name) else "",
    }
    return render(request, "labeling/guidelines.html", shown)

"""Choose the prompts of a study by data set, category and role."""

from collections.abc import Collection

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from benchmarks.models import Prompt
from benchmarks.models.catalog import PromptQuerySet

STUDIED_ROLES = (Prompt.Role.TRAIN.value, Prompt.Role.VALIDATION.value)


def choose_prompts(
    *,
    datasets: Collection[str],
    categories: Collection[str] = (),
    roles: Collection[str] = STUDIED_ROLES,
    limit: int | None = None,
    is_limit_per_role: bool = False,
) -> PromptQuerySet:
    """Return the prompts of some data sets in the order in which a study asks them: by category, then as imported.

    No category means every one. `limit` takes the first so many prompts of each category, counted over all data
    sets together, or of each category and role. Unused prompts are never chosen.
    """
    chosen = Prompt.objects.filter(dataset__name__in=datasets, role__in=set(roles) & set(STUDIED_ROLES))
    if categories:
        chosen = chosen.filter(category__name__in=categories)
    if limit is not None:
        parts = [F("category_id"), F("role")] if is_limit_per_role else [F("category_id")]
        place = Window(RowNumber(), partition_by=parts, order_by=[F("dataset_id").asc(), F("position").asc()])
        chosen = chosen.annotate(place=place).filter(place__lte=limit)
    return chosen.order_by("category__name", "dataset_id", "position")

"""What the router's own work costs for each prompt, as far as it was measured: the embedding, by building an index."""

from django.db.models import Case, IntegerField, Value, When

from benchmarks.models import LanguageModel, Measurement
from router.evaluation.own_cost import OwnCost
from router.models import PromptIndex

_REMEDY = "Build it with manage.py build_index --measure."


def own_cost_per_prompt(*, embedder: LanguageModel, unit: str) -> OwnCost:
    """Return the share of each prompt in the measured building of an index with this embedder, in J or gCO2e.

    The current index counts before replaced ones, and of these the latest. Where none was measured the cost is missing
    and says why; it is never 0.
    """
    built = (
        PromptIndex.objects.filter(
            embedder=embedder, state__in=[PromptIndex.State.CURRENT, PromptIndex.State.REPLACED], prompt_count__gt=0
        )
        .exclude(measurement=None)
        .select_related("measurement")
        .annotate(age=Case(When(state="current", then=Value(0)), default=Value(1), output_field=IntegerField()))
        .order_by("age", "-built_at", "-pk")
    )
    missing = ""
    for index in built:
        measured = index.measurement
        if measured is None:
            continue
        total = measured.energy_j if unit == "J" else measured.sci_gco2e
        if total is not None:
            return OwnCost(
                total / index.prompt_count, measured.quality, index.prompt_count, _source(index, measured, unit)
            )
        missing = missing or f"The energy of building index {index.pk} is missing: {measured.missing_reason} {_REMEDY}"
    return OwnCost(
        None, "missing", 0, missing or f"No index of {embedder} was built with its energy measured. {_REMEDY}"
    )


def _source(index: PromptIndex, measured: Measurement, unit: str) -> str:
    at = f" at {measured.carbon_intensity_gco2e_per_kwh:g} gCO2e/kWh" if unit != "J" else ""
    return f"Building index {index.pk}: embedding and insertion, {measured.boundary}{at}."

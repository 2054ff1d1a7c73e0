"""Policy versions as the page lists them."""

from dataclasses import dataclass

from django.db.models import QuerySet

from greenllm.templatetags.figures import significant
from router.models import PolicyVersion
from router.overriding import settle


@dataclass(frozen=True)
class VersionRow:
    """One version with its parameters in words."""

    version: PolicyVersion
    parameters: tuple[tuple[str, str], ...]
    is_latest: bool


def all_versions() -> QuerySet[PolicyVersion]:
    """Return every version, the latest first."""
    return PolicyVersion.objects.select_related(
        "fallback__language_model", "fallback__server", "made_by", "tuning"
    ).order_by("-pk")


def version_row(version: PolicyVersion, *, latest_id: int) -> VersionRow:
    """Return a version with those of its parameters that its policy goes by."""
    policy, told = version.policy, []
    if policy in {"category", "knn"}:
        told.append(("price of SCI", f"{significant(version.sci_price)} per gCO₂e"))
    if policy == "floor":
        told.append(("floor", f"{100 * version.accuracy_floor:g}\u00a0%"))
    if policy in {"guarded", "cascade", "fixed"}:
        told.append(("fallback", str(version.fallback or "the most accurate model")))
    if policy in {"guarded", "cascade"}:
        told.append(("caution", f"{version.caution:g} standard errors"))
        told.append(("tolerance", f"{100 * version.tolerance:g} points"))
        told.append(("novelty", "from the known prompts" if version.novelty is None else f"{version.novelty:g}"))
    if policy not in {"nearest", "fixed"}:
        told.append(("neighbours", str(version.neighbour_count or (50 if policy == "guarded" else 20))))
        if version.estimator != PolicyVersion.Estimator.NEIGHBOURS:
            told.append(("estimates", version.get_estimator_display()))
        if version.is_intensity_live:
            told.append(("carbon intensity", "live, where a service tells it"))
        told.append(("prompts per load", str(version.prompts_per_load)))
    if policy != "fixed":
        told.append(("callers", _limits(version)))
    return VersionRow(version, tuple(told), version.pk == latest_id)


def untuned() -> VersionRow:
    """Return what counts while nobody has made a version."""
    return version_row(settle(version=None).effective, latest_id=0)


def _limits(version: PolicyVersion) -> str:
    """Return what a version lets callers choose otherwise."""
    if not version.is_open:
        return "may not override"
    limits = []
    if version.most_sci_price is not None:
        limits.append(f"price up to {significant(version.most_sci_price)} per gCO₂e")
    if version.least_accuracy_floor > 0:
        limits.append(f"floor from {100 * version.least_accuracy_floor:g}\u00a0%")
    return ", ".join(["may override", *limits])

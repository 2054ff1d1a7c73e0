"""What a key may be used for: set it, and tell how its limits and budgets stand."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from benchmarks.models import Deployment
from router.allowances import count_month_anew
from router.keys import NewKey, create_key
from router.limiting import BlockingLimiter
from router.models import ApiKey
from router.rates import Taken
from router.spending import standing_of
from router.terms import Scope, unknown_names


@dataclass(frozen=True)
class WantedTerms:
    """What somebody wants of a key; an empty list means everything, None no limit. Masses are in gCO2e."""

    scopes: list[str]
    allowed_models: list[str]
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_gco2e_per_hour: float | None = None
    soft_gco2e_per_day: float | None = None
    hard_gco2e_per_day: float | None = None
    soft_gco2e_per_month: float | None = None
    hard_gco2e_per_month: float | None = None


def every_scope_as_none(scopes: Sequence[str]) -> list[str]:
    """Return scopes as they are stored: all of them are the same as none."""
    return [] if set(scopes) == set(Scope) else list(scopes)


def unknown_models(names: Sequence[str], *, also: Sequence[str] = ()) -> list[str]:
    """Return those names that no model here has: a key with them would open less than was meant."""
    known = Deployment.objects.serving().of_models().values_list("language_model__name", flat=True)
    return unknown_names(names, [*known, *also])


def validate_terms(terms: WantedTerms) -> None:
    """Refuse what a key cannot be used for.

    Raises:
        ValidationError: by the name of the field what is wrong with it.
    """
    wanted = asdict(terms)
    key = ApiKey(**wanted)
    key.clean_fields(exclude={field.name for field in ApiKey._meta.fields} - set(wanted))
    key.clean()
    budget = terms.budget_gco2e_per_hour
    if budget is not None and not 0 < budget < float("inf"):
        raise ValidationError({"budget_gco2e_per_hour": "Give a number of grams above 0, or leave it empty."})
    if unknown := unknown_models(terms.allowed_models):
        raise ValidationError({"allowed_models": f"No model here is called {', '.join(unknown)}."})


def create_key_with(*, owner_id: int, name: str, terms: WantedTerms) -> NewKey:
    """Make a key for a person that may be used for so much and no more."""
    stored = replace(terms, scopes=every_scope_as_none(terms.scopes))
    return create_key(owner_id=owner_id, name=name, **asdict(stored))


def set_terms(*, key: ApiKey, terms: WantedTerms, now: datetime) -> None:
    """Set what a key may be used for; a budget that is new counts what was spent before in this month."""
    stored = ApiKey.objects.get(pk=key.pk)
    was_counted = stored.has_day_budget or stored.has_month_budget
    for name, value in asdict(terms).items():
        setattr(stored, name, value)
    if not was_counted and (stored.has_day_budget or stored.has_month_budget):
        count_month_anew(key=stored, now=now)
    stored.save(update_fields=list(asdict(terms)))


def terms_as_json(*, key: ApiKey, limiter: BlockingLimiter, now: datetime) -> Mapping[str, Any]:
    """Return what a key may be used for, and how its limits and budgets stand."""
    standing = limiter.look(key.terms) if key.terms.is_limited else None
    return {
        "scopes": key.scopes or None,
        "models": key.allowed_models or None,
        "is_keeping_agreed": key.is_keeping_agreed,
        "limits": {
            "requests_per_minute": key.requests_per_minute,
            "tokens_per_minute": key.tokens_per_minute,
            **_left(standing),
        },
        "budget": standing_of(key, now).as_json() if key.has_budget else None,
    }


def _left(standing: Taken | None) -> dict[str, int | None]:
    """Return what is left of the minute; None where there is no limit, or nobody counts."""
    left = dict.fromkeys(("requests", "tokens"), None) if standing is None else standing.left
    return {f"remaining_{name}": count for name, count in left.items()}

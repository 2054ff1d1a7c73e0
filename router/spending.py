"""What keys with a carbon budget spend; a key without one has no row."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from benchmarks.models import Deployment
from router.allowances import book_day, settle_day, spans_of
from router.budget import NO_LIMIT, HourSpent, after_request, after_settling, is_plausible
from router.models import ApiKey, GatewayRequest, KeyHour, RoutingDecision
from router.policy import Candidate, Choice
from router.spans import require_open
from router.usual import usual_of

_HOUR = timedelta(hours=1)


def hour_of(*, api_key_id: int | None, now: datetime) -> HourSpent | None:
    """Return how the present hour of a key stands, with day and month; None where it has no budget.

    Raises:
        BudgetClosed: the hard limit of its day or month is spent.
    """
    key = _key(api_key_id)
    if key is None:
        return None
    hour = standing_of(key, now)
    require_open(hour.spans, now)
    return hour


def book(*, api_key_id: int, sci_gco2e: float, now: datetime, is_further_run: bool = False) -> HourSpent | None:
    """Add a request, or one more run of it, to the budgets of a key; return how they stand, None without a budget."""
    key = _key(api_key_id)
    if key is None:
        return None
    if key.has_day_budget or key.has_month_budget:
        book_day(api_key_id=api_key_id, sci_gco2e=sci_gco2e, now=now, is_further_run=is_further_run)
    if key.budget_gco2e_per_hour is not None:
        _book_hour(key, key.budget_gco2e_per_hour, sci_gco2e, now, is_further_run=is_further_run)
    return replace(standing_of(key, now), booked_gco2e=sci_gco2e)


def _book_hour(key: ApiKey, limit: float, sci_gco2e: float, now: datetime, *, is_further_run: bool) -> None:
    began_at = _began(now)
    with transaction.atomic():
        KeyHour.objects.bulk_create([KeyHour(api_key=key, began_at=began_at)], ignore_conflicts=True)
        row = KeyHour.objects.select_for_update().get(api_key=key, began_at=began_at)
        after = after_request(
            _as_spent(row, limit),
            sci_gco2e=sci_gco2e,
            elapsed_share=(now - began_at) / _HOUR,
            is_further_run=is_further_run,
        )
        row.spent_gco2e, row.price, row.request_count = after.spent_gco2e, after.price, after.request_count
        row.dearest_gco2e, row.elapsed_share = after.dearest_gco2e, after.elapsed_share
        row.save()


def standing_of(key: ApiKey, now: datetime) -> HourSpent:
    """Return how the budgets of a key stand."""
    spans, limit = spans_of(key=key, now=now), key.budget_gco2e_per_hour
    if limit is None:
        return HourSpent(NO_LIMIT, spans=spans)
    row = KeyHour.objects.filter(api_key=key, began_at=_began(now)).first()
    return replace(HourSpent(limit) if row is None else _as_spent(row, limit), spans=spans)


def settle_hour(*, api_key_id: int, began_at: datetime, difference_gco2e: float) -> None:
    """Correct what a key spent in an hour and its day by what requests cost beyond the booked; in a transaction."""
    key = _key(api_key_id)
    if key is None:
        return
    if key.has_day_budget or key.has_month_budget:
        settle_day(api_key_id=api_key_id, began_at=began_at, difference_gco2e=difference_gco2e)
    limit = key.budget_gco2e_per_hour
    rows = KeyHour.objects.select_for_update().filter(api_key_id=api_key_id, began_at__lte=began_at)
    row = rows.order_by("-began_at").first()  # what is decided as an hour begins was booked in the one before
    if limit is None or row is None:
        return
    after = after_settling(_as_spent(row, limit), difference_gco2e=difference_gco2e)
    row.spent_gco2e, row.price = after.spent_gco2e, after.price
    row.save(update_fields=["spent_gco2e", "price"])


def book_decision(
    hour: HourSpent | None, *, request: GatewayRequest, decision: RoutingDecision, now: datetime
) -> HourSpent | None:
    """Book what a request is expected to cost on its key; of a model that the caller named, what it usually costs."""
    if hour is None or request.api_key_id is None:
        return None
    expected = decision.predicted_sci_gco2e
    cost = usual_sci(deployment=decision.chosen) if expected is None else expected
    return book(api_key_id=request.api_key_id, sci_gco2e=cost, now=now)


def book_run(hour: HourSpent | None, *, request: GatewayRequest, sci_gco2e: float, now: datetime) -> HourSpent | None:
    """Book one more run of a request, such as a cascade makes, beside the one that its decision was booked with."""
    if hour is None or request.api_key_id is None:
        return None
    after = book(api_key_id=request.api_key_id, sci_gco2e=sci_gco2e, now=now, is_further_run=True)
    return after and replace(after, booked_gco2e=hour.booked_gco2e + sci_gco2e)


def usual_sci(*, deployment: Deployment) -> float:
    """Return the mean SCI of a deployment's answers of the best quality (gCO2e), 0 where none has one."""
    usual = usual_of(deployment_id=deployment.pk)
    return 0.0 if usual is None else usual.sci_gco2e


def within_budget(choice: Choice, hour: HourSpent) -> Choice:
    """Return the choice as the budget of a key leaves it: once that is spent, the cheapest plausible model."""
    if hour.is_cheapest_wanted:
        return spend_least(choice, hour)
    return choice if hour.price == 0 else replace(choice, explanation=f"{choice.explanation} {hour.words}")


def spend_least(choice: Choice, hour: HourSpent) -> Choice:
    """Return the choice once a budget is spent: the cheapest plausible model of those that were ranked together.

    So it is past a soft limit, too. Plausible is what is at least half as probable to be right as the best of them; by
    `nearest`, what is not known to have been wrong. Where nobody has an SCI the choice stays, and says so.

    It answers alone, also where a cascade would have asked it first.
    """
    ranked = [
        one.evidence
        for one in choice.candidates
        if one.evidence.sci_gco2e is not None and one.evidence.quality == choice.chosen.quality
    ]
    best = max((one.p for one in ranked if one.p is not None), default=None)
    plausible = [one for one in ranked if is_plausible(one.p, best) and one.is_correct is not False]
    pool = plausible or ranked
    if not pool:
        return replace(choice, explanation=f"{hour.words} {choice.explanation}")
    cheapest = min(pool, key=lambda one: (one.sci_gco2e or 0.0, one.model, one.deployment_id))
    if cheapest is choice.chosen and not choice.plan:
        return replace(choice, explanation=f"{hour.words} {choice.explanation}")
    reasons = {
        choice.chosen.deployment_id: "It would be chosen if the budget were not spent.",
        cheapest.deployment_id: "The budget is spent; it is the cheapest plausible model.",
    }
    return replace(
        choice,
        chosen=cheapest,
        reason=RoutingDecision.Reason.BUDGET.value,
        explanation=f"{hour.words} Without it: {choice.explanation}",
        candidates=tuple(
            Candidate(one.evidence, one.evidence is cheapest, reasons.get(one.evidence.deployment_id, one.reason))
            for one in choice.candidates
        ),
        plan=(),
    )


def _key(api_key_id: int | None) -> ApiKey | None:
    """Return a key that has a budget."""
    key = None if api_key_id is None else ApiKey.objects.filter(pk=api_key_id).first()
    return key if key is not None and key.has_budget else None


def _began(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _as_spent(row: KeyHour, limit: float) -> HourSpent:
    return HourSpent(
        limit, row.spent_gco2e, row.price, row.request_count, row.dearest_gco2e, elapsed_share=row.elapsed_share
    )

"""Why a request was not let in, counted where it is refused: for whoever scrapes, and on its key."""

from collections.abc import Iterator
from contextlib import contextmanager

from router import metrics
from router.answering import Caller
from router.counting import key_labels
from router.key_denials import SUMS
from router.rates import RateLimited
from router.spans import BudgetClosed
from router.terms import Denial
from router.wires.fields import WireError

_BY_CODE = {
    "invalid_api_key": Denial.KEY,
    "too_many_wrong_keys": Denial.KEY,
    "scope_missing": Denial.SCOPE,
    "model_not_allowed": Denial.MODEL,
}


def reason_of(error: Exception) -> Denial | None:
    """Return why an error refuses a request; None where it is no refusal of the key."""
    if isinstance(error, RateLimited):
        return Denial.RATE
    if isinstance(error, BudgetClosed):
        return Denial.BUDGET
    return _BY_CODE.get(error.code or "") if isinstance(error, WireError) else None


@contextmanager
def denials_counted(caller: Caller, *, leaves_row: bool = False) -> Iterator[None]:
    """Count what refuses a caller within; the refusal goes on its way.

    `leaves_row` says that the request has a row of its own that tells of it, so that the sums of its key need not.
    """
    try:
        yield
    except Exception as error:
        reason = reason_of(error)
        if reason is not None:
            _count(caller, reason)
            if caller.api_key_id is not None and not leaves_row:
                SUMS.add(caller.api_key_id, reason)
        raise


def _count(caller: Caller, reason: Denial) -> None:
    metrics.DENIED.labels(caller.surface, reason).inc()
    if caller.key_prefix:
        metrics.KEY_DENIED.labels(*key_labels(caller.key_name, caller.key_prefix), reason).inc()

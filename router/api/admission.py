"""Let a request of a key in where nothing is generated: by the scopes, models, limits and budgets of the key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone

from router.answering import Caller, is_auto
from router.denying import denials_counted
from router.limiting import blocking_limiter
from router.rates import Taken, Want, tokens_wanted
from router.spending import hour_of
from router.terms import Scope


@dataclass
class Admitted:
    """A request that may pass; what it used is said before it ends."""

    taken: Taken | None
    used_tokens: int | None = None

    def tell(self, response: HttpResponse) -> HttpResponse:
        """Tell the client how its limits stand."""
        for name, value in ({} if self.taken is None else self.taken.headers).items():
            response.headers[name] = value
        return response


@contextmanager
def admitted(caller: Caller, scope: Scope, *, model: str, characters: int) -> Iterator[Admitted]:
    """Let a request in, and set right at its end how many tokens it took.

    Raises:
        WireError: the key does not open this address, or may not ask the model.
        RateLimited: it has used up what it may use a minute.
        BudgetClosed: it has spent the hard limit of a day or a month.
    """
    terms = caller.terms
    if terms is None:
        yield Admitted(None)
        return
    limiter = blocking_limiter(settings.REDIS_URL)
    want = Want(1, tokens_wanted(characters, None))
    with denials_counted(caller):
        terms.require_scope(scope)
        if not is_auto(model):
            terms.require_model(model)
        if caller.has_budget:
            hour_of(api_key_id=caller.api_key_id, now=timezone.now())
        found = Admitted(limiter.take(terms, want) if terms.is_limited else None)
    try:
        yield found
    finally:
        limiter.settle(found.taken, want.tokens if found.used_tokens is None else found.used_tokens)

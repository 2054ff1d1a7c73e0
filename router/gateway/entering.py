"""Let a request in that generates: by the scopes, models and limits of its key."""

from router.answering import Caller, is_auto
from router.limiting import Limiter
from router.rates import Taken, Want, tokens_wanted
from router.terms import Scope
from router.wire import ChatRequest


async def enter(limiter: Limiter, caller: Caller, asked: ChatRequest) -> Taken | None:
    """Return how the limits of the key stand with this request; None where it has none, or nothing can be counted.

    Raises:
        WireError: the key does not open these addresses, or may not ask the model.
        RateLimited: it has used up what it may use a minute.
    """
    terms = caller.terms
    if terms is None:
        return None
    terms.require_scope(Scope.GENERATE)
    if not is_auto(asked.model):
        terms.require_model(asked.model)
    if not terms.is_limited:
        return None
    characters = sum(len(message.content) for message in asked.messages) + asked.demands.character_count
    longest = max(asked.parameters.num_predict or 0, 0)  # Ollama's -1: as long as it gets
    return await limiter.take(terms, Want(1, tokens_wanted(characters, longest)))

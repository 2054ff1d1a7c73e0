"""Keep what may be kept of an answer once it is whole: for the cache, and for labels where its author consents."""

import logging

from django.db import DatabaseError
from django.utils import timezone

from benchmarks.inference.base import Generation
from router.answering import Decided, last_user_text
from router.gateway.caching import Look
from router.gateway.house import House
from router.keeping import keep_live_answer, stands_alone
from router.wire import ChatRequest

logger = logging.getLogger(__name__)


async def keep_answer(
    house: House,
    decided: Decided,
    asked: ChatRequest,
    generation: Generation,
    *,
    look: Look | None,
    is_agreed: bool,
) -> None:
    """Keep what may be kept; where that fails the answer is whole all the same.

    For labels both the request and the owner of its key (`is_agreed`) have to allow it.
    """
    if look is not None:
        await house.cache.keep(look, decided, asked, generation)
    is_wanted = is_agreed and asked.is_keeping_allowed and house.wanted.keeps_with_consent
    is_wanted = is_wanted and asked.is_plain and stands_alone(asked.messages)
    if not is_wanted or decided.deployment.pk != decided.decision.chosen_id:
        return
    try:
        await house.workers.query(
            lambda: keep_live_answer(
                request=decided.request,
                decision=decided.decision,
                prompt_text=last_user_text(asked.messages),
                generation=generation,
                now=timezone.now(),
            )
        )
    except DatabaseError:
        logger.exception("the prompt of %s could not be kept for labels", decided.request.public_id)

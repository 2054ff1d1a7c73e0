"""The answer cache as the gateway asks it: before the decision, and after an answer that may be given again."""

import logging
from dataclasses import dataclass

from django.db import DatabaseError
from django.utils import timezone

from benchmarks.federating import NoEmbedder
from benchmarks.inference.base import Generation, InferenceError
from benchmarks.models import Deployment, Prompt
from router import wiring
from router.answering import Caller, Decided, last_user_text
from router.cached_answers import Hit, Placed, find_answer, keep_answer
from router.caching import CacheKeys, CacheRules, is_repeatable, keys_of
from router.embedding import EmbedderMismatch
from router.expected import predicted_in_all
from router.gateway.deciding import Decider, Vector
from router.gateway.working import Workers
from router.index import IndexStoreError
from router.indexing import NoIndex, current_index
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wire import ChatRequest

logger = logging.getLogger(__name__)

# a prompt that cannot be placed has no alike, and whoever routes it says what is wrong
_NOT_PLACED = (
    NoEmbedder, InferenceError, EmbedderMismatch, NoIndex, IndexStoreError, DimensionMismatch, UnusableEmbedding,
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What was looked up for a request, so that its answer can be kept under it."""

    keys: CacheKeys
    placed: Placed | None
    hit: Hit | None


class AnswerCache:
    """Looks up and keeps answers for one event loop."""

    def __init__(self, workers: Workers, decider: Decider, rules: CacheRules) -> None:
        self._workers, self._decider, self._rules = workers, decider, rules

    async def look(self, caller: Caller, asked: ChatRequest) -> Look | None:
        """Look for an answer; None where the cache is off or the request is nothing for it."""
        scope = self._rules.scope(caller.api_key_id)
        if not scope or not caller.is_cache_allowed or not self._rules.takes(asked):
            return None
        keys = keys_of(asked, scope=scope, wishes=repr(caller.key_wish))
        hit = await self._find(keys, None) if asked.cache.is_read else None
        if hit is not None or not self._rules.is_semantic or not keys.kind:
            return Look(keys, None, hit)
        placed = await self._place(last_user_text(asked.messages))
        hit = await self._find(keys, placed) if asked.cache.is_read and placed is not None else None
        return Look(keys, placed, hit)

    async def keep(self, look: Look, decided: Decided, asked: ChatRequest, generation: Generation) -> None:
        """Keep an answer that may be given again; where that fails the answer is whole all the same."""
        if not asked.cache.is_kept or not is_repeatable(generation):
            return
        try:
            await self._workers.query(
                lambda: keep_answer(
                    keys=look.keys,
                    placed=look.placed,
                    decided=decided,
                    generation=generation,
                    rules=self._rules,
                    cost=predicted_in_all(decided.request, decided.decision, decided.deployment),
                    now=timezone.now(),
                )
            )
        except DatabaseError:
            logger.exception("the answer to %s could not be kept to give it again", decided.request.public_id)

    async def _find(self, keys: CacheKeys, placed: Placed | None) -> Hit | None:
        most = self._rules.most_distance
        return await self._workers.query(
            lambda: find_answer(keys=keys, placed=placed, most_distance=most, now=timezone.now())
        )

    async def _place(self, text: str) -> Placed | None:
        try:
            embedder, vector = await self._decider.vector_of(text)
            return await self._workers.query(lambda: _place(vector, embedder))
        except _NOT_PLACED as error:
            logger.warning("a prompt could not be compared with those of the cache: %s", type(error).__name__)
            return None


def _place(vector: Vector, embedder: Deployment) -> Placed | None:
    store, index = wiring.vector_store(), current_index(embedder=wiring.embedder_on(embedder))
    [nearest] = store.nearest(index.collection_name, vector, 1, index.prompt_count)
    category_id = Prompt.objects.filter(pk=nearest.prompt_id).values_list("category_id", flat=True).first()
    return None if category_id is None else Placed(vector, embedder.language_model_id, category_id)

"""Forget what a person wrote, wherever it is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from labeling.erasing import count_words_of, erase_words_of
from router.erasing import erase_traces
from router.index import VectorStore
from router.indexing import drop_from_index
from router.keeping import FORGOTTEN, LIVE_DATASET, forget_requests, kept_alone
from router.models import ApiKey, Conversation, GatewayRequest, IndexedPrompt, PromptIndex


@dataclass(frozen=True)
class Held:
    """How much there is of a person: conversations, requests, kept prompts, and comments and reasons."""

    conversation_count: int
    request_count: int
    kept_count: int
    word_count: int

    @property
    def words(self) -> str:
        """Return it in words."""
        return (
            f"{self.conversation_count:,} conversations, texts of {self.request_count:,} requests, "
            f"{self.kept_count:,} kept prompts, {self.word_count:,} comments and reasons"
        )


def held_of(*, person_id: int) -> Held:
    """Return how much `forget_person` would delete or erase."""
    public_ids = list(_requests_of(person_id).values_list("public_id", flat=True))
    return Held(
        conversation_count=Conversation.objects.filter(owner_id=person_id).count(),
        request_count=len(public_ids),
        kept_count=len(kept_alone(public_ids=public_ids)),
        word_count=count_words_of(person_id=person_id),
    )


def forget_person(*, person_id: int) -> Held:
    """Delete a person's conversations and kept prompts, and erase every text of their requests and judgements.

    The requests are those that they made signed in and by any of their keys. Rows that figures are made of stay without
    a text, and what they judged counts on. Vectors go by `drop_forgotten`. Return how much it was.
    """
    requests = _requests_of(person_id)
    with transaction.atomic():
        public_ids = list(requests.values_list("public_id", flat=True))
        conversations = Conversation.objects.filter(owner_id=person_id)
        conversation_count = conversations.count()
        kept_count = forget_requests(public_ids=public_ids, is_known_too=True)
        erase_traces(requests=requests)
        conversations.delete()
        words = erase_words_of(person_id=person_id)
    return Held(conversation_count, len(public_ids), kept_count, words)


def _requests_of(person_id: int) -> QuerySet[GatewayRequest]:
    # keys by their numbers: each side has its index then, where a join with the keys would read every request
    keys = list(ApiKey.objects.filter(owner_id=person_id).values_list("pk", flat=True))
    return GatewayRequest.objects.filter(Q(user_id=person_id) | Q(api_key__in=keys))


def drop_forgotten(*, store: VectorStore, clock: Callable[[], datetime]) -> int:
    """Take the vectors of forgotten prompts out of Chroma; return how many the current index knew.

    Raises:
        IndexStoreError: Chroma cannot be used; do it again later.
    """
    entries = IndexedPrompt.objects.filter(
        prompt__dataset__name=LIVE_DATASET, prompt__text=FORGOTTEN, index__state=PromptIndex.State.CURRENT
    )
    forgotten = list(entries.values_list("prompt_id", flat=True))
    return drop_from_index(prompt_ids=forgotten, store=store, clock=clock) if forgotten else 0

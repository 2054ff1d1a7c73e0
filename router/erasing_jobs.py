"""What RQ runs now and then: erase the texts whose time is over, and the vectors of what was forgotten."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from router.cached_answers import purge_cache
from router.conversing import delete_old_conversations
from router.erasing import erase_old_texts
from router.forgetting import drop_forgotten
from router.keeping import forget_old
from router.wiring import vector_store

logger = logging.getLogger(__name__)


def erase_texts_of_requests() -> str:
    """Erase what was kept longer than the settings allow; return in a sentence how much of it texts of requests were.

    These are prompts and answers of requests, answers of the cache, conversations, and prompts kept with consent that
    nobody made known.
    """
    now = timezone.now()
    count = erase_old_texts(before=_ago(now, settings.KEEP_TEXT_DAYS))
    if count:
        logger.info("%d texts of requests are older than %d days and were erased", count, settings.KEEP_TEXT_DAYS)
    purge_cache(expired_at=now)
    if settings.KEEP_CHAT_DAYS:
        deleted = delete_old_conversations(before=_ago(now, settings.KEEP_CHAT_DAYS))
        logger.info("%d conversations are older than %d days and were deleted", deleted, settings.KEEP_CHAT_DAYS)
    if settings.KEEP_CONSENTED_DAYS:
        forgotten = forget_old(before=_ago(now, settings.KEEP_CONSENTED_DAYS))
        logger.info("%d kept prompts are older than %d days and were deleted", forgotten, settings.KEEP_CONSENTED_DAYS)
    return f"{count} texts erased."


def drop_forgotten_vectors() -> str:
    """Take the vectors of forgotten prompts out of the index; return in a sentence how many."""
    return f"{drop_forgotten(store=vector_store(), clock=timezone.now)} vectors dropped."


def _ago(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)

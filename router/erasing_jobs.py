"""What RQ runs now and then: erase the texts of requests whose time is over."""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from router.erasing import erase_old_texts

logger = logging.getLogger(__name__)


def erase_texts_of_requests() -> str:
    """Erase what was kept of prompts and answers longer than the setting allows; return in a sentence how much."""
    count = erase_old_texts(before=timezone.now() - timedelta(days=settings.KEEP_TEXT_DAYS))
    if count:
        logger.info("%d texts of requests are older than %d days and were erased", count, settings.KEEP_TEXT_DAYS)
    return f"{count} texts erased."

"""What RQ runs now and then: look whether campaigns have ended or stalled, and tell the admins."""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from greenllm.notices.mailing import mail_notices
from labeling.campaigning import notice_campaigns

logger = logging.getLogger(__name__)


def check_campaigns() -> str:
    """Notice ends and stalls, and mail them where a mail server is set; return what was new in a sentence."""
    now = timezone.now()
    made = notice_campaigns(now=now, stall_after=timedelta(hours=settings.STALL_HOURS))
    mailed_count = mail_notices(now=now) if settings.EMAIL_HOST else 0
    for notice in made:
        logger.info("%s: notice %s", notice, notice.pk)
    return f"{len(made)} new notice{'' if len(made) == 1 else 's'}, {mailed_count} mailed."

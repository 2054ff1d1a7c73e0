"""Notices by e-mail, to the admins who have an address."""

import logging
import smtplib
from datetime import datetime

from django.core.mail import EmailMessage

from greenllm.models import User
from greenllm.roles import Role
from labeling.models import CampaignNotice

logger = logging.getLogger(__name__)

_BODY = """{text}

It is on the front page of GreenLLM until you dismiss it there, or until somebody judges on.
"""


def mail_notices(*, now: datetime) -> int:
    """Send every notice in force that was not sent yet to the admins with an address; return how many were sent.

    A notice is marked before it is sent, so that two processes do not both send it; where the mail server refuses or
    cannot be reached, the mark is taken off, and the next call tries again.
    """
    admins = User.objects.filter(is_active=True, groups__name=Role.ADMIN.value).exclude(email="")
    addresses = sorted(set(admins.values_list("email", flat=True)))
    unsent = CampaignNotice.objects.filter(mailed_at__isnull=True, over_at__isnull=True)
    if not addresses:
        return 0
    return sum(_mail(notice, addresses, now) for notice in unsent.select_related("study").order_by("pk"))


def _mail(notice: CampaignNotice, addresses: list[str], now: datetime) -> bool:
    if not CampaignNotice.objects.filter(pk=notice.pk, mailed_at__isnull=True).update(mailed_at=now):
        return False
    message = EmailMessage(f"GreenLLM: {notice.title}", _BODY.format(text=notice.text), bcc=addresses)
    try:
        message.send()
    except (OSError, smtplib.SMTPException):
        logger.exception("notice %s could not be mailed; it is tried again", notice.pk)
        CampaignNotice.objects.filter(pk=notice.pk).update(mailed_at=None)
        return False
    return True

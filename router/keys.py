"""API keys: made once, shown once, stored as a hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from router.models import ApiKey

_PREFIX = "gllm-"
_SHOWN_LENGTH = 12
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class NewKey:
    """A key and its only showing."""

    key: ApiKey
    secret: str


def create_key(*, owner_id: int, name: str, **terms: Any) -> NewKey:
    """Make a key of 256 random bits for a person; the secret cannot be read again later.

    `terms` are fields of the row that say what the key may be used for; without them, for everything.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        owner_id=owner_id, name=name, prefix=secret[:_SHOWN_LENGTH], digest=_digest(secret), **terms
    )
    return NewKey(key, secret)


def find_key(*, secret: str) -> ApiKey | None:
    """Return the key that a secret belongs to, unless it was revoked or its owner is switched off."""
    return (
        ApiKey.objects.select_related("owner")
        .filter(digest=_digest(secret), revoked_at__isnull=True, owner__is_active=True)
        .first()
    )


def note_use(*, key: ApiKey, now: datetime) -> None:
    """Note that a key was used; to the minute, so that not every request writes."""
    if key.latest_used_at is None or now - key.latest_used_at >= _NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(latest_used_at=now)


def revoke_key(*, key: ApiKey, now: datetime) -> None:
    """Refuse a key from now on."""
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])


def agree_to_keeping(*, key: ApiKey, is_agreed: bool) -> None:
    """Set whether prompts that are sent with a key may be kept where a request allows it; only its owner can agree.

    What was kept while it was agreed stays.
    """
    key.is_keeping_agreed = is_agreed
    key.save(update_fields=["is_keeping_agreed"])


def _digest(secret: str) -> str:
    """Return the SHA-256 of a secret; a slow hash would add nothing to 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()

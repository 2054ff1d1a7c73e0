"""A second factor beside the password: for whom it is required, who has one, and how one is taken away.

django-allauth keeps it (`allauth.mfa`): codes of an authenticator app after RFC 6238, and codes for the day when the
app is lost. What is ours is who must have one, that what is stored can be read with this installation's key alone, and
that a code counts once.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import transaction

from greenllm.models import User
from greenllm.roles import is_admin

KEY_PURPOSE = b"greenllm second factor"
_UNREADABLE = (
    "This installation's SECRET_KEY is another one than the second factor was kept with. "
    "Ask another admin, or whoever runs the machine, to take your second factor away: manage.py remove_second_factor."
)


def is_required_of(person: User | AnonymousUser) -> bool:
    """Tell whether somebody may do nothing without a second factor: admins, where the setting says so."""
    return settings.SECOND_FACTOR == "admins" and is_admin(person)


def has_second_factor(person: User | AnonymousUser) -> bool:
    """Tell whether somebody has an authenticator app set up; codes for its loss alone are none."""
    return person.pk is not None and Authenticator.objects.filter(user_id=person.pk, type="totp").exists()


def remove_second_factor(person: User) -> int:
    """Take a person's second factor away with its spare codes; return how many rows there were, 0 where none."""
    with transaction.atomic():
        found = list(Authenticator.objects.select_for_update().filter(user=person))
        for one in found:
            one.delete()
    return len(found)


def sealed(text: str) -> str:
    """Encrypt a secret for the database, by a key made of SECRET_KEY (HKDF, Fernet)."""
    return _cipher().encrypt(text.encode()).decode()


def unsealed(text: str) -> str:
    """Decrypt what `sealed` made, also with a former key of SECRET_KEY_FALLBACKS.

    Raises:
        ValidationError: it was made with another key; a form that asks for a code shows this.
    """
    try:
        return _cipher().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise ValidationError(_UNREADABLE) from error


def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _keys()])


def _keys() -> Iterator[bytes]:
    secrets: list[Any] = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    for secret in secrets:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=KEY_PURPOSE).derive(str(secret).encode())
        yield urlsafe_b64encode(derived)

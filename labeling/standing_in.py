"""People who judged elsewhere: somebody stands in for them here who can never sign in."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


class NameRefused(ValueError):
    """Nobody can have the username; the message says why."""


def stand_in(*, username: str, is_preview: bool = False) -> Any:  # Any: the person of the settings' user model
    """Make the person who stands for a judge from elsewhere; they cannot sign in. A preview only looks at the name.

    Raises:
        NameRefused: the username is none.
    """
    people: Any = get_user_model()
    person = people(username=username, is_active=False)
    person.set_unusable_password()
    try:
        person.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise NameRefused("; ".join(error.messages)) from error
    if not is_preview:
        person.save()
    return person

"""People and their way in: invitations, links to set a password, roles, switching off and on."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from greenllm.account.second_factor import remove_second_factor
from greenllm.models import User
from greenllm.roles import Role


class NotYours(PermissionError):
    """One person may not do this to another, or to themselves; the message says why."""


class LinkTokens(PasswordResetTokenGenerator):
    """Tokens of links that set a password: void once used, after the next sign-in, and when the person's rank changes.

    Without the last one, somebody who was handed a link for an ordinary account could use it after that account
    became a superuser's.
    """

    key_salt = "greenllm.account.inviting.LinkTokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.is_active}{user.is_staff}{user.is_superuser}"


link_tokens = LinkTokens()


def invite_person(*, username: str, roles: Iterable[Role]) -> User:
    """Make a person without a password; a link lets them set one."""
    with transaction.atomic():
        person = User.objects.create_user(username, password=None)
        person.groups.set(_groups(roles))
    return person


def password_path(*, person: User, by: User) -> str:
    """Return the path of a link by which a person sets a password once, for PASSWORD_RESET_TIMEOUT seconds.

    The token is made of the person's row and nothing is stored: whoever has the link may use it.

    Raises:
        NotYours: the person may not be touched by this admin, or is switched off.
    """
    _require_may_touch(person, by)
    if not person.is_active:
        raise NotYours(f"{person} is switched off; switch {person} on first.")
    uid = urlsafe_base64_encode(force_bytes(person.pk))
    return reverse("account:set-password", args=[uid, link_tokens.make_token(person)])


def set_roles(*, person: User, roles: Iterable[Role], by: User) -> None:
    """Give a person exactly these roles; groups that are no roles stay.

    Raises:
        NotYours: the person may not be touched by this admin, or an admin would drop their own role.
    """
    wanted = set(roles)
    _require_may_touch(person, by)
    if person.pk == by.pk and Role.ADMIN not in wanted and not by.is_superuser:
        raise NotYours("You cannot take the admin role from yourself; another admin can.")
    with transaction.atomic():
        person.groups.remove(*person.groups.filter(name__in=Role.values).exclude(name__in=wanted))
        person.groups.add(*_groups(wanted))


def take_second_factor_of(*, person: User, by: User) -> bool:
    """Take the second factor of a person away who lost it; tell whether there was one.

    Raises:
        NotYours: the person may not be touched by this admin, or it is the admin's own: their account page does that.
    """
    _require_may_touch(person, by)
    if person.pk == by.pk:
        raise NotYours("Your own second factor is taken away on your account page, by a code.")
    return remove_second_factor(person) > 0


def switch_person(*, person: User, is_active: bool, by: User) -> None:
    """Switch a person off or on. Off ends their sessions and refuses their keys at once, and keeps what they did.

    Raises:
        NotYours: the person may not be touched by this admin, or an admin would switch themselves off.
    """
    _require_may_touch(person, by)
    if person.pk == by.pk and not is_active:
        raise NotYours("You cannot switch yourself off; another admin can.")
    person.is_active = is_active
    person.save(update_fields=["is_active"])


def may_touch(*, person: User, by: User) -> bool:
    """Tell whether an admin may change a person: superusers and staff are for superusers alone."""
    return by.is_superuser or not (person.is_superuser or person.is_staff)


def _require_may_touch(person: User, by: User) -> None:
    if not may_touch(person=person, by=by):
        raise NotYours(f"{person} may open the admin site; only a superuser may change such a person.")


def _groups(roles: Iterable[Role]) -> list[Group]:
    return [Group.objects.get_or_create(name=role.value)[0] for role in sorted(roles)]

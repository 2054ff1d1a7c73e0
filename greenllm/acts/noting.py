"""Tell Postgres who acts, so that its triggers write down what an admin changes, in the transaction that changes it."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from greenllm import access
from greenllm.access import NoRule, door_of
from greenllm.account.locking import address_of
from greenllm.acts.telling import Teller
from greenllm.models import AdminAct, User
from greenllm.roles import is_admin

_OF_ADMINS = frozenset({access.ADMINS, access.STAFF, access.PERMITTED_STAFF})
_OF_PEOPLE = frozenset({access.PEOPLE, access.OWNER_AND_ADMINS})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class NoteActs(MiddlewareMixin):
    """Has what admins write by a page noted; it stands after the middleware that knows who asks."""

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """Begin to tell who acts, in the thread that runs the view and on its connection."""
        if request.method in _READING or not is_act_of_admin(request):
            return
        teller = Teller({"person": request.user.pk, "address": address_of(request)})
        teller.begin()
        request._telling_acts = teller  # type: ignore[attr-defined]  # taken away in `process_response`

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Tell no more: the connection may serve somebody else now."""
        teller: Teller | None = getattr(request, "_telling_acts", None)
        if teller is not None:
            teller.end()
        return response


def is_act_of_admin(request: HttpRequest) -> bool:
    """Tell whether a request may change what admins alone change, or is an admin's about a thing of their own.

    It goes by the table of doors: votes and prompts, of which there are many, are told apart without a query.
    """
    match = request.resolver_match
    try:
        door = None if match is None else door_of(match.view_name, str(request.method))
    except NoRule:
        return is_admin(request.user)
    if door in _OF_ADMINS:
        return request.user.is_authenticated
    return door in _OF_PEOPLE and is_admin(request.user)


def note_link(request: HttpRequest, person: User) -> None:
    """Note that an admin made a link by which somebody sets a password: no row tells of it."""
    AdminAct.objects.create(
        happened_at=timezone.now(),
        person_id=request.user.pk,
        address=address_of(request),
        kind=AdminAct.Kind.LINK_MADE,
        table=person._meta.db_table,
        object_id=str(person.pk),
    )

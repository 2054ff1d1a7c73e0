"""Tell Postgres who acts, so that its triggers write down what an admin changes, in the transaction that changes it."""

import json
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from greenllm import access
from greenllm.access import NoRule, door_of
from greenllm.account.locking import address_of
from greenllm.models import AdminAct, User
from greenllm.roles import is_admin

_OF_ADMINS = frozenset({access.ADMINS, access.STAFF, access.PERMITTED_STAFF})
_OF_PEOPLE = frozenset({access.PEOPLE, access.OWNER_AND_ADMINS})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITING = ("INSERT", "UPDATE", "DELETE")
_TELL = "SELECT set_config('greenllm.actor', %s, false)"


class NoteActs(MiddlewareMixin):
    """Has what admins write by a page noted; it stands after the middleware that knows who asks."""

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """Begin to tell who acts, in the thread that runs the view and on its connection."""
        if request.method in _READING or not is_act_of_admin(request):
            return
        actor = json.dumps({"person": request.user.pk, "address": address_of(request)})
        note = _Noting(actor)
        connection.execute_wrappers.append(note)
        request._noting_acts = note  # type: ignore[attr-defined]  # taken away in `process_response`

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Tell no more: the connection may serve somebody else now."""
        note: _Noting | None = getattr(request, "_noting_acts", None)
        if note is not None:
            connection.execute_wrappers.remove(note)
            if note.has_told:
                _tell_nobody()
        return response


class _Noting:
    """Tells who acts before each statement that writes: a connection may be a new one, and a rollback forgets it."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self.has_told = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.lstrip()[:6].upper() in _WRITING:
            with context["connection"].wrap_database_errors:
                context["connection"].connection.execute(_TELL, [self._actor])
            self.has_told = True
        return execute(sql, params, many, context)


def _tell_nobody() -> None:
    """End what was told on this connection; one that cannot be told is closed."""
    if connection.connection is None:
        return
    try:
        with connection.wrap_database_errors:
            connection.connection.execute(_TELL, [""])
    except DatabaseError:
        connection.close()


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

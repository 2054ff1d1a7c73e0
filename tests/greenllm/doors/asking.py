"""Ask for addresses from outside, and say what became of it at the door."""

from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.test import Client

from greenllm import access
from greenllm.access import Visitor, door_of
from greenllm.models import User
from tests.browsing import session_of
from tests.greenllm.doors.world import Address

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
ELSEWHERE = "203.0.113.7"  # kept for documentation: no machine has it
UNNAMED = frozenset({Visitor.UNNAMED, Visitor.LOCAL})
_SIGN_IN = ("/account/sign-in/", "/admin/login/")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CSP = {
    "default-src": "'self'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
    "connect-src": "'self'", "object-src": "'none'", "base-uri": "'none'", "form-action": "'self'",
    "frame-ancestors": "'none'",
}  # fmt: skip
_WITHOUT_CSP = "/admin/django_rq/"  # its pages carry an inline script and style


class Caller:
    """Somebody who asks through the whole middleware; whatever a request changes is taken back after it."""

    def __init__(self, person: User | None = None, *, address: str = ELSEWHERE, strict: bool = False) -> None:
        self._client = Client(enforce_csrf_checks=strict, raise_request_exception=False, REMOTE_ADDR=address)
        self._cookies = {settings.SESSION_COOKIE_NAME: session_of(person)} if person is not None else {}

    def ask(self, method: str, address: Address, query: str = "", **headers: str) -> Any:
        self._client.cookies = SimpleCookie(self._cookies)
        path = address.path + (query and ("&" if "?" in address.path else "?") + query)
        send = getattr(self._client, method.lower())
        with transaction.atomic():
            response = send(
                path,
                **({"data": address.body} if method == "POST" else {}),
                headers={"Accept": "text/html", **headers},
            )
            if response.streaming and address.name != "operations:live":  # which has no end, and is never begun
                _read_to_the_end(response)
            transaction.set_rollback(True)
        return response


def _read_to_the_end(response: Any) -> None:
    """Read a file, which closes it."""

    async def read() -> None:
        async for _ in response.streaming_content:
            pass

    async_to_sync(read)()


def outcome_of(response: Any) -> str:
    """Return what became of a request at the door: `in`, or how it was refused."""
    place = response.headers.get("Location") or response.headers.get("HX-Redirect") or ""
    if place.partition("?")[0] in _SIGN_IN and "?next=" in place:
        return "sign in"
    if place == "/admin/" and response.request["PATH_INFO"] != "/admin/login/":
        return "missing"  # so the admin site says that there is no such row
    status = response.status_code
    known = {403: "forbidden", 404: "missing", 405: "no such method"}
    return known.get(status, "in" if status < HTTPStatus.INTERNAL_SERVER_ERROR else f"fault {status}")


def expected_of(name: str, method: str, visitor: Visitor) -> set[str]:
    """Return what may become of a request, by the declared table."""
    door = door_of(name, method)
    if door is None:
        return {"no such method"}
    if visitor in door.lets_in:
        return {"in"}
    if visitor is Visitor.LOCAL and door is access.OWNER and name.startswith("chat:"):
        return {"missing"}  # may chat, and has no conversation
    if visitor in UNNAMED:
        return {"sign in", "forbidden"}
    return {"missing"} if door in {access.OWNER, access.OWNER_AND_ADMINS} else {"forbidden"}


def missing_headers(address: Address, response: Any) -> list[str]:
    """Return what a response lacks of the headers that every response has."""
    lacking = [name for name, value in _HEADERS.items() if response.headers.get(name) != value]
    told = response.headers.get("Content-Security-Policy", "")
    policy = {one.split()[0]: " ".join(one.split()[1:]) for one in told.split(";") if one.strip()}
    if policy != _CSP and not address.path.startswith(_WITHOUT_CSP):
        lacking.append(f"Content-Security-Policy, but {told!r}")
    return lacking

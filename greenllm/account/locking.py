"""What django-axes asks of us: who asks, and the page that says how long signing in rests after wrong passwords."""

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from router.addresses import client_address


def address_of(request: HttpRequest) -> str | None:
    """Return the address that a request came from, behind trusted proxies that of their client."""
    return client_address(
        request.META.get("REMOTE_ADDR"), request.headers.get("X-Forwarded-For", ""), settings.TRUSTED_PROXIES
    )


def locked(request: HttpRequest, _response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """Say until when nobody may sign in by this name from this address."""
    until = _until(request, (credentials or {}).get("username"))
    wait_s = max(1, round((until - timezone.now()).total_seconds()))
    response = render(request, "account/locked.html", {"until": until}, status=429)
    response["Retry-After"] = str(wait_s)
    return response


def _until(request: HttpRequest, username: str | None) -> datetime:
    """Return when the rest is over; it begins with the latest attempt that counted."""
    attempts = AccessAttempt.objects.filter(username=username, ip_address=address_of(request))
    latest = attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    rest: timedelta = settings.AXES_COOLOFF_TIME
    return (latest or timezone.now()) + rest

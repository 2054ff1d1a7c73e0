"""One question to a live service over HTTP: bounded in time and size, its failures told apart."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.grid.base import (
    IntensityError,
    KeyRefused,
    ProviderBusy,
    ProviderUnreachable,
    UnknownZone,
    UnusableAnswer,
)
from benchmarks.reach import AddressForbidden, open_client

MAX_ANSWER_BYTES = 1024 * 1024
SIMULATED_SERVER = "greenllm-simulated-grid"

_HEADERS = {"Accept": "application/json", "User-Agent": "GreenLLM"}  # Great Britain asks who is asking
_KEY_STATUSES = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_ZONE_STATUSES = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}


@dataclass(frozen=True)
class Answer:
    """What a service sent, and whether it is a twin."""

    body: dict[str, Any]
    is_simulated: bool


def ask(
    url: str,
    *,
    timeout_s: float,
    zone: str,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one GET and return the JSON object of its answer; redirects are not followed, a key could go astray.

    Raises:
        IntensityError: no answer in time, a refusal, or no JSON object; the class tells which.
    """
    deadline = time.monotonic() + timeout_s
    host = urlsplit(url).netloc
    try:
        with (
            open_client(timeout=httpx.Timeout(timeout_s), follow_redirects=False) as client,
            client.stream("GET", url, params=params, headers={**_HEADERS, **(headers or {})}) as got,
        ):
            content = _content(got, host, deadline, timeout_s)
    except httpx.TimeoutException as error:
        raise ProviderUnreachable(f"{host} did not answer within {timeout_s:g} s.") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if isinstance(error.__cause__, AddressForbidden):
            raise ProviderUnreachable(f"It is not asked: {error}") from error
        raise ProviderUnreachable(f"{host or url} cannot be reached ({type(error).__name__}).") from error
    except httpx.DecodingError as error:
        raise UnusableAnswer(f"{host} sent a body that cannot be unpacked.") from error
    if got.status_code != HTTPStatus.OK:
        raise _refusal(host, got.status_code, zone)
    return Answer(_parsed(content, host), got.headers.get("Server", "").startswith(SIMULATED_SERVER))


def _content(response: httpx.Response, host: str, deadline: float, timeout_s: float) -> bytes:
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise UnusableAnswer(f"{host} sent more than {MAX_ANSWER_BYTES} bytes.")
        if time.monotonic() > deadline:
            raise ProviderUnreachable(f"{host} did not finish its answer within {timeout_s:g} s.")
    return content


def _refusal(host: str, status: int, zone: str) -> IntensityError:
    if status in _KEY_STATUSES:
        return KeyRefused(f"{host} refused the key, or the key does not cover the zone {zone!r} ({status}).")
    if status in _ZONE_STATUSES:
        return UnknownZone(f"{host} does not know the zone {zone!r} ({status}).")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderBusy(f"{host} refused for now ({status}).")
    return UnusableAnswer(f"{host} answered {status}, which is neither an intensity nor a refusal that is known.")


def _parsed(content: bytes, host: str) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer(f"{host} sent something that is no JSON.") from error
    if not isinstance(body, dict):
        raise UnusableAnswer(f"{host} sent JSON that is no object.")
    return body

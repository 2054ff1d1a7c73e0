"""Every address of the endpoint, on both wires, asked for by keys of every kind through the served application."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import timezone

from greenllm.access import KEYS, door_of
from router.gateway.application import SURFACES
from router.keys import create_key, revoke_key
from router.terms import Scope
from tests import factories as make
from tests.greenllm.doors.asking import METHODS
from tests.greenllm.doors.world import NOT_DJANGO, Address, address_of, named_routes
from tests.router.endpoint import EVERY_APP, Endpoint, OpenEndpoint

pytestmark = [EVERY_APP, pytest.mark.slow]

SCOPE_OF = {
    **dict.fromkeys(
        ("openai:chat-completions", "openai:completions", "ollama:chat", "ollama:generate"), Scope.GENERATE
    ),
    **dict.fromkeys(("openai:embeddings", "ollama:embed", "ollama:embeddings"), Scope.EMBED),
    "openai:route": Scope.ROUTE,
}
BODIES = {
    "openai:chat-completions": {"model": "auto", "messages": [{"role": "user", "content": "what is two plus three"}]},
    "openai:completions": {"model": "auto", "prompt": "what is two plus three"},
    "openai:route": {"model": "auto", "messages": [{"role": "user", "content": "what is two plus three"}]},
    "openai:embeddings": {"model": "all-minilm", "input": "a text"},
    "ollama:chat": {"model": "auto", "messages": [{"role": "user", "content": "what is two plus three"}]},
    "ollama:generate": {"model": "auto", "prompt": "what is two plus three"},
    "ollama:embed": {"model": "all-minilm", "input": "a text"},
    "ollama:embeddings": {"model": "all-minilm", "prompt": "a text"},
}
REFUSED = {"ollama:pull", "ollama:create", "ollama:delete", "ollama:push", "ollama:copy", "ollama:blobs"}


@dataclass(frozen=True)
class Asked:
    """One address, asked once."""

    address: Address
    method: str
    status: int


def addresses() -> list[Address]:
    rows = {"openai.public_id": "req_none", "openai.name": "auto", "ollama.digest": "sha256:0"}
    found = [one for one in named_routes() if one[0].partition(":")[0] in NOT_DJANGO]
    return [
        address_of(name, arguments, rows) for name, arguments in found if name != "openai:openapi"
    ]  # which everybody reads


def ask_all(endpoint: Endpoint, secret: str | None) -> Iterator[Asked]:
    asked = [(address, method) for address in addresses() for method in METHODS]
    responses = endpoint.send_each(
        [(method, address.path, body_of(address) if method == "POST" else b"") for address, method in asked],
        secret=secret,
    )
    for (address, method), response in zip(asked, responses, strict=True):
        assert response["X-Content-Type-Options"] == "nosniff", address
        assert response["X-Frame-Options"] == "DENY", address
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"], address
        yield Asked(address, method, response.status_code)


def body_of(address: Address) -> bytes:
    return json.dumps(BODIES.get(address.name, {"model": "tiny"})).encode()


class TestEndpoint:
    def test_answers_every_address_that_generates_before_django(self) -> None:
        named = {one.path: one.name for one in addresses()}
        assert {SCOPE_OF[named[path]] for path in SURFACES} == {Scope.GENERATE}
        assert {named[path] for path in SURFACES} == {name for name, scope in SCOPE_OF.items() if scope == "generate"}

    def test_opens_nothing_without_a_good_key(self, open_endpoint: OpenEndpoint) -> None:
        endpoint, person = open_endpoint(), make.make_user()
        revoked = create_key(owner_id=person.pk, name="revoked")
        revoke_key(key=revoked.key, now=timezone.now())
        away = create_key(owner_id=make.make_user(is_active=False).pk, name="of somebody switched off")
        for secret in (None, "gllm-unknown", revoked.secret, away.secret):
            for one in ask_all(endpoint, secret):
                assert one.status in {401, 405}, one
                assert (one.status == 405) is (door_of(one.address.name, one.method) is None), one
                assert KEYS in {door_of(one.address.name, method) for method in METHODS}, one
        assert not endpoint.server.requests

    @pytest.mark.parametrize("scope", list(Scope))
    def test_opens_by_the_scope_of_a_key(self, scope: Scope, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint()
        narrow = create_key(owner_id=make.make_user().pk, name="narrow", scopes=[scope.value])
        for one in ask_all(endpoint, narrow.secret):
            wanted = SCOPE_OF.get(one.address.name, scope)
            if one.method == "POST" and wanted is not scope:
                assert one.status == 403, one
            elif one.address.name not in REFUSED:
                assert one.status not in {401, 403}, one
            assert one.status < 500, one

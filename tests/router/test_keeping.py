"""Prompts of live traffic that may be kept: only with consent, only what stands alone, and forgotten on demand."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from benchmarks.inference.base import ChatMessage, Generation
from benchmarks.models import Category, Prompt, Response, Study
from labeling.waiting import QueueFilter, among, is_waiting
from router.indexing import training_prompts
from router.keeping import (
    forget,
    forget_requests,
    keep_live_answer,
    kept_prompts,
    make_known,
    make_unknown,
    stands_alone,
)
from router.keys import agree_to_keeping
from tests import factories as make
from tests.browsing import served, session_of
from tests.factories import NOW
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint, error_of
from tests.router.standins import Federation, make_federation, make_index


def generated(text: str = "Four.") -> Generation:
    return Generation(text, None, 5, 3, 1000, 0, 400, 600, 500, "stop")


def kept(federation: Federation, text: str = "what is two plus nine", answer: str = "Eleven.") -> Response | None:
    request = make.make_gateway_request()
    decision = make.make_decision(request=request, chosen=federation.small, category=federation.math.category)
    return keep_live_answer(request=request, decision=decision, prompt_text=text, generation=generated(answer), now=NOW)


class TestStandingAlone:
    @pytest.mark.parametrize(
        ("roles", "alone"),
        [(["user"], True), (["system", "user"], False), (["user", "assistant", "user"], False), ([], False)],
    )
    def test_is_one_prompt_and_nothing_else(self, roles: list[str], alone: bool) -> None:
        assert stands_alone([ChatMessage(role, "Hi") for role in roles]) is alone  # type: ignore[arg-type]


@pytest.mark.django_db
class TestKeeping:
    def test_makes_a_response_of_the_live_study_with_its_source(self) -> None:
        response = kept(make_federation())
        assert response is not None
        assert (response.study.name, response.study.kind, response.study.state) == ("live-traffic", "live", "finished")
        assert (response.text, response.output_token_count, response.answered_by) == ("Eleven.", 3, "small")
        assert response.gateway_request_public_id.startswith("req_")
        assert (response.prompt.role, response.prompt.category.name) == ("unused", "math")
        assert response.measurement is None

    def test_waits_in_the_label_queue(self) -> None:
        response = kept(make_federation())
        assert response is not None
        assert among([response.pk], chosen=QueueFilter()) == [response.pk]
        assert is_waiting(response_id=response.pk)

    def test_twice_of_one_text_is_one_prompt_with_two_answers(self) -> None:
        federation = make_federation()
        first, second = kept(federation), kept(federation)
        assert first is not None
        assert second is not None
        assert first.prompt == second.prompt
        assert (first.repeat, second.repeat) == (1, 2)
        assert Study.objects.filter(kind="live").count() == 1

    def test_is_nothing_where_the_caller_named_the_model_or_no_word_came(self) -> None:
        federation = make_federation()
        assert kept(federation, answer=" ") is None
        request = make.make_gateway_request()
        pinned = make.make_decision(request=request, chosen=federation.small, reason="pinned")
        arguments = {"request": request, "decision": pinned, "generation": generated(), "now": NOW}
        assert keep_live_answer(prompt_text="Hi", **arguments) is None
        assert not kept_prompts().exists()


@pytest.mark.django_db
class TestMakingKnown:
    def test_lets_the_next_index_take_it_in_the_chosen_category(self) -> None:
        federation = make_federation()
        response = kept(federation)
        assert response is not None
        assert response.prompt not in training_prompts(None)
        make_known(prompt=response.prompt, category=Category.objects.get(name="code"))
        prompt = Prompt.objects.get(pk=response.prompt_id)
        assert (prompt.role, prompt.category.name) == ("train", "code")
        assert prompt in training_prompts(None)
        make_unknown(prompt=prompt)
        assert prompt not in training_prompts(None)


@pytest.mark.django_db
class TestForgetting:
    def test_deletes_prompt_and_answers(self) -> None:
        response = kept(make_federation())
        assert response is not None
        forget(prompt=response.prompt)
        assert not Prompt.objects.filter(pk=response.prompt_id).exists()
        assert not Response.objects.filter(pk=response.pk).exists()

    def test_erases_the_texts_where_rows_must_stay(self) -> None:
        federation = make_federation()
        response = kept(federation, "my secret plan", "A secret answer.")
        assert response is not None
        make.make_label(response)
        make_known(prompt=response.prompt, category=response.prompt.category)
        make_index([federation.math, response.prompt], embedder=federation.embedder, store=federation.store)
        forget(prompt=response.prompt)
        prompt = Prompt.objects.get(pk=response.prompt_id)
        response.refresh_from_db()
        assert (prompt.text, prompt.item_text, prompt.role) == ("(deleted)", "(deleted)", "unused")
        assert (response.text, response.state) == ("", "cancelled")
        assert not kept_prompts().exists()

    def test_leaves_what_another_study_has_measured(self) -> None:
        response = kept(make_federation())
        assert response is not None
        measured = make.make_response(response.prompt, response.deployment, energy_j=10.0, text="Measured.")
        forget(prompt=response.prompt)
        measured.refresh_from_db()
        assert (measured.state, measured.text, measured.prompt.text) == ("finished", "", "(deleted)")
        assert measured.measurement is not None
        assert measured.measurement.energy_j == 10.0

    def test_comes_back_whole_where_it_is_sent_again(self) -> None:
        federation = make_federation()
        response = kept(federation)
        assert response is not None
        make.make_label(response)
        forget(prompt=response.prompt)
        again = kept(federation)
        assert again is not None
        assert (again.prompt_id, again.prompt.text) == (response.prompt_id, "what is two plus nine")

    def test_of_a_request_leaves_what_is_known_and_what_others_sent(self) -> None:
        federation = make_federation()
        mine, shared, known = kept(federation, "mine"), kept(federation, "shared"), kept(federation, "known")
        others = kept(federation, "shared")
        assert mine is not None
        assert shared is not None
        assert known is not None
        assert others is not None
        make_known(prompt=known.prompt, category=known.prompt.category)
        ids = [one.gateway_request_public_id for one in (mine, shared, known)]
        assert forget_requests(public_ids=ids) == 1
        assert [prompt.text for prompt in kept_prompts()] == ["known", "shared"]


@pytest.mark.slow
class TestEndpoint:
    pytestmark = COMMITTED

    @pytest.mark.parametrize(
        ("is_switched_on", "is_agreed", "fields", "count"),
        [
            (True, True, {"store": True}, 1),
            (True, True, {"store": False}, 0),
            (True, True, {}, 0),
            (False, True, {"store": True}, 0),
            (True, True, {"store": True, "model": "small"}, 0),
            (True, False, {"store": True}, 0),
        ],
        ids=["consent", "refused", "not asked", "switched off", "named", "owner has not agreed"],
    )
    def test_keeps_with_consent_alone(
        self,
        endpoint: Endpoint,
        settings: Settings,
        is_switched_on: bool,
        is_agreed: bool,
        fields: dict[str, Any],
        count: int,
    ) -> None:
        settings.KEEP_WITH_CONSENT = is_switched_on
        agree_to_keeping(key=endpoint.key, is_agreed=is_agreed)
        answer = endpoint.chat(**fields)
        assert answer.status_code == 200
        assert b"Five." in answer.content
        assert Response.objects.filter(study__kind="live").count() == count
        assert kept_prompts().count() == count

    def test_keeps_no_later_turn_and_nothing_under_instructions(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.KEEP_WITH_CONSENT = True
        agree_to_keeping(key=endpoint.key, is_agreed=True)
        said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": LIKE_MATH}]
        assert endpoint.chat(messages=said, store=True).status_code == 200
        assert not kept_prompts().exists()

    def test_refuses_consent_that_is_none(self, endpoint: Endpoint) -> None:
        answer = endpoint.chat(store="yes")
        assert answer.status_code == 400
        assert error_of(answer)["param"] == "store"


@pytest.mark.slow
class TestServed:
    @pytest.fixture
    def address(self, transactional_db: None, settings: Settings) -> Iterator[str]:
        settings.KEEP_WITH_CONSENT = True
        with served() as address:
            yield address
        connections.close_all()

    @staticmethod
    @contextmanager
    def visit(address: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=address, cookies={"sessionid": session_of(make.make_user())}, timeout=10) as visitor:
            page = visitor.get("/chat/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert found
            visitor.headers["X-CSRFToken"] = found[1]
            yield visitor

    @staticmethod
    def send(visitor: httpx.Client, **fields: str) -> str:
        """Send a prompt of the page without a script; return the address of its conversation."""
        sent = visitor.post("/chat/send/", data={"prompt": LIKE_MATH, "model": "auto", **fields})
        return sent.headers["Location"]

    def test_keeps_a_streamed_answer(self, endpoint: Endpoint, address: str) -> None:
        agree_to_keeping(key=endpoint.key, is_agreed=True)
        body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}], "stream": True, "store": True}
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        answer = httpx.post(f"{address}/v1/chat/completions", json=body, headers=headers, timeout=10)
        assert "[DONE]" in answer.text
        assert [one.text for one in Response.objects.filter(study__kind="live")] == ["Five."]

    def test_keeps_the_first_prompt_of_a_chat_where_ticked_and_forgets_it_with_it(
        self, endpoint: Endpoint, address: str
    ) -> None:
        with self.visit(address) as visitor:
            assert 'name="keep"' in visitor.get("/chat/").text
            self.send(visitor)
            assert not kept_prompts().exists()
            place = self.send(visitor, keep="yes")
            assert [prompt.text for prompt in kept_prompts()] == [LIKE_MATH]
            self.send(visitor, keep="yes", conversation=place.strip("/").split("/")[-1])
            assert Response.objects.filter(study__kind="live").count() == 1
            assert visitor.post(f"{place}delete/").status_code == 302
        assert not kept_prompts().exists()
        assert not Response.objects.filter(study__kind="live").exists()

    def test_asks_for_nothing_where_nothing_is_kept(self, address: str, settings: Settings) -> None:
        settings.KEEP_WITH_CONSENT = False
        with self.visit(address) as visitor:
            assert 'name="keep"' not in visitor.get("/chat/").text

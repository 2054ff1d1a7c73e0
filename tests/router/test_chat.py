"""The chat's addresses from outside: who may do what, and what comes back."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from greenllm.models import User
from greenllm.roles import Role, grant_role
from router.models import Conversation, GatewayRequest, Message, RoutingDecision
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served, session_of
from tests.router.endpoint import LIKE_MATH, OpenEndpoint
from tests.router.test_streaming import note_connections

pytestmark = pytest.mark.django_db

SEND = "/chat/send/"
REFUSE = "/chat/refuse/"
REGENERATE = "/chat/regenerate/"
SHOW = "/chat/show/"
THUMB = "/chat/thumb/"
PATIENCE_S = 10.0


def text_of(response: Any) -> str:
    return str(response.content.decode())


class TestExamples:
    def test_put_a_prompt_into_the_box_and_send_nothing(self, client: Client) -> None:
        client.force_login(make.make_user())
        empty = text_of(client.get("/chat/"))
        assert '<a href="/chat/?example=3#prompt">Who wrote the play Faust?</a>' in empty
        assert ">Who wrote the play Faust?</textarea>" not in empty
        assert ">Who wrote the play Faust?</textarea>" in text_of(client.get("/chat/?example=3"))
        assert not GatewayRequest.objects.exists()

    @pytest.mark.parametrize("number", ["0", "99", "x", "-1"])
    def test_that_are_none_leave_it_empty(self, client: Client, number: str) -> None:
        client.force_login(make.make_user())
        assert 'aria-describedby="keys"></textarea>' in text_of(client.get(f"/chat/?example={number}"))


class TestDoor:
    def test_asks_a_stranger_to_sign_in(self, client: Client) -> None:
        conversation = make.make_conversation(owner=make.make_user())
        own = f"/chat/{conversation.public_id}/"
        for path in ("/chat/", own, f"{own}thread/", f"{own}export.json", f"{own}export.md"):
            response = client.get(path)
            assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")
        assert client.post(f"{own}delete/").status_code == 302
        assert client.post(f"{own}rename/", {"title": "x"}).status_code == 302
        assert client.post(SEND, {"prompt": "x"}).status_code == 302
        assert client.post(SEND, {"prompt": "x"}, headers={"Accept": "application/x-ndjson"}).status_code == 403
        refusal = {"conversation": conversation.public_id, "answer": "1"}
        assert client.post(REFUSE, refusal).status_code == 302
        assert client.post(REFUSE, refusal, headers={"Accept": "application/x-ndjson"}).status_code == 403
        assert client.post(REGENERATE, refusal).status_code == 302
        assert client.post(REGENERATE, refusal, headers={"Accept": "application/x-ndjson"}).status_code == 403
        assert client.post(SHOW, {**refusal, "turn": "1"}).status_code == 302
        assert client.post(THUMB, {**refusal, "up": "1"}).status_code == 302
        assert Conversation.objects.exists()
        assert not GatewayRequest.objects.exists()

    def test_is_open_on_this_machine_where_switched_on(self, client: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert client.get("/chat/").status_code == 200
        assert client.get("/chat/", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 302

    def test_takes_changes_by_post_only(self, client: Client) -> None:
        client.force_login(make.make_user())
        conversation = make.make_conversation(owner=make.make_user())
        assert client.get(SEND).status_code == 405
        assert client.get(REFUSE).status_code == 405
        assert client.get(REGENERATE).status_code == 405
        assert client.get(SHOW).status_code == 405
        assert client.get(THUMB).status_code == 405
        assert client.get(f"/chat/{conversation.public_id}/delete/").status_code == 405
        assert client.get(f"/chat/{conversation.public_id}/rename/").status_code == 405
        assert client.post(f"/chat/{conversation.public_id}/export.json").status_code == 405
        assert client.post("/chat/").status_code == 405

    def test_is_shut_to_other_sites(self) -> None:
        client, person = Client(enforce_csrf_checks=True), make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        assert client.post(SEND, {"prompt": "x"}).status_code == 403
        for path in (REFUSE, REGENERATE, SHOW, THUMB):
            assert client.post(path, {"conversation": conversation.public_id, "answer": "1"}).status_code == 403
        assert client.post(f"/chat/{conversation.public_id}/delete/").status_code == 403
        assert client.post(f"/chat/{conversation.public_id}/rename/", {"title": "x"}).status_code == 403
        assert Conversation.objects.exists()


class TestOwnership:
    @pytest.mark.slow
    def test_hides_a_conversation_from_everybody_else(self, client: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        owner = make.make_user()
        theirs = [make.make_conversation(owner=owner), make.make_conversation(visitor="word")]
        for is_signed_in in (False, True):
            if is_signed_in:
                client.force_login(make.make_user(is_staff=True, is_superuser=True))
            for conversation in theirs:
                path = f"/chat/{conversation.public_id}/"
                assert client.get(path).status_code == 404
                assert client.get(f"{path}thread/").status_code == 404
                assert client.post(f"{path}delete/").status_code == 404
                assert client.post(f"{path}rename/", {"title": "x"}).status_code == 404
                assert client.get(f"{path}export.json").status_code == 404
                assert client.get(f"{path}export.md").status_code == 404
                assert conversation.title not in text_of(client.get("/chat/", {"q": conversation.title[:5]}))
                sent = client.post(SEND, {"prompt": "x", "conversation": conversation.public_id})
                assert sent.status_code == 404
                fields = {"conversation": conversation.public_id, "answer": "1", "turn": "1", "up": "1"}
                for again in (REFUSE, REGENERATE, SHOW, THUMB):
                    assert client.post(again, fields).status_code == 404
                assert conversation.title not in text_of(client.get("/chat/"))
        assert Conversation.objects.count() == 2
        assert not Message.objects.exists()

    def test_shows_a_person_their_own(self, client: Client) -> None:
        owner = make.make_user()
        conversation = make.make_conversation(owner=owner, title="About pears")
        make.make_message(conversation, "How many <b>pears</b>?")
        client.force_login(owner)
        assert "About pears" in text_of(client.get("/chat/"))
        assert "How many &lt;b&gt;pears&lt;/b&gt;?" in text_of(client.get(f"/chat/{conversation.public_id}/"))
        assert client.post(f"/chat/{conversation.public_id}/delete/").status_code == 302
        assert not Conversation.objects.exists()

    def test_tells_unnamed_sessions_apart(self, client: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        session = client.session
        session["chat_visitor"] = "word"
        session.save()
        own, other = make.make_conversation(visitor="word"), make.make_conversation(visitor="another word")
        assert client.get(f"/chat/{own.public_id}/").status_code == 200
        assert client.get(f"/chat/{other.public_id}/").status_code == 404
        client.force_login(make.make_user())
        assert client.get(f"/chat/{own.public_id}/").status_code == 404


class TestBadInput:
    @pytest.mark.parametrize(
        ("prompt", "said"),
        [
            pytest.param("  ", "The prompt is empty", id="empty"),
            pytest.param("x" * 20_001, "20,001 characters; at most 20,000", id="too long"),
            pytest.param("a\x00b", "NUL character", id="NUL"),
        ],
    )
    def test_is_told_and_kept(self, client: Client, prompt: str, said: str) -> None:
        client.force_login(make.make_user())
        page = client.post(SEND, {"prompt": prompt})
        assert page.status_code == 400
        assert said in text_of(page)
        assert f">{prompt}</textarea>" in text_of(page)
        streamed = client.post(SEND, {"prompt": prompt}, headers={"Accept": "application/x-ndjson"})
        assert streamed.status_code == 400
        assert said in json.loads(streamed.content)["problem"]


class TestManner:
    def test_that_cannot_be_taken_is_told_and_nothing_is_lost(self, client: Client) -> None:
        client.force_login(make.make_user())
        fields = {
            "prompt": "half a thought",
            "system_prompt": "Be <brief>.",
            "temperature": "hot",
            "model": "auto:green",
        }
        page = text_of(client.post(SEND, fields))
        assert "The temperature must be a number from 0 to 2" in page
        assert ">half a thought</textarea>" in page
        assert ">Be &lt;brief&gt;.</textarea>" in page
        assert 'value="hot"' in page
        assert '<option value="auto:green" data-dial selected>' in page
        assert '<details class="manner" id="manner" open>' in page

    def test_of_a_conversation_is_in_its_fields(self, client: Client) -> None:
        person = make.make_user()
        client.force_login(person)
        kept = make.make_conversation(
            owner=person, system_prompt="Be brief.", temperature=0.5, picked_model="auto:green"
        )
        page = text_of(client.get(f"/chat/{kept.public_id}/"))
        assert ">Be brief.</textarea>" in page
        assert 'name="temperature" type="text" inputmode="decimal" autocomplete="off" value="0.5"' in page
        assert '<span class="badge">set</span>' in page
        assert '<span class="badge">set</span>' not in text_of(client.get("/chat/"))

    def test_out_of_range_is_kept_out_of_the_table(self) -> None:
        with pytest.raises(IntegrityError, match="conversation_parameters_in_range"), transaction.atomic():
            make.make_conversation(owner=make.make_user(), temperature=2.5)


class TestRefusal:
    @pytest.mark.parametrize("answer", ["", "x", "1" * 30, "٣"])
    def test_that_names_no_answer_is_told(self, client: Client, answer: str) -> None:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        fields = {"conversation": conversation.public_id, "answer": answer, "prompt": "half a thought"}
        page = client.post(REFUSE, fields)
        assert page.status_code == 400
        assert "names no answer or prompt" in text_of(page)
        assert ">half a thought</textarea>" in text_of(page)
        assert client.post(REFUSE, fields, headers={"Accept": "application/x-ndjson"}).status_code == 400

    @pytest.mark.slow
    def test_is_offered_for_a_whole_latest_answer_alone(self, client: Client) -> None:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        question, small = make.make_message(conversation), make.make_deployment()
        for state in ("complete", "complete"):
            request = make.make_gateway_request()
            RoutingDecision.objects.create(
                request=request, policy="nearest", chosen=small, reason="cheapest_correct",
                decided_at=make.NOW,
            )  # fmt: skip
            make.make_message(
                conversation, "An answer", role="assistant", parent=question, request=request, state=state
            )
        path = f"/chat/{conversation.public_id}/"
        assert text_of(client.get(path)).count('formaction="/chat/refuse/"') == 1
        latest = Message.objects.latest("pk")
        Message.objects.filter(pk=latest.pk).update(state="cancelled")
        assert text_of(client.get(path)).count('formaction="/chat/refuse/"') == 0


class TestVersions:
    @pytest.fixture
    def branched(self, client: Client) -> Conversation:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        question = make.make_message(conversation, "How many pears?")
        for text in ("Three pears.", "Four pears.", "Five pears."):
            make.make_message(conversation, text, role="assistant", parent=question)
        return conversation

    def test_are_shown_one_at_a_time(self, client: Client, branched: Conversation) -> None:
        path, first = f"/chat/{branched.public_id}/", branched.messages.order_by("pk")[1]
        page = text_of(client.get(path))
        assert "3 of 3" in page
        assert ("Five pears.</p>" in page, "Three pears.</p>" in page) == (True, False)
        shown = client.post(SHOW, {"conversation": branched.public_id, "turn": str(first.pk)})
        assert (shown.status_code, shown["Location"]) == (302, f"{path}#turn-{first.pk}")
        page = text_of(client.get(path))
        assert "1 of 3" in page
        assert ("Five pears.</p>" in page, "Three pears.</p>" in page) == (False, True)

    def test_lose_nothing_that_was_being_written(self, client: Client, branched: Conversation) -> None:
        first = branched.messages.order_by("pk")[1]
        fields = {"conversation": branched.public_id, "turn": str(first.pk), "prompt": "half a thought"}
        page = text_of(client.post(SHOW, fields))
        assert "1 of 3" in page
        assert ">half a thought</textarea>" in page
        part = client.post(SHOW, fields, headers={"X-Part": "thread"})
        assert text_of(part).lstrip().startswith("<article")

    @pytest.mark.parametrize(("turn", "status"), [("", 400), ("x", 400), ("9" * 12, 409)])
    def test_that_are_not_there_are_told(self, client: Client, branched: Conversation, turn: str, status: int) -> None:
        fields = {"conversation": branched.public_id, "turn": turn, "prompt": "half a thought"}
        page = client.post(SHOW, fields)
        assert page.status_code == status
        assert "eload the page" in text_of(page)
        assert ">half a thought</textarea>" in text_of(page)

    @pytest.mark.slow
    def test_of_a_prompt_begin_in_its_box(self, client: Client, branched: Conversation) -> None:
        question = branched.messages.order_by("pk")[0]
        page = text_of(client.get(f"/chat/{branched.public_id}/?edit={question.pk}"))
        assert ">How many pears?</textarea>" in page
        assert f'name="edit" value="{question.pk}"' in page
        assert "You are changing an earlier prompt" in page
        for wrong in ("x", "9" * 30, str(branched.messages.order_by("pk")[1].pk)):
            assert 'name="edit" value=""' in text_of(client.get(f"/chat/{branched.public_id}/?edit={wrong}"))


class TestThumb:
    @pytest.mark.slow
    def test_is_kept_and_loses_nothing_that_was_being_written(self, client: Client) -> None:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        question = make.make_message(conversation)
        answer = make.make_message(conversation, "Three.", role="assistant", parent=question)
        fields = {"conversation": conversation.public_id, "down": str(answer.pk), "prompt": "half a thought"}
        page = text_of(client.post(THUMB, fields))
        assert page.count('aria-pressed="true"') == 1
        assert ">half a thought</textarea>" in page
        answer.refresh_from_db()
        assert answer.thumb == "down"
        assert client.post(THUMB, {**fields, "down": "x"}).status_code == 400
        assert client.post(THUMB, {**fields, "down": str(question.pk)}).status_code == 409

    def test_stands_on_answers_alone(self) -> None:
        conversation = make.make_conversation(visitor="word")
        with pytest.raises(IntegrityError, match="message_thumb_is_on_an_answer"), transaction.atomic():
            make.make_message(conversation, thumb="up")


class TestMeter:
    def test_says_what_is_expected_missing_and_measured(self, client: Client) -> None:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person)
        question, tiny = make.make_message(conversation), make.make_deployment()
        for cost in (0.002, None):
            request = make.make_gateway_request()
            RoutingDecision.objects.create(
                request=request, policy="nearest", chosen=tiny, reason="cheapest_correct", decided_at=make.NOW,
                predicted_sci_gco2e=cost, predicted_quality="estimated" if cost else "",
            )  # fmt: skip
            make.make_message(conversation, "An answer", role="assistant", parent=question, request=request)
        meter = text_of(client.get(f"/chat/{conversation.public_id}/")).split('id="meter"')[1].split("</dl>")[0]
        words = " ".join(re.sub(r"<[^>]+>", " ", meter).replace("&nbsp;", " ").split())
        assert "2.00 mgCO₂e (estimated, n = 1 of 2) missing for 1 of 2 answers" in words
        assert "Measured none of 2 answers" in words
        assert 'id="meter" class="meter"></div>' in text_of(client.get("/chat/"))


class TestQueries:
    @pytest.mark.slow
    @pytest.mark.parametrize("role", [None, Role.RESEARCHER])
    @pytest.mark.parametrize("count", [1, 6])
    def test_are_as_many_however_long_the_conversation(
        self, client: Client, count: int, role: Role | None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        person = make.make_user()
        client.force_login(person)
        conversation = make.make_conversation(owner=person, settled=make.make_deployment())
        prompt = make.make_prompt()
        for _ in range(count):
            request = make.make_gateway_request()
            RoutingDecision.objects.create(
                request=request, policy="nearest", chosen=conversation.settled, reason="cheapest_correct",
                category=prompt.category, decided_at=make.NOW,
                neighbours=[{"prompt_id": prompt.pk, "category": "math", "squared_distance": 0.5}],
            )  # fmt: skip
            question = make.make_message(conversation, parent=Message.objects.last())
            make.make_message(conversation, "An answer", role="assistant", parent=question, request=request)
            make.make_conversation(owner=person)
        if role is not None:
            grant_role(user=person, role=role)
        # who sees results needs four more: the texts of the known prompts, and three for what was made of them
        with django_assert_num_queries(10 if role is None else 14):
            page = client.get(f"/chat/{conversation.public_id}/")
        assert text_of(page).count("An answer</p>") == count

    def test_page_the_list(self, client: Client) -> None:
        person = make.make_user()
        client.force_login(person)
        for number in range(31):
            make.make_conversation(owner=person, title=f"Question {number}")
        first, second = (text_of(client.get(f"/chat/?page={page}")) for page in (1, 2))
        assert (first.count("Question "), second.count("Question ")) == (30, 1)
        assert "Page 1 of 2" in first


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, available_apps=None)
class TestSending:
    @pytest.fixture
    def address(self, transactional_db: None) -> Iterator[str]:
        with served() as address:
            yield address
        connections.close_all()

    @staticmethod
    @contextmanager
    def visit(address: str, user: User | None = None) -> Iterator[httpx.Client]:
        cookies = {"sessionid": session_of(user)} if user else {}
        with httpx.Client(base_url=address, cookies=cookies, timeout=PATIENCE_S) as visitor:
            page = visitor.get("/chat/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert found
            visitor.headers["X-CSRFToken"] = found[1]
            yield visitor

    @staticmethod
    def stream(visitor: httpx.Client, **fields: str) -> list[dict[str, Any]]:
        response = visitor.post(SEND, data=fields, headers={"Accept": "application/x-ndjson"})
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-accel-buffering"] == "no"
        return [json.loads(line) for line in response.iter_lines() if line]

    def test_streams_the_decision_the_pieces_and_the_shown_answer(
        self, open_endpoint: OpenEndpoint, address: str
    ) -> None:
        open_endpoint(answers={LIKE_MATH: "It is **five**."})
        with self.visit(address, make.make_user()) as visitor:
            begun, *pieces, finished = self.stream(visitor, prompt=LIKE_MATH, model="auto")
        assert (begun["kind"], begun["model"]) == ("begun", "small")
        assert "".join(piece["text"] for piece in pieces) == "It is **five**."
        assert "<strong>five</strong>" in finished["html"]
        assert GatewayRequest.objects.get().surface == "page"

    def test_lets_an_unnamed_person_come_back(
        self, open_endpoint: OpenEndpoint, address: str, settings: Settings
    ) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        open_endpoint()
        with self.visit(address) as visitor, self.visit(address) as other:
            begun = self.stream(visitor, prompt=LIKE_MATH)[0]
            self.stream(visitor, prompt=LIKE_MATH, conversation=begun["conversation"])
            assert visitor.get(begun["url"]).text.count('class="said"') == 3  # one is the template's
            assert other.get(begun["url"]).status_code == 404
            sent = other.post(
                SEND, data={"prompt": "x", "conversation": begun["conversation"]},
                headers={"Accept": "application/x-ndjson"},
            )  # fmt: skip
            assert (sent.status_code, "gone" in sent.json()["problem"]) == (404, True)
        assert Conversation.objects.count() == 1

    def test_tells_a_conversation_that_is_too_long_with_the_remedy(
        self, open_endpoint: OpenEndpoint, address: str
    ) -> None:
        open_endpoint()
        with self.visit(address, make.make_user()) as visitor:
            sent = visitor.post(
                SEND, data={"prompt": "word " * 3000, "model": "large"}, headers={"Accept": "application/x-ndjson"}
            )
        assert sent.status_code in {200, 400}
        assert "start a new one" in sent.text
        assert not Conversation.objects.exists()

    def test_without_a_script_waits_and_shows_the_conversation(self, open_endpoint: OpenEndpoint, address: str) -> None:
        open_endpoint(answers={LIKE_MATH: "It is **five**."})
        with self.visit(address, make.make_user()) as visitor:
            response = visitor.post(SEND, data={"prompt": LIKE_MATH, "model": "nobody"})
            assert (response.status_code, "no model &#x27;nobody&#x27;" in response.text) == (404, True)
            assert f">{LIKE_MATH}</textarea>" in response.text
            response = visitor.post(SEND, data={"prompt": LIKE_MATH, "model": "auto"}, follow_redirects=True)
            assert "<strong>five</strong>" in response.text

    def test_answers_anew_by_script_and_without(self, open_endpoint: OpenEndpoint, address: str) -> None:
        open_endpoint(answers=lambda model, _prompt: ScriptedAnswer(f"It is **{model}**."))
        with self.visit(address, make.make_user()) as visitor:
            conversation = self.stream(visitor, prompt=LIKE_MATH)[0]["conversation"]
            answer = Message.objects.get(role="assistant")
            fields = {"conversation": conversation, "answer": str(answer.pk), "prompt": "half a thought"}
            page = visitor.post(REFUSE, data=fields)
            assert page.status_code == 200
            assert "<strong>large</strong>" in page.text
            assert "half a thought</textarea>" in page.text
            again = visitor.post(REFUSE, data=fields, headers={"Accept": "application/x-ndjson"})
            assert (again.status_code, "has gone on" in again.json()["problem"]) == (409, True)
            fields["answer"] = str(Message.objects.latest("pk").pk)
            largest = visitor.post(REFUSE, data=fields, headers={"Accept": "application/x-ndjson"})
            assert (largest.status_code, "Pick another model" in largest.json()["problem"]) == (409, True)
            other = self.stream(visitor, prompt=LIKE_MATH)[0]["conversation"]
            fields = {"conversation": other, "answer": str(Message.objects.latest("pk").pk)}
            streamed = visitor.post(REFUSE, data=fields, headers={"Accept": "application/x-ndjson"})
            begun, *_, finished = [json.loads(line) for line in streamed.iter_lines() if line]
            assert (begun["kind"], begun["model"], finished["kind"]) == ("begun", "large", "finished")
            assert "replaced, and charged" in finished["refused"]
            assert finished["answer"] == int(fields["answer"])

    def test_holds_no_database_connection_while_a_model_generates(
        self, open_endpoint: OpenEndpoint, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, open_counts = note_connections(monkeypatch), []

        def answering(_model: str, _prompt: str) -> ScriptedAnswer:
            eventually(lambda: made.served_count() == 0)
            open_counts.append((len(made.pids) > 0, made.served_count()))
            return ScriptedAnswer("Five.")

        open_endpoint(answers=answering)
        with self.visit(address, make.make_user()) as visitor:
            connection.close()
            self.stream(visitor, prompt=LIKE_MATH)
        assert open_counts == [(True, 0)]

    def test_ends_the_generation_of_a_form_that_nobody_waits_for(
        self, open_endpoint: OpenEndpoint, address: str
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.HANG, model="small"))
        with self.visit(address, make.make_user()) as visitor, pytest.raises(httpx.ReadTimeout):
            visitor.post(SEND, data={"prompt": LIKE_MATH}, timeout=httpx.Timeout(PATIENCE_S, read=3.0))
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: Message.objects.filter(role="assistant", state="cancelled").exists())

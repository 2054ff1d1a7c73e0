"""Everything that a person wrote is deleted: planted through every door, and searched for everywhere afterwards."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.conf import settings as product
from django.core.management import CommandError, call_command
from django.db import connection, connections
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedAnswer
from benchmarks.models import Prompt, Response
from labeling.models import Flag, Grade, Label
from router.erasing_jobs import erase_texts_of_requests
from router.forgetting import drop_forgotten, forget_person, held_of
from router.index import VectorStore
from router.indexing import current_index
from router.keeping import kept_prompts, make_known
from router.keys import agree_to_keeping, create_key
from router.models import CachedAnswer, Conversation, GatewayRequest, PromptIndex, UpstreamAttempt
from tests import factories as make
from tests.browsing import served, session_of
from tests.factories import NOW
from tests.router.endpoint import CHAT, Endpoint, OpenEndpoint
from tests.router.standins import make_federation, make_index
from tests.router.test_index import _sockets_closed
from tests.router.test_keeping import kept

__all__ = ["_sockets_closed"]

PLANTED = "what is two plus xyzzyplover"  # near to a known prompt of math
ECHO = "xyzzyplover"


def columns_with(word: str) -> set[str]:
    """Return every column of every table of the whole database that holds a word, also as bytes."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') "
            "AND table_name IN (SELECT tablename FROM pg_tables)"
        )
        for schema, table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" WHERE "{column}"::text ILIKE ANY(%s)',
                [[f"%{word}%", f"%{word.encode().hex()}%"]],
            )
            if cursor.fetchone()[0]:
                found.add(f"{table}.{column}")
    return found


def files_with(word: str) -> set[str]:
    """Return the files of the data folder that hold a word; Postgres' own are searched by SQL."""
    return {
        str(path.relative_to(product.VAR_DIR))
        for path in product.VAR_DIR.rglob("*")
        if path.is_file()
        and "postgres" not in path.relative_to(product.VAR_DIR).parts
        and word.encode() in path.read_bytes()
    }


def documents_with(store: VectorStore, word: str) -> list[str]:
    """Return the collections of Chroma that hold a word as document or metadata."""
    found = []
    for collection in store._open().list_collections():
        held = collection.get(include=["documents", "metadatas"])
        if word in json.dumps([held["ids"], held["documents"], held["metadatas"]]):
            found.append(collection.name)
    return found


@pytest.fixture
def asked(open_endpoint: OpenEndpoint, settings: Settings) -> Endpoint:
    """An endpoint that keeps all that it may keep, whose models say again what they are asked."""
    settings.KEEP_WITH_CONSENT = settings.KEEP_PROMPT_TEXT = True
    settings.CACHE = "exact"
    endpoint = open_endpoint(answers=lambda _model, _prompt: ScriptedAnswer(f"You said {PLANTED}"))
    agree_to_keeping(key=endpoint.key, is_agreed=True)
    return endpoint


@pytest.fixture
def address(asked: Endpoint) -> Iterator[str]:
    with served() as address:
        yield address
    connections.close_all()


def ask_at_every_door(endpoint: Endpoint, address: str) -> None:
    """Plant the text by both wires, streamed and whole, for labels, for the cache and to embed; and at the pages."""
    said = [{"role": "user", "content": PLANTED}]
    owner = endpoint.key.owner
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    bodies = [
        (CHAT, {"model": "auto", "messages": said, "store": True, "temperature": 0}),
        (CHAT, {"model": "auto", "messages": said, "stream": True, "temperature": 0.5}),
        ("/v1/embeddings", {"model": "all-minilm", "input": PLANTED}),
        ("/v1/greenllm/route", {"model": "auto", "messages": said}),
        ("/api/chat", {"model": "auto", "messages": said, "stream": False}),
        ("/api/generate", {"model": "small", "prompt": PLANTED}),
    ]
    for path, body in bodies:
        assert httpx.post(f"{address}{path}", json=body, headers=headers, timeout=20).status_code == 200, path
    with httpx.Client(base_url=address, cookies={"sessionid": session_of(owner)}, timeout=20) as visitor:
        page = visitor.get("/chat/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        visitor.headers["X-CSRFToken"] = token[1]
        sent = visitor.post(
            "/chat/send/", data={"prompt": PLANTED, "model": "auto", "keep": "yes", "system_prompt": PLANTED}
        )
        assert sent.status_code == 302
        visitor.post("/ask", data={"prompt": PLANTED})


def write_beside_judgements(endpoint: Endpoint) -> None:
    """Plant it where a person labels: a comment, a reason, and what a grader drew out of an answer of theirs."""
    response = make.make_response(endpoint.federation.math, endpoint.federation.small, energy_j=None)
    make.make_label(response, labeler=endpoint.key.owner, comment=f"It says {PLANTED}")
    Flag.objects.create(response=response, person=endpoint.key.owner, reason=PLANTED, created_at=NOW)
    own = Response.objects.filter(study__kind="live").earliest("pk")
    make.make_label(own, comment=f"Somebody else quotes {PLANTED}")
    Grade.objects.create(
        response=own, grader="text", grader_version=1, verdict="correct", extracted={"answer": PLANTED},
        reason=PLANTED, duration_ms=1,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestForgettingAPerson:
    def test_leaves_nothing_anywhere(
        self, asked: Endpoint, address: str, chroma: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = VectorStore(chroma_url=chroma, cache_dir=tmp_path / "index", exact_limit=1000)
        ask_at_every_door(asked, address)
        write_beside_judgements(asked)
        [prompt] = kept_prompts()
        make_known(prompt=prompt, category=prompt.category)
        known = [asked.federation.math, asked.federation.code, Prompt.objects.get(pk=prompt.pk)]
        before = make_index(known, embedder=asked.federation.embedder, store=store)
        attempt = UpstreamAttempt.objects.earliest("pk")
        UpstreamAttempt.objects.filter(pk=attempt.pk).update(error=f"cannot answer {PLANTED}")
        planted = columns_with(ECHO)
        assert planted >= {
            "router_conversation.title", "router_conversation.system_prompt", "router_message.text",
            "router_gatewayrequest.prompt_text", "router_upstreamattempt.answer_text", "router_upstreamattempt.error",
            "router_cachedanswer.text", "benchmarks_prompt.text", "benchmarks_response.text", "labeling_label.comment",
            "labeling_flag.reason", "labeling_grade.extracted", "labeling_grade.reason",
        }  # fmt: skip
        owner = asked.key.owner
        monkeypatch.setattr("router.management.commands.forget_person.vector_store", lambda: store)
        call_command("forget_person", owner.username)
        assert columns_with(ECHO) == planted  # it only said what there is
        call_command("forget_person", owner.username, "--yes")
        assert columns_with(ECHO) == set()
        assert documents_with(store, ECHO) == []
        assert files_with(ECHO) == set()
        assert not GatewayRequest.objects.exclude(prompt_sha256="").exists()
        after = current_index()
        assert (after.prompt_count, after.entries.count()) == (2, 2)
        assert before.collection_name not in {one.name for one in store._open().list_collections()}
        assert [ids for ids, _ in store.pages(after.collection_name)] == [[known[0].pk, known[1].pk]]
        assert Label.objects.filter(labeler=owner, verdict="correct").count() == 1
        store.delete(after.collection_name)


@pytest.mark.django_db
class TestForgetting:
    def test_leaves_what_others_wrote(self) -> None:
        federation = make_federation()
        ada, bob = make.make_user("ada"), make.make_user("bob")
        for person in (ada, bob):
            make.make_gateway_request(user=person, prompt_text=f"by {person}", prompt_sha256="aa")
            make.make_message(make.make_conversation(owner=person), f"said by {person}")
            make.make_label(make.make_response(federation.math, federation.small), labeler=person, comment="mine")
        forgotten = forget_person(person_id=ada.pk)
        assert (forgotten.conversation_count, forgotten.request_count, forgotten.word_count) == (1, 1, 1)
        assert list(Conversation.objects.values_list("owner__username", flat=True)) == ["bob"]
        assert set(GatewayRequest.objects.values_list("prompt_text", "prompt_sha256")) == {("", ""), ("by bob", "aa")}
        assert sorted(Label.objects.filter(source="person").values_list("comment", flat=True)) == ["", "mine"]

    def test_reaches_requests_by_a_key_of_the_person(self) -> None:
        ada = make.make_user("ada")
        key = create_key(owner_id=ada.pk, name="notebook").key
        make.make_gateway_request(api_key=key, prompt_text="secret", error="secret cannot be answered")
        assert held_of(person_id=ada.pk).request_count == 1
        forget_person(person_id=ada.pk)
        request = GatewayRequest.objects.get()
        assert (request.prompt_text, request.error, request.api_key) == ("", "(deleted)", key)

    def test_leaves_a_kept_prompt_that_somebody_else_sent_too(self) -> None:
        federation = make_federation()
        ada = make.make_user("ada")
        mine, shared, theirs = kept(federation, "mine"), kept(federation, "shared"), kept(federation, "shared")
        assert mine is not None
        assert shared is not None
        assert theirs is not None
        wanted = [mine.gateway_request_public_id, shared.gateway_request_public_id]
        GatewayRequest.objects.filter(public_id__in=wanted).update(user=ada)
        assert forget_person(person_id=ada.pk).kept_count == 1
        assert [prompt.text for prompt in kept_prompts()] == ["shared"]

    def test_takes_a_known_prompt_out_of_the_index_without_embedding_anew(self) -> None:
        federation = make_federation()
        ada = make.make_user("ada")
        mine = kept(federation, "mine")
        assert mine is not None
        GatewayRequest.objects.filter(public_id=mine.gateway_request_public_id).update(user=ada)
        make_known(prompt=mine.prompt, category=mine.prompt.category)
        prompts = [federation.math, mine.prompt, federation.code]
        old = make_index(prompts, embedder=federation.embedder, store=federation.store)
        forget_person(person_id=ada.pk)
        assert drop_forgotten(store=federation.store, clock=lambda: NOW) == 1
        assert drop_forgotten(store=federation.store, clock=lambda: NOW) == 0
        index = current_index()
        ids, matrix = federation.store.collections[index.collection_name]
        assert ids.tolist() == [federation.math.pk, federation.code.pk]
        assert len(matrix) == index.prompt_count == 2
        assert (index.dimension, index.embedder, index.embedded_text) == (
            old.dimension,
            old.embedder,
            old.embedded_text,
        )
        assert old.collection_name not in federation.store.collections
        assert PromptIndex.objects.get(pk=old.pk).entries.count() == 3  # decisions name it

    def test_leaves_no_index_where_it_knew_nothing_else(self) -> None:
        federation = make_federation()
        mine = kept(federation, "mine")
        assert mine is not None
        mine.prompt.role = Prompt.Role.TRAIN
        mine.prompt.save()
        make_index([mine.prompt], embedder=federation.embedder, store=federation.store)
        Prompt.objects.filter(pk=mine.prompt.pk).update(text="(deleted)")
        assert drop_forgotten(store=federation.store, clock=lambda: NOW) == 1
        assert not PromptIndex.objects.filter(state="current").exists()

    def test_of_nobody_is_told(self) -> None:
        with pytest.raises(CommandError, match="There is nobody called nemo"):
            call_command("forget_person", "nemo")


@pytest.mark.django_db
class TestRetention:
    @pytest.fixture(autouse=True)
    def _today(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.erasing_jobs.timezone.now", lambda: NOW + timedelta(days=30))

    @pytest.mark.parametrize(("days", "left"), [(0, 2), (10, 1), (29, 1), (31, 2)])
    def test_deletes_conversations_in_which_nothing_was_said_for_so_long(
        self, settings: Settings, days: int, left: int
    ) -> None:
        settings.KEEP_CHAT_DAYS = days
        request = make.make_gateway_request(prompt_text="old", started_at=NOW + timedelta(days=29))
        make.make_message(make.make_conversation(owner=make.make_user()), "old", request=request)
        make.make_message(make.make_conversation(owner=make.make_user(), updated_at=NOW + timedelta(days=25)), "new")
        erase_texts_of_requests()
        assert Conversation.objects.count() == left
        assert GatewayRequest.objects.get().prompt_text == ("old" if left == 2 else "")

    @pytest.mark.parametrize(("days", "left"), [(0, ["known", "waiting"]), (10, ["known"]), (31, ["known", "waiting"])])
    def test_deletes_kept_prompts_that_nobody_made_known(self, settings: Settings, days: int, left: list[str]) -> None:
        settings.KEEP_CONSENTED_DAYS = days
        federation = make_federation()
        waiting, known = kept(federation, "waiting"), kept(federation, "known")
        assert waiting is not None
        assert known is not None
        make_known(prompt=known.prompt, category=known.prompt.category)
        erase_texts_of_requests()
        assert sorted(prompt.text for prompt in kept_prompts()) == left

    def test_deletes_answers_of_the_cache_whose_time_is_over(self) -> None:
        federation = make_federation()
        for number, days in enumerate((1, 60)):
            CachedAnswer.objects.create(
                exact_sha256=str(number), request=make.make_gateway_request(started_at=NOW + timedelta(days=29)),
                deployment=federation.small, text="Five.", created_at=NOW, expires_at=NOW + timedelta(days=days),
            )  # fmt: skip
        erase_texts_of_requests()
        assert [one.exact_sha256 for one in CachedAnswer.objects.all()] == ["1"]

import dataclasses

import pytest
from django.db import IntegrityError, transaction

from benchmarks.federating import retire
from benchmarks.inference.base import StreamBroken, TextChunk
from router.conversing import Speaker, converse, delete_conversation, rename_conversation, settled_id
from router.exchanging import Begun, ConversationEvent, ConversationGone, Kept
from router.keeping import kept_prompts
from router.manner import Manner
from router.models import Conversation, GatewayRequest, Message, UpstreamAttempt
from tests import factories as make
from tests.router.test_answering import FIVE, QUESTION, Desk, OpenDesk, open_desk

__all__ = ["open_desk"]

VISITOR = Speaker(None, "word")
LIKE_CODE = "write a python program"


def say(
    desk: Desk,
    prompt: str = QUESTION,
    *,
    speaker: Speaker = VISITOR,
    conversation: Conversation | None = None,
    model: str = "auto",
    manner: Manner | None = None,
    edited_id: int | None = None,
) -> list[ConversationEvent]:
    events = converse(
        gateway=desk.gateway,
        speaker=speaker,
        conversation=conversation,
        prompt=prompt,
        picked_model=model,
        manner=manner,
        edited_id=edited_id,
    )
    return list(events)


class TestConverse:
    def test_keeps_the_prompt_and_the_answer(self, open_desk: OpenDesk) -> None:
        begun, *pieces, kept = say(open_desk())
        conversation = Conversation.objects.get()
        question, answered = Message.objects.order_by("pk")
        assert isinstance(begun, Begun)
        assert isinstance(kept, Kept)
        assert (begun.question, kept.message, answered.parent) == (question, answered, question)
        assert pieces == [TextChunk("Fi"), TextChunk("ve.")]
        assert (question.role, question.text, question.parent) == ("user", QUESTION, None)
        assert (answered.role, answered.text, answered.state) == ("assistant", "Five.", "complete")
        assert (conversation.title, conversation.owner, conversation.visitor) == (QUESTION, None, "word")
        assert answered.request == GatewayRequest.objects.get()

    def test_belongs_to_the_account_of_a_named_person(self, open_desk: OpenDesk) -> None:
        person = make.make_user()
        say(open_desk(), speaker=Speaker(person.pk, ""))
        assert (Conversation.objects.get().owner, GatewayRequest.objects.get().user) == (person, person)

    @pytest.mark.slow
    def test_sends_the_whole_conversation_and_stays_on_its_model(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        conversation = Conversation.objects.get()
        assert conversation.settled == desk.federation.small
        say(desk, LIKE_CODE, conversation=conversation)
        assert [(one.role, one.content) for one in desk.client.asked[-1].messages] == [
            ("user", QUESTION),
            ("assistant", "Five."),
            ("user", LIKE_CODE),
        ]
        latest = GatewayRequest.objects.latest("pk").decision
        assert (latest.chosen, latest.reason) == (desk.federation.small, "conversation")
        texts = Message.objects.order_by("pk").values_list("text", "parent__text")
        assert list(texts) == [
            (QUESTION, None),
            ("Five.", QUESTION),
            (LIKE_CODE, "Five."),
            ("Five.", LIKE_CODE),
        ]

    @pytest.mark.slow
    def test_leaves_its_model_where_another_is_picked_and_comes_back_to_it(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        conversation = Conversation.objects.get()
        say(desk, conversation=conversation, model="large")
        assert desk.client.asked[-1].model == "large"
        conversation.refresh_from_db()
        assert (conversation.picked_model, conversation.settled) == ("large", desk.federation.small)
        say(desk, LIKE_CODE, conversation=conversation)
        assert desk.client.asked[-1].model == "small"

    @pytest.mark.slow
    def test_chooses_anew_where_its_model_was_retired(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        retire(deployment=desk.federation.small, now=make.NOW)
        say(desk, conversation=Conversation.objects.get())
        assert Conversation.objects.get().settled == desk.federation.large

    def test_keeps_thinking_out_of_the_answer(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.client.pieces = (TextChunk("Hm", is_thinking=True), TextChunk("Five."))
        say(desk)
        assert Message.objects.get(role="assistant").text == "Five."

    def test_keeps_what_no_row_could_hold(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.client.pieces = (TextChunk("a\x00b"), TextChunk("\ud800"))
        say(desk)
        assert Message.objects.get(role="assistant").text == "a\N{REPLACEMENT CHARACTER}b?"

    @pytest.mark.parametrize(
        ("prompt", "title"), [("one\n two", "one two"), ("word " * 40, ("word " * 16).strip()[:79] + "…")]
    )
    def test_is_named_by_its_first_prompt(self, open_desk: OpenDesk, prompt: str, title: str) -> None:
        say(open_desk(), prompt)
        assert Conversation.objects.get().title == title

    def test_holds_no_text_in_the_request(self, open_desk: OpenDesk) -> None:
        say(open_desk())
        assert GatewayRequest.objects.get().prompt_text == ""


class TestEarlyEnd:
    @pytest.mark.parametrize(("read", "text"), [(1, ""), (2, "Fi"), (3, "Five.")])
    def test_keeps_what_came_before_it_was_stopped(self, open_desk: OpenDesk, read: int, text: str) -> None:
        desk = open_desk()
        events = converse(
            gateway=desk.gateway, speaker=VISITOR, conversation=None, prompt=QUESTION, picked_model="auto",
            )  # fmt: skip
        for _ in range(read):
            next(events)
        events.close()
        answered = Message.objects.get(role="assistant")
        assert (answered.text, answered.state) == (text, "cancelled")
        assert GatewayRequest.objects.get().state == "cancelled"

    def test_after_the_answer_is_whole_changes_nothing(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        events = converse(
            gateway=desk.gateway, speaker=VISITOR, conversation=None, prompt=QUESTION, picked_model="auto",
            )  # fmt: skip
        for _ in range(4):
            next(events)
        events.close()
        assert Message.objects.get(role="assistant").state == "complete"

    def test_by_a_failure_keeps_what_came(self, open_desk: OpenDesk) -> None:
        with pytest.raises(StreamBroken):
            say(open_desk(StreamBroken("gone")))
        answered = Message.objects.get(role="assistant")
        assert (answered.text, answered.state) == ("Five.", "failed")

    @pytest.mark.slow
    def test_by_a_failure_without_a_word_keeps_nothing_new(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.client.pieces, desk.client.outcome = (), StreamBroken("gone")
        with pytest.raises(StreamBroken):
            say(desk)
        assert not Conversation.objects.exists()
        desk.client.pieces, desk.client.outcome = (TextChunk("Five."),), FIVE
        say(desk)
        desk.client.pieces, desk.client.outcome = (), StreamBroken("gone")
        with pytest.raises(StreamBroken):
            say(desk, "again", conversation=Conversation.objects.get())
        assert list(Message.objects.order_by("pk").values_list("text", flat=True)) == [QUESTION, "Five."]

    def test_by_deletion_meanwhile_is_told(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        events = converse(
            gateway=desk.gateway, speaker=VISITOR, conversation=None, prompt=QUESTION, picked_model="auto",
            )  # fmt: skip
        next(events)
        Conversation.objects.get().delete()
        with pytest.raises(ConversationGone):
            list(events)
        assert not Message.objects.exists()

    @pytest.mark.slow
    def test_by_deletion_before_its_model_is_decided_stays_deleted(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        stale = Conversation.objects.get()
        delete_conversation(conversation=Conversation.objects.get())
        with pytest.raises(ConversationGone):
            say(desk, "again", conversation=stale)
        assert not Conversation.objects.exists()
        assert not Message.objects.exists()

    @pytest.mark.slow
    def test_keeps_a_title_that_was_given_meanwhile(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        stale = Conversation.objects.get()
        rename_conversation(conversation=Conversation.objects.get(), title="Sums")
        say(desk, "again", conversation=stale)
        assert Conversation.objects.get().title == "Sums"

    @pytest.mark.slow
    @pytest.mark.parametrize("is_stopped", [False, True], ids=["to the end", "stopped"])
    def test_by_deletion_meanwhile_leaves_no_text(self, open_desk: OpenDesk, is_stopped: bool) -> None:
        desk = open_desk(is_prompt_text_kept=True, keeps_with_consent=True)
        events = converse(
            gateway=desk.gateway, speaker=VISITOR, conversation=None, prompt=QUESTION, picked_model="auto",
            is_keeping_allowed=True,
        )  # fmt: skip
        next(events), next(events)
        delete_conversation(conversation=Conversation.objects.get())
        if is_stopped:
            events.close()
        else:
            with pytest.raises(ConversationGone):
                list(events)
        assert [one.prompt_text for one in GatewayRequest.objects.all()] == [""]
        assert [one.answer_text for one in UpstreamAttempt.objects.all()] == [""]
        assert not kept_prompts().exists()


@pytest.mark.django_db
class TestOwnership:
    def test_gives_everybody_their_own(self) -> None:
        ada, bob = make.make_user(), make.make_user()
        made = {
            speaker: make.make_conversation(owner_id=speaker.user_id, visitor=speaker.visitor)
            for speaker in (Speaker(ada.pk, ""), Speaker(bob.pk, ""), VISITOR, Speaker(None, "other"))
        }
        for speaker, conversation in made.items():
            assert list(speaker.conversations()) == [conversation]
        assert not Speaker(None, "").conversations().exists()

    @pytest.mark.parametrize("facts", [{"visitor": ""}, {"visitor": "word", "owned": True}], ids=["none", "two"])
    def test_is_of_exactly_one(self, facts: dict[str, object]) -> None:
        owner = make.make_user() if facts.pop("owned", False) else None
        with pytest.raises(IntegrityError), transaction.atomic():
            make.make_conversation(owner=owner, **facts)


class TestGateway:
    def test_is_given_back_before_the_answer_is_handed_over(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.gateway = dataclasses.replace(desk.gateway, claim=lambda: desk.events.append("claim"))
        say(desk)
        assert desk.events[-2:] == ["claim", "release"]


class TestManner:
    @pytest.mark.slow
    def test_is_sent_and_kept_with_the_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        manner = Manner("Be brief.", 0.5, 0.9, 7, 20)
        say(desk, manner=manner)
        conversation = Conversation.objects.get()
        assert conversation.manner == manner
        say(desk, LIKE_CODE, conversation=conversation)
        for asked in desk.client.asked:
            assert (asked.messages[0].role, asked.messages[0].content) == ("system", "Be brief.")
            assert asked.parameters == manner.parameters
        say(desk, LIKE_CODE, conversation=conversation, manner=Manner())
        assert desk.client.asked[-1].messages[0].role == "user"
        assert Conversation.objects.get().manner == Manner()

    def test_routes_by_the_prompt_and_not_by_the_instructions(self, open_desk: OpenDesk) -> None:
        say(open_desk(), manner=Manner("write a python program"))
        assert GatewayRequest.objects.get().decision.category.name == "math"


class TestDial:
    @pytest.mark.slow
    def test_is_kept_with_the_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        conversation = Conversation.objects.get()
        assert (conversation.picked_model, conversation.settled_by) == ("auto", "auto")
        say(desk, LIKE_CODE, conversation=conversation, model="auto:quality")
        conversation.refresh_from_db()
        assert (conversation.picked_model, conversation.settled_by) == ("auto:quality", "auto:quality")
        say(desk, LIKE_CODE, conversation=conversation, model="large")
        conversation.refresh_from_db()
        assert (conversation.picked_model, conversation.settled_by) == ("large", "auto:quality")

    @pytest.mark.django_db
    def test_stays_on_what_the_same_setting_chose(self) -> None:
        settled = make.make_deployment()
        conversation = make.make_conversation(visitor="word", settled=settled, settled_by="auto:green")
        assert settled_id(conversation, "auto:green") == settled.pk
        assert settled_id(conversation, "auto") is None
        assert settled_id(conversation, "small") is None
        conversation.settled_by = "auto"
        assert settled_id(conversation, "auto:latest") == settled.pk

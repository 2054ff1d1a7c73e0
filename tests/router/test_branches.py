"""The turns of a conversation as a tree, and what another answer or a changed prompt makes of it."""

from collections.abc import Generator

import pytest

from benchmarks.inference.base import ServerUnreachable, StreamBroken, TextChunk
from labeling.models import Label
from router.branches import NoSuchTurn, give_thumb, path_to, show_branch, shown_rows, tip_under, versions_of
from router.conversing import regenerate
from router.exchanging import Begun, ConversationEvent, Kept
from router.models import Conversation, GatewayRequest, Message
from tests import factories as make
from tests.router.test_answer_anew import begin_anew
from tests.router.test_answering import QUESTION, Desk, OpenDesk, open_desk
from tests.router.test_conversing import LIKE_CODE, VISITOR, say

__all__ = ["open_desk"]

OTHER = "what is two plus six"


def turns() -> list[Message]:
    return list(Message.objects.order_by("pk"))


def texts(rows: list[Message]) -> list[str]:
    return [row.text for row in rows]


def begin_again(
    desk: Desk, *, model: str = "auto", answer: Message | None = None
) -> Generator[ConversationEvent, None, None]:
    return regenerate(
        gateway=desk.gateway,
        speaker=VISITOR,
        conversation=Conversation.objects.get(),
        answer_id=(answer or Message.objects.filter(role="assistant").latest("pk")).pk,
        picked_model=model,
    )


def edit(desk: Desk, turn: Message, prompt: str = OTHER) -> list[ConversationEvent]:
    return say(desk, prompt, conversation=Conversation.objects.get(), edited_id=turn.pk)


class TestTree:
    @pytest.mark.django_db
    def test_is_walked_from_the_tip(self) -> None:
        conversation = make.make_conversation(visitor="word")
        first = make.make_message(conversation, "1")
        left = make.make_message(conversation, "left", role="assistant", parent=first)
        right = make.make_message(conversation, "right", role="assistant", parent=first)
        after = make.make_message(conversation, "2", parent=left)
        rows = turns()
        assert texts(path_to(rows, after.pk)) == ["1", "left", "2"]
        assert texts(path_to(rows, right.pk)) == ["1", "right"]
        assert path_to(rows, None) == []
        assert versions_of(rows, right) == versions_of(rows, left) == (left.pk, right.pk)
        assert versions_of(rows, first) == (first.pk,)
        assert (tip_under(rows, left.pk), tip_under(rows, right.pk)) == (after.pk, right.pk)

    @pytest.mark.django_db
    def test_shows_a_refused_answer_before_the_one_in_its_place_and_counts_it_as_no_version(self) -> None:
        conversation = make.make_conversation(visitor="word")
        first = make.make_message(conversation, "1")
        refused = make.make_message(conversation, "bad", role="assistant", parent=first, refused_at=make.NOW)
        better = make.make_message(conversation, "good", role="assistant", parent=first)
        rows = turns()
        assert texts(shown_rows(rows, better.pk)) == ["1", "bad", "good"]
        assert versions_of(rows, better) == (better.pk,)
        assert tip_under(rows, first.pk) == better.pk
        with pytest.raises(NoSuchTurn, match="Reload the page"):
            show_branch(conversation=conversation, turn_id=refused.pk)


class TestRegenerate:
    @pytest.mark.slow
    def test_keeps_both_and_shows_the_new_one(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        begun, *_, kept = begin_again(desk, model="large")
        question, before, after = turns()
        assert isinstance(begun, Begun)
        assert isinstance(kept, Kept)
        assert (begun.question, kept.message, kept.refused) == (question, after, None)
        assert (before.parent, after.parent, before.refused_at) == (question, question, None)
        assert Conversation.objects.get().tip == after
        assert [one.model for one in desk.client.asked] == ["small", "large"]
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION]
        assert GatewayRequest.objects.latest("pk").decision.reason == "pinned"

    def test_sends_the_branch_before_the_prompt_alone(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        first_answer = turns()[1]
        say(desk, LIKE_CODE, conversation=Conversation.objects.get())
        list(begin_again(desk, answer=first_answer))
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION]
        rows = turns()
        assert texts(path_to(rows, Conversation.objects.get().tip_id)) == [QUESTION, "Five."]

    def test_that_fails_before_a_word_changes_nothing(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        desk.client.pieces, desk.client.outcome = (), ServerUnreachable("http://gone", "refused")
        with pytest.raises(ServerUnreachable):
            list(begin_again(desk))
        assert texts(turns()) == [QUESTION, "Five."]
        assert Conversation.objects.get().tip == turns()[1]

    def test_that_breaks_off_keeps_what_came(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        desk.client.pieces, desk.client.outcome = (TextChunk("Fi"),), StreamBroken("broken")
        with pytest.raises(StreamBroken):
            list(begin_again(desk))
        assert [(row.text, row.state) for row in turns()[1:]] == [("Five.", "complete"), ("Fi", "failed")]
        assert Conversation.objects.get().tip == turns()[2]

    def test_wants_an_answer_of_the_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        theirs = make.make_message(make.make_conversation(visitor="other"), "x", role="assistant")
        for wrong in (theirs, turns()[0]):
            with pytest.raises(NoSuchTurn):
                regenerate_of(desk, wrong)
        assert GatewayRequest.objects.count() == 1


def regenerate_of(desk: Desk, turn: Message) -> None:
    conversation = Conversation.objects.get(visitor="word")
    list(
        regenerate(
            gateway=desk.gateway, speaker=VISITOR, conversation=conversation, answer_id=turn.pk, picked_model="auto"
        )
    )


class TestEdit:
    @pytest.mark.slow
    def test_begins_a_branch_and_keeps_the_other(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        say(desk, LIKE_CODE, conversation=Conversation.objects.get())
        edit(desk, turns()[2])
        first, answer, second, _, changed, _ = turns()
        assert (changed.parent, second.parent) == (answer, answer)
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION, "Five.", OTHER]
        path = path_to(turns(), Conversation.objects.get().tip_id)
        assert texts(path) == [QUESTION, "Five.", OTHER, "Five."]
        show_branch(conversation=Conversation.objects.get(), turn_id=second.pk)
        assert texts(path_to(turns(), Conversation.objects.get().tip_id))[2] == LIKE_CODE
        say(desk, OTHER, conversation=Conversation.objects.get())
        assert [one.content for one in desk.client.asked[-1].messages][2:] == [LIKE_CODE, "Five.", OTHER]
        assert first.parent is None

    def test_of_the_first_prompt_sends_nothing_of_before(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        edit(desk, turns()[0])
        assert [one.content for one in desk.client.asked[-1].messages] == [OTHER]
        assert [row.parent for row in turns()[::2]] == [None, None]

    @pytest.mark.slow
    def test_that_fails_goes_back_to_the_branch_of_before(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        say(desk, LIKE_CODE, conversation=Conversation.objects.get())
        tip = Conversation.objects.get().tip
        desk.client.pieces, desk.client.outcome = (), ServerUnreachable("http://gone", "refused")
        with pytest.raises(ServerUnreachable):
            edit(desk, turns()[0])
        assert Conversation.objects.get().tip == tip
        assert len(turns()) == 4

    def test_wants_an_own_turn_of_the_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        with pytest.raises(NoSuchTurn):
            edit(desk, turns()[1])
        assert GatewayRequest.objects.count() == 1


class TestNotGoodEnough:
    def test_counts_on_the_branch_that_is_shown(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        first = turns()[1]
        list(begin_again(desk))
        show_branch(conversation=Conversation.objects.get(), turn_id=first.pk)
        list(begin_anew(desk, first))
        assert texts(shown_rows(turns(), Conversation.objects.get().tip_id)) == [QUESTION, "Five.", "Five."]
        assert desk.client.asked[-1].model == "large"


@pytest.mark.django_db
class TestThumb:
    def test_is_given_changed_and_taken_back(self) -> None:
        conversation = make.make_conversation(visitor="word")
        question = make.make_message(conversation)
        answer = make.make_message(conversation, "x", role="assistant", parent=question)
        for given, kept in [("up", "up"), ("down", "down"), ("down", "")]:
            give_thumb(conversation=conversation, answer_id=answer.pk, thumb=given)
            assert Message.objects.get(pk=answer.pk).thumb == kept

    def test_is_for_answers_of_the_conversation_alone(self) -> None:
        conversation, other = (make.make_conversation(visitor=word) for word in ("word", "other"))
        theirs = make.make_message(other, "x", role="assistant")
        for wrong in (make.make_message(conversation), theirs):
            with pytest.raises(NoSuchTurn):
                give_thumb(conversation=conversation, answer_id=wrong.pk, thumb="up")

    def test_makes_no_label(self) -> None:
        conversation = make.make_conversation(visitor="word")
        answer = make.make_message(conversation, "x", role="assistant")
        give_thumb(conversation=conversation, answer_id=answer.pk, thumb="down")
        assert not Label.objects.exists()

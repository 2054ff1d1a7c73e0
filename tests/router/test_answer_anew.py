"""A person finds an answer not good enough: the conversation moves to the next larger model."""

from collections.abc import Generator

import pytest
from django.db import IntegrityError, transaction

from benchmarks.federating import retire
from benchmarks.inference.base import ServerUnreachable, StreamBroken, TextChunk
from router.conversing import answer_anew
from router.exchanging import Begun, ConversationEvent, ConversationGone, Kept
from router.models import Conversation, GatewayRequest, Message
from router.policy import NoLargerModel
from router.refusing import AnswerStands
from tests import factories as make
from tests.router.test_answering import FIVE, QUESTION, Desk, OpenDesk, open_desk
from tests.router.test_conversing import LIKE_CODE, VISITOR, say

__all__ = ["open_desk"]


def begin_anew(desk: Desk, answer: Message | None = None) -> Generator[ConversationEvent, None, None]:
    return answer_anew(
        gateway=desk.gateway,
        speaker=VISITOR,
        conversation=Conversation.objects.get(),
        answer_id=(answer or Message.objects.filter(role="assistant").latest("pk")).pk,
    )


@pytest.mark.slow
class TestAnswerAnew:
    def test_moves_the_conversation_and_keeps_both_answers(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        begun, *_, kept = begin_anew(desk)
        question, refused, answered = Message.objects.order_by("pk")
        assert isinstance(begun, Begun)
        assert isinstance(kept, Kept)
        assert (begun.question, kept.message, kept.refused) == (question, answered, refused)
        assert (refused.parent, answered.parent) == (question, question)
        assert (refused.refused_at, answered.refused_at) == (make.NOW, None)
        assert [one.model for one in desk.client.asked] == ["small", "large"]
        conversation = Conversation.objects.get()
        assert (conversation.settled, conversation.picked_model) == (desk.federation.large, "auto")

    def test_charges_what_was_refused(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        list(begin_anew(desk))
        before, after = GatewayRequest.objects.order_by("pk")
        assert (after.instead_of, after.state) == (before, "answered")
        assert (after.decision.chosen, after.decision.reason) == (desk.federation.large, "refused")
        assert before.decision.predicted_sci_gco2e
        assert after.decision.discarded_sci_gco2e == before.decision.predicted_sci_gco2e
        [step] = after.decision.steps
        assert (step["request_id"], step["model"], step["checker"]) == (before.public_id, "small", "person")
        assert (before.attempts.count(), after.attempts.count()) == (1, 1)

    def test_prices_a_refused_model_that_was_picked_by_name(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk, model="small")
        list(begin_anew(desk))
        latest = GatewayRequest.objects.latest("pk").decision
        small = next(one for one in latest.candidates if one["model"] == "small")
        assert latest.discarded_sci_gco2e == pytest.approx(small["sci_gco2e"])
        assert small["sci_gco2e"] > 0
        assert Conversation.objects.get().picked_model == "auto"

    def test_sends_no_refused_answer_to_a_model_again_and_stays(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        list(begin_anew(desk))
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION]
        say(desk, LIKE_CODE, conversation=Conversation.objects.get())
        assert desk.client.asked[-1].model == "large"
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION, "Five.", LIKE_CODE]
        assert list(Message.objects.order_by("pk").values_list("parent__text", flat=True)) == [
            None, QUESTION, QUESTION, "Five.", LIKE_CODE,
        ]  # fmt: skip

    def test_answers_the_latest_prompt_within_its_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        say(desk, "what is two plus two", conversation=Conversation.objects.get())
        list(begin_anew(desk))
        assert [one.content for one in desk.client.asked[-1].messages] == [QUESTION, "Five.", "what is two plus two"]

    def test_goes_on_from_a_model_that_was_retired(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        retire(deployment=desk.federation.small, now=make.NOW)
        list(begin_anew(desk))
        assert Conversation.objects.get().settled == desk.federation.large


class TestRefusal:
    @pytest.mark.slow
    def test_of_the_largest_model_changes_nothing(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        list(begin_anew(desk))
        with pytest.raises(NoLargerModel, match="Pick another model"):
            list(begin_anew(desk))
        assert Message.objects.filter(refused_at=None, role="assistant").count() == 1
        assert Conversation.objects.get().settled == desk.federation.large
        assert GatewayRequest.objects.latest("pk").error_code == "NoLargerModel"

    @pytest.mark.parametrize("state", ["cancelled", "failed"])
    def test_of_a_part_of_an_answer_is_refused(self, open_desk: OpenDesk, state: str) -> None:
        desk = open_desk()
        say(desk)
        Message.objects.filter(role="assistant").update(state=state)
        with pytest.raises(AnswerStands, match="whole answer"):
            list(begin_anew(desk))

    @pytest.mark.slow
    def test_of_an_earlier_answer_is_refused(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        first = Message.objects.get(role="assistant")
        say(desk, conversation=Conversation.objects.get())
        with pytest.raises(AnswerStands, match="gone on"):
            list(begin_anew(desk, first))

    def test_of_an_answer_whose_request_is_gone_is_refused(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        GatewayRequest.objects.all().delete()
        with pytest.raises(AnswerStands, match="not known any more"):
            list(begin_anew(desk))

    def test_of_another_conversations_answer_is_refused(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        other = make.make_message(make.make_conversation(visitor="other"), "Six.", role="assistant")
        conversation = Conversation.objects.get(visitor="word")
        with pytest.raises(AnswerStands):
            list(
                answer_anew(
                    gateway=desk.gateway, speaker=VISITOR, conversation=conversation, answer_id=other.pk,
                            )
            )  # fmt: skip


class TestTrouble:
    @pytest.mark.slow
    def test_before_the_first_word_changes_nothing(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        desk.client.pieces, desk.client.outcome = (), ServerUnreachable("http://gone", "refused")
        with pytest.raises(ServerUnreachable):
            list(begin_anew(desk))
        answer = Message.objects.get(role="assistant")
        assert (answer.text, answer.refused_at) == ("Five.", None)
        assert Conversation.objects.get().settled == desk.federation.small
        desk.client.outcome, desk.client.pieces = FIVE, (TextChunk("Five."),)
        list(begin_anew(desk))
        assert Conversation.objects.get().settled == desk.federation.large

    @pytest.mark.slow
    def test_in_the_middle_keeps_what_came(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        desk.client.outcome = StreamBroken("broken")
        with pytest.raises(StreamBroken):
            list(begin_anew(desk))
        refused, broken = Message.objects.filter(role="assistant").order_by("pk")
        assert (refused.refused_at, broken.state, broken.text) == (make.NOW, "failed", "Five.")

    def test_of_a_reader_who_leaves_keeps_what_came(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        events = begin_anew(desk)
        next(events), next(events)
        events.close()
        refused, stopped = Message.objects.filter(role="assistant").order_by("pk")
        assert (refused.refused_at, stopped.state, stopped.text) == (make.NOW, "cancelled", "Fi")
        assert Conversation.objects.get().settled == desk.federation.large

    @pytest.mark.slow
    def test_of_a_conversation_that_goes_on_meanwhile_keeps_the_answer_that_stands(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        events = begin_anew(desk)
        next(events)
        conversation = Conversation.objects.get()
        conversation.tip = make.make_message(conversation, "And now?", parent=conversation.tip)
        conversation.save()
        with pytest.raises(AnswerStands, match="gone on"):
            list(events)
        assert [one.refused_at for one in Message.objects.filter(role="assistant")] == [None]

    @pytest.mark.slow
    def test_of_a_conversation_that_is_deleted_meanwhile_is_told(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        say(desk)
        events = begin_anew(desk)
        next(events)
        Conversation.objects.all().delete()
        with pytest.raises(ConversationGone):
            list(events)
        assert not Message.objects.exists()


class TestRow:
    def test_of_a_person_cannot_be_refused(self, db: None) -> None:
        with pytest.raises(IntegrityError, match="message_refused_is_an_answer"), transaction.atomic():
            make.make_message(make.make_conversation(visitor="word"), refused_at=make.NOW)

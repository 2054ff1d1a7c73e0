"""The policy cascade live: what it plans, how its answers are checked, and what is charged."""

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import pytest

from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    ServerUnreachable,
    StreamPiece,
    TextChunk,
)
from benchmarks.models import Deployment, Prompt
from labeling.sandbox import choose_sandbox
from router.answering import Answer, AnswerEvent, Caller, Decided, stream_answer
from router.baseline import baseline_of
from router.chat.shown import shown_conversation
from router.checking import all_checkers
from router.conversation_carbon import carbon_in
from router.conversing import answer_anew
from router.exchanging import Kept
from router.generating import Interrupted
from router.keys import create_key
from router.models import ApiKey, Conversation, GatewayRequest, KeyHour, Message, PolicyVersion
from router.routing import candidates_from_json
from router.spending import book
from router.wishes import Wish
from tests import factories as make
from tests.router.fits import make_fit
from tests.router.judged import trust
from tests.router.standins import Federation, judge_more
from tests.router.test_adjusted_routing import limit_context
from tests.router.test_answering import Desk, open_desk
from tests.router.test_conversing import VISITOR, say

__all__ = ["open_desk"]

ASKED = "what is two plus three, how many in all"
TESTED = "write a python function\n\nassert five() == 5\n"
BEFORE = (ChatMessage("user", "Hello."), ChatMessage("assistant", "Hello!"))
LARGE = frozenset({"large"})  # what is in memory
OpenCascade = Callable[..., Desk]


class ByModel:
    """Answers, or fails, by the name of the model; what it was asked is kept."""

    def __init__(self, answers: dict[str, str | Exception], events: list[str]) -> None:
        self.answers, self.events = answers, events
        self.asked: list[GenerationRequest] = []

    def stream(self, request: GenerationRequest) -> Generator[StreamPiece, None, None]:
        self.asked.append(request)
        said = self.answers[request.model]
        if isinstance(said, Exception):
            raise said
        self.events.append(request.model)
        yield TextChunk(said[:2])
        yield TextChunk(said[2:])
        yield Generation(said, None, 6, 2, 50, 10, 20, 15, 12, "stop")

    @property
    def models(self) -> list[str]:
        return [one.model for one in self.asked]


@pytest.fixture
def open_cascade(open_desk: Callable[..., Desk]) -> OpenCascade:
    def opening(answers: dict[str, str | Exception], *, is_trusted: bool = True, **policy: Any) -> Desk:
        events = list[str]()
        client = ByModel(answers, events)
        checkers = all_checkers(find_sandbox=lambda: choose_sandbox(allow_weak=False))
        desk = open_desk(connect=lambda _server: client, checkers=checkers)
        desk.client, desk.events = client, events  # type: ignore[assignment]
        judge_more(desk.federation)
        PolicyVersion.objects.create(**{"policy": "cascade", "novelty": 4.0, **policy})
        if is_trusted:
            trust("number_format", desk.federation.small, "math", accepted=80, right=80)
            trust("unit_tests", desk.federation.small, "code", accepted=90, right=90)
        return desk

    return opening


def ask(desk: Desk, text: str = ASKED, *before: ChatMessage) -> Answer:
    return desk.answer("auto", *before, ChatMessage("user", text))


def streamed(desk: Desk, *, api_key_id: int | None = None, **options: Any) -> list[AnswerEvent]:
    return list(
        stream_answer(
            gateway=desk.gateway,
            caller=Caller(GatewayRequest.Surface.OPENAI, api_key_id=api_key_id),
            requested_model="auto",
            messages=(ChatMessage("user", ASKED),),
            parameters=GenerationParameters(),
            **options,
        )
    )


def add_middle(federation: Federation) -> Deployment:
    """Add a cheap model that answers math alone."""
    middle = make.make_deployment("middle", server=federation.server)
    for prompt in Prompt.objects.filter(category__name="math"):
        make.make_response(prompt, middle, energy_j=2.0, verdict="correct")
    return middle


@pytest.mark.slow
class TestAccepted:
    def test_is_the_answer_of_the_cheap_model(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "Five, or 5."})
        answered = ask(desk)
        assert (answered.generation.text, answered.deployment) == ("It is 5.", desk.federation.small)
        assert desk.events == ["small"]
        decision = answered.decision
        assert (decision.policy, decision.reason, decision.chosen) == ("cascade", "cascade", desk.federation.small)
        assert (decision.steps, decision.discarded_sci_gco2e) == ([], None)
        assert (
            "small is asked, and its answer stands where number_format accepts it (80 % of its answers, 100 % of "
            in (decision.explanation)
        )
        assert "number_format accepted the answer of small: It ends on a number, 5." in decision.explanation

    def test_is_streamed_once_it_is_accepted(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        events = streamed(desk)
        assert isinstance(events[0], Decided)
        assert events[0].deployment == desk.federation.small
        assert [event.text for event in events if isinstance(event, TextChunk)] == ["It is 5."]


class TestRefused:
    @pytest.mark.slow
    def test_goes_on_to_the_larger_model_and_charges_the_first(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "It is 5."})
        answered = ask(desk)
        assert (answered.generation.text, answered.deployment) == ("It is 5.", desk.federation.large)
        decision = answered.decision
        decision.refresh_from_db()
        candidates = {one.evidence.model: one for one in candidates_from_json(decision.candidates)}
        [step] = decision.steps
        assert (step["model"], step["checker"], step["reason"]) == ("small", "number_format", "It ends on no number.")
        assert (step["attempt_number"], step["request_id"]) == (1, answered.request.public_id)
        assert decision.discarded_sci_gco2e == candidates["small"].evidence.sci_gco2e > 0  # type: ignore[operator]
        assert decision.predicted_sci_gco2e == candidates["large"].evidence.sci_gco2e
        assert (candidates["small"].is_chosen, candidates["large"].is_chosen) == (False, True)
        assert "Discarded, and charged to this answer: small (It ends on no number)." in decision.explanation
        attempts = answered.request.attempts.order_by("number")
        assert [(one.number, one.deployment, one.outcome) for one in attempts] == [
            (1, desk.federation.small, "finished"), (2, desk.federation.large, "finished"),
        ]  # fmt: skip

    @pytest.mark.slow
    def test_streams_nothing_of_what_was_discarded(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "It is 5."})
        events = streamed(desk)
        assert [event.text for event in events if isinstance(event, TextChunk)] == ["It", " is 5."]
        assert next(event.deployment for event in events if isinstance(event, Decided)) == desk.federation.large

    @pytest.mark.slow
    def test_counts_what_was_discarded_against_the_saving(self, open_cascade: OpenCascade) -> None:
        decision = ask(open_cascade({"small": "I cannot say.", "large": "It is 5."})).decision
        found = baseline_of(decision, candidates_from_json(decision.candidates))
        assert found.saved_gco2e == pytest.approx(-decision.discarded_sci_gco2e)

    @pytest.mark.slow
    def test_runs_the_tests_of_the_prompt_in_the_sandbox(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "```python\ndef five(): return 4\n```", "large": "def five(): return 5"})
        decision = ask(desk, TESTED).decision
        assert decision.chosen == desk.federation.large
        assert decision.steps[0]["checker"] == "unit_tests"
        assert "0 of 1 asserts hold" in decision.steps[0]["reason"]

    @pytest.mark.slow
    def test_takes_code_that_passes_the_tests_of_the_prompt(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "```python\ndef five(): return 5\n```", "large": "def five(): return 5"})
        assert ask(desk, TESTED).decision.chosen == desk.federation.small

    @pytest.mark.slow
    def test_passes_over_a_server_that_fails(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": ServerUnreachable("http://127.0.0.1:1", "nobody there"), "large": "It is 5."})
        answered = ask(desk)
        assert (answered.generation.text, answered.request.state) == ("It is 5.", "answered")
        assert "Its server failed: " in answered.decision.steps[0]["reason"]
        assert list(answered.request.attempts.order_by("number").values_list("outcome", flat=True)) == [
            "failed", "finished",
        ]  # fmt: skip

    @pytest.mark.slow
    def test_fails_where_the_last_server_fails(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade(
            {"small": "I cannot say.", "large": ServerUnreachable("http://127.0.0.1:1", "nobody there")}
        )
        with pytest.raises(ServerUnreachable):
            ask(desk)
        request = GatewayRequest.objects.get()
        assert (request.state, request.decision.discarded_sci_gco2e is not None) == ("failed", True)


@pytest.mark.slow
class TestComparison:
    def test_charges_the_second_answer_also_where_it_agrees(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "middle": "5", "large": "6"}, is_trusted=False)
        middle = add_middle(desk.federation)
        trust("agreement", desk.federation.small, "math", accepted=90, right=90, second_model=middle.language_model)
        decision = ask(desk).decision
        assert (decision.chosen, desk.events) == (desk.federation.small, ["small", "middle"])
        [step] = decision.steps
        assert (step["model"], step["attempt_number"], step["reason"]) == (
            "middle", 2, "It was asked for comparison alone.",
        )  # fmt: skip
        assert decision.discarded_sci_gco2e == step["sci_gco2e"] > 0

    def test_charges_both_where_they_differ(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "middle": "7", "large": "6"}, is_trusted=False)
        middle = add_middle(desk.federation)
        trust("agreement", desk.federation.small, "math", accepted=90, right=90, second_model=middle.language_model)
        decision = ask(desk).decision
        assert decision.chosen == desk.federation.large
        assert [(one["model"], one["attempt_number"]) for one in decision.steps] == [("middle", 2), ("small", 1)]
        assert decision.discarded_sci_gco2e == pytest.approx(sum(one["sci_gco2e"] for one in decision.steps))


class TestDirect:
    @pytest.mark.slow
    def test_uses_no_checker_that_is_not_measured_and_says_so(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"}, is_trusted=False)
        trust("number_format", desk.federation.small, "math", accepted=19, right=19)
        decision = ask(desk).decision
        assert (desk.events, decision.reason) == (["large"], "fallback")
        assert "No checker has accepted 20 judged answers of an active model in math" in decision.explanation

    @pytest.mark.slow
    def test_uses_none_that_is_right_less_often_than_the_last_model(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"}, is_trusted=False)
        trust("number_format", desk.federation.small, "math", accepted=80, right=60)
        decision = ask(desk).decision
        assert desk.events == ["large"]
        assert "is right as often where it is accepted, and saves SCI" in decision.explanation

    @pytest.mark.slow
    def test_streams_as_it_comes(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "It is 5."}, is_trusted=False)
        events = streamed(desk)
        assert [event.text for event in events if isinstance(event, TextChunk)] == ["It", " is 5."]

    @pytest.mark.slow
    def test_checks_later_turns_by_those_that_read_conversations(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        decision = ask(desk, ASKED, *BEFORE).decision
        assert desk.events == ["small"]
        assert "number_format accepted the answer of small" in decision.explanation

    @pytest.mark.slow
    def test_checks_no_later_turn_by_what_stands_in_one_prompt(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        decision = ask(desk, TESTED, *BEFORE).decision
        assert desk.events == ["large"]
        assert "Of later turns, agreement, llm_judge, log_margin_2" in decision.explanation

    @pytest.mark.slow
    def test_tells_a_judge_what_was_said_before(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "middle": "yes", "large": "5"}, is_trusted=False)
        middle = add_middle(desk.federation)
        trust("llm_judge", desk.federation.small, "math", accepted=90, right=90, second_model=middle.language_model)
        ask(desk, ASKED, *BEFORE)
        assert desk.events == ["small", "middle"]
        question = desk.client.asked[1].messages[0].content
        assert "This was said before:\n\nUser: Hello.\n\nAssistant: Hello!\n\nA question was asked:" in question

    @pytest.mark.slow
    def test_knows_no_checks_of_a_kind_that_nobody_has_judged(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"}, novelty=0.01)
        assert (ask(desk).decision.reason, desk.events) == ("novel", ["large"])

    @pytest.mark.slow
    def test_may_be_wished_for(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        PolicyVersion.objects.create(policy="guarded", novelty=4.0)
        events = streamed(desk, wish=Wish("request", policy="cascade", caution=1.0))
        assert events[0].decision.policy == "cascade"
        assert desk.events == ["small"]


@pytest.mark.slow
class TestConditions:
    def test_asks_no_model_that_cannot_hold_the_request(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        limit_context(desk.federation.small, 8)
        decision = ask(desk).decision
        assert (desk.events, decision.chosen) == (["large"], desk.federation.large)
        small = next(one for one in decision.candidates if one["model"] == "small")
        assert "Its context of 8 tokens cannot hold" in small["reason"]

    def test_compares_with_none_that_cannot_hold_the_request(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "middle": "5", "large": "6"}, is_trusted=False)
        middle = add_middle(desk.federation)
        trust("agreement", desk.federation.small, "math", accepted=90, right=90, second_model=middle.language_model)
        limit_context(middle, 8)
        ask(desk)
        assert desk.events == ["large"]

    def test_ends_on_the_best_of_those_that_can_hold_it(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        PolicyVersion.objects.create(policy="cascade", novelty=4.0, fallback=desk.federation.large)
        limit_context(desk.federation.large, 8)
        decision = ask(desk).decision
        assert (desk.events, decision.reason) == (["small"], "fallback")

    def test_counts_the_load_of_a_model_that_is_not_in_memory(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "5"})
        make_fit(desk.federation.small, load_energy_j=5000.0, load_duration_s=20.0, load_count=1)
        desk.gateway = dataclasses.replace(desk.gateway, loaded=lambda servers: {one.pk: LARGE for one in servers})
        decision = ask(desk).decision
        assert desk.events == ["large"]
        small = next(one for one in decision.candidates if one["model"] == "small")
        assert "It is not in memory: 1/10 of loading it" in small["reason"]

    def test_keeps_the_intensity_of_the_machine_that_answered(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "It is 5."})
        machine = make.make_machine("elsewhere", zone="SE")
        server = make.make_server(machine, "http://127.0.0.1:2")
        Deployment.objects.filter(pk=desk.federation.large.pk).update(server=server)
        decision = ask(desk).decision
        decision.refresh_from_db()
        assert (decision.chosen, decision.intensity["zone"]) == (desk.federation.large, "SE")


class TestBudget:
    @pytest.fixture
    def key(self) -> ApiKey:
        key = create_key(owner_id=make.make_user().pk, name="test").key
        key.budget_gco2e_per_hour = 1.0
        key.save()
        return key

    @pytest.mark.slow
    @pytest.mark.parametrize("said", ["It is 5.", "I cannot say."], ids=["accepted", "discarded"])
    def test_books_each_run(self, open_cascade: OpenCascade, key: ApiKey, said: str) -> None:
        desk = open_cascade({"small": said, "large": "It is 5."})
        answered = streamed(desk, api_key_id=key.pk)[-1]
        assert isinstance(answered, Answer)
        decision = answered.decision
        spent = (decision.predicted_sci_gco2e or 0.0) + (decision.discarded_sci_gco2e or 0.0)
        hour = KeyHour.objects.get()
        assert (hour.spent_gco2e, hour.request_count) == (pytest.approx(spent), 1)
        assert answered.hour is not None
        assert answered.hour.spent_gco2e == hour.spent_gco2e

    @pytest.mark.slow
    def test_books_what_was_asked_for_comparison(self, open_cascade: OpenCascade, key: ApiKey) -> None:
        desk = open_cascade({"small": "It is 5.", "middle": "5", "large": "6"}, is_trusted=False)
        middle = add_middle(desk.federation)
        trust("agreement", desk.federation.small, "math", accepted=90, right=90, second_model=middle.language_model)
        answered = streamed(desk, api_key_id=key.pk)[-1]
        assert isinstance(answered, Answer)
        spent = (answered.decision.predicted_sci_gco2e or 0.0) + (answered.decision.discarded_sci_gco2e or 0.0)
        assert KeyHour.objects.get().spent_gco2e == pytest.approx(spent)

    @pytest.mark.slow
    def test_books_what_was_asked_before_the_caller_left(self, open_cascade: OpenCascade, key: ApiKey) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "5"})
        desk.gateway = dataclasses.replace(desk.gateway, is_interrupted=lambda: bool(desk.events))
        with pytest.raises(Interrupted):
            streamed(desk, api_key_id=key.pk)
        assert KeyHour.objects.get().spent_gco2e == GatewayRequest.objects.get().decision.predicted_sci_gco2e

    @pytest.mark.slow
    @pytest.mark.parametrize("said", ["It is 5.", "I cannot say."])
    def test_once_spent_goes_to_the_cheapest_model_alone(
        self, open_cascade: OpenCascade, key: ApiKey, said: str
    ) -> None:
        desk = open_cascade({"small": said, "large": "It is 5."})
        book(api_key_id=key.pk, sci_gco2e=2.0, now=make.NOW)
        answered = streamed(desk, api_key_id=key.pk)[-1]
        assert isinstance(answered, Answer)
        assert (desk.events, answered.generation.text) == (["small"], said)
        assert (answered.decision.reason, answered.decision.steps) == ("budget", [])
        assert answered.decision.explanation.startswith("The key's carbon budget is spent")


class TestInterrupted:
    @pytest.mark.slow
    def test_ends_the_cascade_where_the_caller_leaves(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "5"})
        desk.gateway = dataclasses.replace(desk.gateway, is_interrupted=lambda: bool(desk.events))
        with pytest.raises(Interrupted):
            ask(desk)
        assert (desk.events, GatewayRequest.objects.get().state) == (["small"], "cancelled")


class TestConversation:
    @pytest.mark.slow
    def test_stays_on_the_model_whose_answer_stood(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "It is 5!"})
        say(desk, ASKED)
        conversation = Conversation.objects.get()
        assert conversation.settled == desk.federation.small
        say(desk, ASKED, conversation=conversation)
        assert desk.events == ["small", "small"]
        assert GatewayRequest.objects.latest("pk").decision.reason == "conversation"

    @pytest.mark.slow
    def test_sums_what_was_discarded_for_its_answers(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "I cannot say.", "large": "It is 5."})
        say(desk, ASKED)
        conversation, decision = Conversation.objects.get(), GatewayRequest.objects.get().decision
        [share] = carbon_in(conversation).expected
        assert decision.discarded_sci_gco2e is not None
        assert share.sci_gco2e == pytest.approx(decision.predicted_sci_gco2e + decision.discarded_sci_gco2e)
        assert (share.quality, share.answer_count) == (decision.predicted_quality, 1)
        assert shown_conversation(conversation, sees_results=False).carbon.expected == (share,)

    @pytest.mark.slow
    def test_goes_above_every_discarded_model_where_the_person_refuses_too(self, open_cascade: OpenCascade) -> None:
        desk = open_cascade({"small": "It is 5.", "large": "It is 5!"})
        say(desk, ASKED)
        *_, kept = answer_anew(
            gateway=desk.gateway, speaker=VISITOR, conversation=Conversation.objects.get(),
            answer_id=Message.objects.latest("pk").pk,
        )  # fmt: skip
        assert isinstance(kept, Kept)
        assert kept.message.text == "It is 5!"
        assert desk.events == ["small", "large"]

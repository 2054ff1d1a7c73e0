import dataclasses
import hashlib
import re
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest

from benchmarks.federating import RetiredModel, UnknownModel, retire
from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    InferenceClient,
    RefusedForNow,
    ServerUnreachable,
    StreamBroken,
    StreamPiece,
    TextChunk,
)
from router.answering import (
    Answer,
    AnswerEvent,
    Caller,
    Decided,
    answer,
    last_user_text,
    new_public_id,
    stream_answer,
)
from router.generating import Gateway, Interrupted
from router.indexing import NoIndex
from router.keys import create_key
from router.models import GatewayRequest, PromptIndex, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.router.standins import Federation, make_federation

QUESTION = "what is two plus three"
FIVE = Generation("Five.", None, 6, 2, 50, 10, 20, 15, 12, "stop")


class OneAnswer:
    """Generates one answer, or fails; what it was asked, and what happened before, is kept."""

    def __init__(self, outcome: Generation | Exception, events: list[str]) -> None:
        self.outcome = outcome
        self.events = events
        self.pieces: tuple[TextChunk, ...] = (TextChunk("Fi"), TextChunk("ve."))
        self.asked: list[GenerationRequest] = []

    def stream(self, request: GenerationRequest) -> Generator[StreamPiece, None, None]:
        self.events.append("generate")
        self.asked.append(request)
        try:
            yield from self.pieces
            if isinstance(self.outcome, Exception):
                raise self.outcome
            yield self.outcome
        except GeneratorExit:
            self.events.append("closed")
            raise


@dataclasses.dataclass
class Desk:
    """A gateway with a scripted client, and what it did."""

    federation: Federation
    client: OneAnswer
    gateway: Gateway
    events: list[str]

    def answer(self, model: str = "auto", *messages: ChatMessage) -> Answer:
        return answer(
            gateway=self.gateway,
            caller=Caller(GatewayRequest.Surface.OPENAI),
            requested_model=model,
            messages=messages or (ChatMessage("user", QUESTION),),
            parameters=GenerationParameters(seed=1),
        )

    def stream(self, *, caller: Caller | None = None, **options: Any) -> Generator[AnswerEvent, None, None]:
        return stream_answer(
            gateway=self.gateway,
            caller=caller or Caller(GatewayRequest.Surface.OPENAI),
            requested_model="auto",
            messages=(ChatMessage("user", QUESTION),),
            parameters=GenerationParameters(),
            **options,
        )


@pytest.fixture
def open_desk(db: None) -> Callable[..., Desk]:
    def opening(outcome: Generation | Exception = FIVE, **changes: Any) -> Desk:
        federation, events = make_federation(), list[str]()
        client = OneAnswer(outcome, events)
        gateway = Gateway(
            embedder=lambda: federation.embedder,
            store=federation.store,
            connect=lambda _server: cast(InferenceClient, client),
            clock=lambda: make.NOW,
            is_prompt_text_kept=False,
            release=lambda: events.append("release"),
        )
        return Desk(federation, client, dataclasses.replace(gateway, **changes), events)

    return opening


OpenDesk = Callable[..., Desk]


class TestAnswer:
    def test_of_auto_is_by_the_model_of_the_decision(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        answered = desk.answer("auto")
        assert answered.generation == FIVE
        assert (answered.deployment, answered.decision.chosen) == (desk.federation.small, desk.federation.small)
        assert desk.client.asked[0].model == "small"
        assert answered.route is not None

    def test_of_a_named_model_is_by_that_model(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        answered = desk.answer("large")
        assert (answered.deployment, answered.route) == (desk.federation.large, None)
        assert (answered.decision.policy, answered.decision.reason) == ("fixed", "pinned")

    def test_routes_by_the_latest_message_and_sends_the_whole_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        conversation = (
            ChatMessage("system", "Be brief."),
            ChatMessage("user", QUESTION),
            ChatMessage("assistant", "Five."),
            ChatMessage("user", "write a python function"),
        )
        answered = desk.answer("auto", *conversation)
        assert answered.deployment == desk.federation.large
        assert desk.client.asked[0].messages == conversation
        assert desk.client.asked[0].parameters.seed == 1

    def test_gives_the_connection_back_before_it_generates(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.answer()
        assert desk.events[:2] == ["release", "generate"]


class TestRecord:
    def test_of_an_answer_has_the_request_the_decision_and_the_attempt(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        answered = desk.answer()
        request = GatewayRequest.objects.get()
        assert (request.state, request.requested_model, request.finished_at) == ("answered", "auto", make.NOW)
        assert (request.error, request.error_code) == ("", "")
        assert request.decision == answered.decision
        attempt = request.attempts.get()
        assert (attempt.outcome, attempt.deployment, attempt.done_reason) == ("finished", desk.federation.small, "stop")
        assert (attempt.prompt_token_count, attempt.output_token_count) == (6, 2)
        assert (attempt.total_duration_ns, attempt.load_duration_ns) == (50, 10)
        assert (attempt.prompt_eval_duration_ns, attempt.eval_duration_ns) == (20, 15)
        assert (attempt.time_to_first_token_ns, attempt.finished_at) == (12, make.NOW)

    @pytest.mark.parametrize(("is_kept", "text"), [(False, ""), (True, QUESTION)], ids=["by default", "where set"])
    def test_holds_the_prompt_only_where_set(self, open_desk: OpenDesk, is_kept: bool, text: str) -> None:
        open_desk(is_prompt_text_kept=is_kept).answer()
        request = GatewayRequest.objects.get()
        assert request.prompt_text == text
        assert request.prompt_sha256 == hashlib.sha256(QUESTION.encode()).hexdigest()

    def test_holds_no_prompt_anywhere_by_default(self, open_desk: OpenDesk) -> None:
        open_desk().answer("auto", ChatMessage("user", "what is two plus seventyseven"))
        for model in (GatewayRequest, UpstreamAttempt, RoutingDecision):
            assert "seventyseven" not in str(list(model.objects.values()))


class TestStreamAnswer:
    def test_gives_the_decision_the_pieces_and_the_answer_with_its_rows_closed(self, open_desk: OpenDesk) -> None:
        events = open_desk().stream()
        decided = next(events)
        assert isinstance(decided, Decided)
        assert (decided.request.state, decided.deployment.language_model.name) == ("running", "small")
        assert [next(events), next(events)] == [TextChunk("Fi"), TextChunk("ve.")]
        assert GatewayRequest.objects.get().state == "running"
        answered = next(events)
        assert isinstance(answered, Answer)
        assert answered.generation == FIVE
        assert GatewayRequest.objects.get().state == "answered"
        assert list(events) == []

    def test_counts_what_other_requests_of_the_key_have_begun(self, open_desk: OpenDesk) -> None:
        desk, key = open_desk(), create_key(owner_id=make.make_user().pk, name="test").key
        key.budget_gco2e_per_hour = 1e-9
        key.save()
        caller = Caller(GatewayRequest.Surface.OPENAI, api_key_id=key.pk)
        first, second = desk.stream(caller=caller), desk.stream(caller=caller)
        begun, other = next(first), next(second)  # neither has answered yet
        assert isinstance(begun, Decided)
        assert isinstance(other, Decided)
        assert begun.hour is not None
        assert other.hour is not None
        assert begun.hour.spent_gco2e == begun.decision.predicted_sci_gco2e
        assert other.hour.spent_gco2e > begun.hour.spent_gco2e
        assert "budget is spent" in other.decision.explanation
        assert "budget is spent" not in begun.decision.explanation

    def test_uses_the_database_only_between_claim_and_release(self, open_desk: OpenDesk) -> None:
        desk = open_desk(claim=lambda: desk.events.append("claim"))
        list(desk.stream())
        assert desk.events == ["claim", "release", "generate", "claim", "claim", "release"]

    @pytest.mark.parametrize(("read", "pieces"), [(2, 1), (3, 2)])
    def test_closed_early_stops_the_model_and_records_what_came(
        self, open_desk: OpenDesk, read: int, pieces: int
    ) -> None:
        desk = open_desk()
        events = desk.stream()
        for _ in range(read):
            next(events)
        events.close()
        assert "closed" in desk.events
        request = GatewayRequest.objects.get()
        attempt = request.attempts.get()
        assert (request.state, request.error, request.finished_at) == ("cancelled", "", make.NOW)
        assert (attempt.outcome, attempt.error, attempt.finished_at) == ("cancelled", "", make.NOW)
        assert (attempt.output_token_count, attempt.time_to_first_token_ns) == (pieces, 0)
        assert (attempt.prompt_token_count, attempt.eval_duration_ns) == (None, None)

    def test_closed_at_the_decision_generates_nothing(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        events = desk.stream()
        next(events)
        events.close()
        assert GatewayRequest.objects.get().state == "cancelled"
        assert "generate" not in desk.events
        assert not UpstreamAttempt.objects.exists()

    def test_takes_the_failure_that_an_interruption_caused_for_none(self, open_desk: OpenDesk) -> None:
        desk = open_desk(StreamBroken("shut"), is_interrupted=lambda: True)
        with pytest.raises(Interrupted):
            list(desk.stream())
        request = GatewayRequest.objects.get()
        assert (request.state, request.error_code, request.attempts.get().outcome) == ("cancelled", "", "cancelled")

    def test_keeps_what_came_before_a_failure(self, open_desk: OpenDesk) -> None:
        with pytest.raises(StreamBroken):
            list(open_desk(StreamBroken("gone")).stream())
        attempt = UpstreamAttempt.objects.get()
        assert (attempt.outcome, attempt.output_token_count) == ("failed", 2)

    def test_stays_on_the_model_of_the_conversation(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        decided = next(desk.stream(stay_on_id=desk.federation.large.pk))
        assert isinstance(decided, Decided)
        assert decided.deployment == desk.federation.large
        assert (decided.decision.reason, decided.decision.category) == (
            "conversation",
            desk.federation.math.category,
        )
        assert "stays on large" in decided.decision.explanation
        assert decided.decision.predicted_sci_gco2e


class TestFailure:
    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(ServerUnreachable("http://gone", "refused"), id="server away"),
            pytest.param(RefusedForNow("busy", status=503), id="busy"),
            pytest.param(
                RefusedForNow("a message with \x00 and \ud800", status=500), id="message that no row can hold"
            ),
            pytest.param(RuntimeError("a bug"), id="bug"),
        ],
    )
    def test_of_the_server_is_kept_on_the_request_and_the_attempt(self, open_desk: OpenDesk, error: Exception) -> None:
        desk = open_desk(error)
        with pytest.raises(type(error)):
            desk.answer()
        request = GatewayRequest.objects.get()
        attempt = request.attempts.get()
        assert (request.state, request.error_code, request.finished_at) == ("failed", type(error).__name__, make.NOW)
        assert (attempt.outcome, attempt.error_kind, attempt.finished_at) == ("failed", type(error).__name__, make.NOW)
        assert request.error
        assert request.error == attempt.error

    def test_to_connect_is_kept_too(self, open_desk: OpenDesk) -> None:
        def refuse(_server: object) -> InferenceClient:
            raise ValueError("no client for this kind")

        with pytest.raises(ValueError, match="no client"):
            open_desk(connect=refuse).answer()
        assert GatewayRequest.objects.get().attempts.get().outcome == "failed"

    def test_without_an_index_leaves_no_decision_and_no_attempt(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        with pytest.raises(NoIndex):
            desk.answer()
        request = GatewayRequest.objects.get()
        assert (request.state, request.error_code) == ("failed", "NoIndex")
        assert not request.attempts.exists()
        assert not RoutingDecision.objects.exists()

    @pytest.mark.parametrize(("name", "raised"), [("nobody", UnknownModel), ("small", RetiredModel)])
    def test_of_a_named_model_generates_nothing(self, open_desk: OpenDesk, name: str, raised: type[Exception]) -> None:
        desk = open_desk()
        retire(deployment=desk.federation.small, now=make.NOW)
        with pytest.raises(raised):
            desk.answer(name)
        assert GatewayRequest.objects.get().error_code == raised.__name__
        assert desk.events == []

    def test_of_the_embedder_leads_to_the_fallback(self, open_desk: OpenDesk) -> None:
        desk = open_desk()
        desk.federation.embedder.client.failure = ServerUnreachable("http://gone", "x")  # type: ignore[attr-defined]
        desk.answer()
        assert GatewayRequest.objects.get().state == "answered"
        decision = RoutingDecision.objects.get()
        assert (decision.chosen, decision.reason) == (desk.federation.large, "degraded")


class TestLastUserText:
    @pytest.mark.parametrize(
        ("roles", "expected"),
        [
            pytest.param(["user"], "0", id="one"),
            pytest.param(["user", "assistant", "user"], "2", id="latest"),
            pytest.param(["user", "assistant"], "0", id="before the assistant's"),
            pytest.param(["system"], "", id="none"),
            pytest.param([], "", id="nothing said"),
        ],
    )
    def test_is_what_the_user_said_last(self, roles: list[Any], expected: str) -> None:
        assert last_user_text(tuple(ChatMessage(role, str(number)) for number, role in enumerate(roles))) == expected


class TestNewPublicId:
    def test_is_another_one_each_time_and_sorts_by_time(self) -> None:
        made = [new_public_id() for _ in range(50)]
        assert len(set(made)) == 50
        moments = [one[:16] for one in made]
        assert moments == sorted(moments)
        assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in made)

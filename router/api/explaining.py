"""POST /v1/greenllm/route: where a prompt would go, and why; nothing is generated."""

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from router import wiring
from router.answering import Caller, is_auto
from router.api.admission import admitted
from router.api.endpoint import async_endpoint, caller_of, naming
from router.asking_abilities import unable_now
from router.background import background_task
from router.circumstances import Sent, sent_by
from router.connections import DatabasePlace
from router.counting import count_route
from router.explaining import explain_sent, explanation_as_json
from router.terms import Scope
from router.wire import ChatRequest, WireError, parse_route_request


@async_endpoint("POST")
async def route_prompt(request: HttpRequest) -> HttpResponse:
    return await sync_to_async(_explained, thread_sensitive=False)(request)


def _explained(request: HttpRequest) -> HttpResponse:
    """Explain in a thread of its own, which takes its place among those that use the database."""
    place = DatabasePlace()
    try:
        place.claim()
        caller = caller_of(request)
        asked = parse_route_request(request.body)
        if not is_auto(asked.model):
            raise WireError(
                "'model' must be 'auto' or left out: where a model is named, nothing is chosen.", param="model"
            )
        with (
            admitted(caller, Scope.ROUTE, model=asked.model, characters=len(asked.prompt_text)) as entry,
            naming(asked.model, prompt_field=asked.chat.prompt_field),
        ):
            explained = explain_sent(
                sent=_sent(caller, asked.chat),
                embedder=wiring.embedder_for(place),
                store=wiring.vector_store(),
                now=timezone.now(),
                sees_results=not caller.judges_blind,
            )
        count_route(explained.decision, surface=caller.surface, key_name=caller.key_name, key_prefix=caller.key_prefix)
        return entry.tell(JsonResponse(explanation_as_json(explained)))
    finally:
        place.release()


def _sent(caller: Caller, asked: ChatRequest) -> Sent:
    """Return what would decide about the request if it were to be answered."""
    is_apart = settings.BACKGROUND_PROMPTS == "cheapest"
    return sent_by(
        caller=caller,
        asked=asked,
        now=timezone.now(),
        loaded=wiring.loaded_models().of,
        unable=unable_now(needed=asked.needed, told=wiring.told_abilities().of),
        task=background_task(asked.messages) if is_apart else None,
    )

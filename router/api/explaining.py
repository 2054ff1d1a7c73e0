"""POST /v1/greenllm/route: where a prompt would go, and why; nothing is generated."""

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from router import wiring
from router.answering import Caller, is_auto
from router.api.doors import judges_blind
from router.api.endpoint import async_endpoint, caller_of
from router.connections import DatabasePlace
from router.explaining import explain_prompt, explanation_as_json
from router.wire import WireError, parse_route_request


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
        explained = explain_prompt(
            prompt_text=asked.prompt_text,
            embedder=wiring.embedder(),
            store=wiring.vector_store(),
            now=timezone.now(),
            sees_results=not _judges_blind(caller),
        )
        return JsonResponse(explanation_as_json(explained))
    finally:
        place.release()


def _judges_blind(caller: Caller) -> bool:
    owner = None if caller.user_id is None else get_user_model().objects.filter(pk=caller.user_id).first()
    return owner is not None and judges_blind(owner)

"""Give an answer of the cache: in the shape of the surface, and saying that it is one."""

import json
from collections.abc import Mapping
from typing import Any

from router.answering import is_auto
from router.cached_answers import Hit
from router.caching import pieces_of
from router.contract import Detail, one_line
from router.gateway.http import Reply
from router.gateway.opening import fingerprint_of, rfc_3339
from router.models import GatewayRequest
from router.wire import ChatRequest
from router.wires.surface import Opening, Surface


async def replay(
    reply: Reply, surface: Surface, hit: Hit, *, request: GatewayRequest, asked: ChatRequest, detail: Detail
) -> None:
    """Send the answer, whole or in the chunks of the wire."""
    writer = surface.writer(_opening(request, hit, detail), asked)
    headers, generation = hit_headers(request, hit), hit.generation
    if asked.is_streamed:
        text = b"".join(writer.piece(piece) for piece in pieces_of(generation))
        told = {"Content-Type": surface.stream_type, "Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers}
        await reply.whole(200, told, writer.first() + text + writer.last(generation))
    else:
        told = {"Content-Type": surface.errors.content_type, **headers}
        await reply.whole(200, told, json.dumps(writer.whole(generation)).encode())


def hit_headers(request: GatewayRequest, hit: Hit) -> dict[str, str]:
    """Return the headers of an answer of the cache; nothing was decided for it, so none tells of a choice."""
    headers = {
        "x-request-id": request.public_id,
        "X-GreenLLM-Request-Id": request.public_id,
        "X-GreenLLM-Model": hit.answer.deployment.language_model.name,
        "X-GreenLLM-Route": "auto" if is_auto(request.requested_model) else "pinned",
        "X-GreenLLM-Cache": hit.kind.value,
    }
    if hit.answer.category is not None:
        headers["X-GreenLLM-Category"] = hit.answer.category.name
    if hit.saved_gco2e is not None:
        headers["X-GreenLLM-Cache-Saved-GCO2e"] = f"{hit.saved_gco2e:.6g}"
    return {header: one_line(value) for header, value in headers.items()}


def _opening(request: GatewayRequest, hit: Hit, detail: Detail) -> Opening:
    return Opening(
        request_id=request.public_id,
        created=int(request.started_at.timestamp()),
        created_at=rfc_3339(request.started_at),
        model=hit.answer.deployment.language_model.name,
        greenllm={} if detail is Detail.OFF else _told(request, hit),
        fingerprint=fingerprint_of(hit.answer.deployment.language_model),
    )


def _told(request: GatewayRequest, hit: Hit) -> Mapping[str, Any]:
    """Return our own part: what the cache saved stands apart from what a choice saves, of which there is none here."""
    return {
        "request_id": request.public_id,
        "requested": request.requested_model,
        "model": hit.answer.deployment.language_model.name,
        "category": hit.answer.category.name if hit.answer.category else None,
        "policy": None,
        "predicted_sci_gco2e": None,
        "sci_gco2e": None,
        "saved_gco2e": None,
        "quality": "missing",
        "cache": {
            "hit": hit.kind.value,
            "distance": hit.distance,
            "answered_by_request": hit.answer.request.public_id,
            "answered_at": rfc_3339(hit.answer.created_at),
            "saved_gco2e": hit.saved_gco2e,
            "quality": hit.quality,
        },
    }

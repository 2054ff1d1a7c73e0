"""The servers around the gateway in its bench: an inference server with a script, and a bare pass-through to it.

Run by uvicorn in processes of their own. What a prompt says is what happens: `delay 0.1 0.3` waits a random time and
answers at once, `stream 100 10` gives 100 tokens, 10 a second, `hang` gives nothing and `stall` one token, until the
client leaves; when that was is told by `/seen`. The answer of `delay` is how long it waited, in seconds: that it woke
up late is not what a gateway adds. `/draw` begins the random times anew, so that each gateway meets the same ones.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

DIMENSION = 384
SEEN: dict[str, float] = {}
_drawn = random.Random(0)
Json = dict[str, Any]


async def tokens_of(script: str) -> AsyncIterator[str]:
    """Give the tokens that a script wants, when it wants them."""
    word, *given = script.split()
    if word == "delay":
        began, wanted_s = time.perf_counter(), _drawn.uniform(float(given[0]), float(given[1]))
        if wanted_s:
            await asyncio.sleep(wanted_s)
        yield f"{time.perf_counter() - began:.6f}"
    elif word == "stream":
        count, rate = int(given[0]), float(given[1])
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
            yield f" {number}"
    else:
        try:
            if word == "stall":
                yield "begun"
            await asyncio.sleep(3600)
        finally:
            SEEN[given[0]] = time.monotonic()


def piece(token: str) -> bytes:
    return json.dumps({"model": "small", "message": {"role": "assistant", "content": token}, "done": False}).encode()


async def ollama_lines(script: str) -> AsyncIterator[bytes]:
    count = 0
    async for token in tokens_of(script):
        count += 1
        yield piece(token) + b"\n"
    done = {"done": True, "done_reason": "stop", "prompt_eval_count": 50, "eval_count": count}
    yield json.dumps({"model": "small", "message": {"role": "assistant", "content": ""}, **done}).encode() + b"\n"


async def openai_events(script: str) -> AsyncIterator[bytes]:
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    async for token in tokens_of(script):
        choice = {"index": 0, "delta": {"content": token}, "finish_reason": None}
        yield b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield b"data: " + json.dumps({**head, "choices": [last]}).encode() + b"\n\ndata: [DONE]\n\n"


async def chat(request: Request) -> Response:
    script = (await request.json())["messages"][-1]["content"]
    return StreamingResponse(ollama_lines(script), media_type="application/x-ndjson")


async def completions(request: Request) -> Response:
    body = await request.json()
    script = body["messages"][-1]["content"]
    if body.get("stream"):
        return StreamingResponse(openai_events(script), media_type="text/event-stream")
    text = "".join([token async for token in tokens_of(script)])
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    return JSONResponse(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice], "usage": usage}
    )


async def show(_request: Request) -> Response:
    info = {"general.architecture": "llama", "llama.context_length": 8192}
    return JSONResponse({"details": {"family": "llama"}, "model_info": info, "capabilities": ["completion"]})


async def tags(_request: Request) -> Response:
    return JSONResponse({"models": [{"name": "small:latest", "model": "small:latest", "digest": "0" * 64, "size": 1}]})


async def embed(request: Request) -> Response:
    texts = (await request.json())["input"]
    vectors = [[random.Random(f"{text}{axis}").uniform(-1, 1) for axis in range(DIMENSION)] for text in texts]
    return JSONResponse({"model": "embedder", "embeddings": vectors, "prompt_eval_count": 1})


async def draw(_request: Request) -> Response:
    _drawn.seed(0)
    return JSONResponse({})


async def seen(_request: Request) -> Response:
    return JSONResponse(SEEN)


upstream = Starlette(
    routes=[
        Route("/api/chat", chat, methods=["POST"]),
        Route("/v1/chat/completions", completions, methods=["POST"]),
        Route("/api/show", show, methods=["POST"]),
        Route("/api/embed", embed, methods=["POST"]),
        Route("/api/tags", tags),
        Route("/seen", seen),
        Route("/draw", draw),
    ]
)

_client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=100))


async def pass_through(request: Request) -> Response:
    """Send a request on and its answer back, and do nothing else: what the least proxy costs."""
    body = await request.body()
    address = os.environ["BENCH_UPSTREAM"] + request.url.path
    sent = _client.build_request("POST", address, content=body, headers={"Content-Type": "application/json"})
    answer = await _client.send(sent, stream=True)

    async def parts() -> AsyncIterator[bytes]:
        try:
            async for part in answer.aiter_raw():
                yield part
        finally:
            await answer.aclose()

    return StreamingResponse(parts(), answer.status_code, media_type=answer.headers["content-type"])


async def page(_request: Request) -> Response:
    return JSONResponse({})


bare = Starlette(routes=[Route("/v1/chat/completions", pass_through, methods=["POST"]), Route("/page", page)])

"""Reply to one request of a surface: whole or as a stream, and end what it caused when the client leaves."""

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from benchmarks.inference.base import ChatPiece, Generation
from router.answering import Caller, new_public_id
from router.api.endpoint import caller_with, may_be_anonymous, named, retry_headers, secret_of, told_error
from router.connections import DatabaseAway
from router.contract import Detail, choice_headers
from router.denying import denials_counted
from router.gateway.conducting import Conductor, State
from router.gateway.entering import enter
from router.gateway.house import House
from router.gateway.http import ClientLeft, Incoming, Reply
from router.gateway.loading import load
from router.gateway.opening import DETAIL, MEASURE, detail_of, opening_of, opening_of_loading, wants_measuring
from router.gateway.replaying import replay
from router.gateway.settling import settle
from router.guessing import wrong_keys_limited
from router.metrics import ERROR_REPLIES
from router.wire import ChatRequest, WireError
from router.wires.surface import AnswerWriter, Surface

PING_INTERVAL_S = 15.0
_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def reply_to(incoming: Incoming, reply: Reply, *, surface: Surface, house: House) -> None:
    """Answer a request, with an error in the shape of the surface where it cannot be answered.

    Raises:
        ClientLeft: the client left before its request was whole.
    """
    reply.duration_header = surface.errors.duration_header
    try:
        incoming.require_known_host()  # the address that a client is sent to is of this host
        if (url := incoming.secure_url) is not None:
            await reply.whole(301, {"Location": url}, b"")
            return
        if incoming.method != "POST":
            raise WireError(f"{incoming.method} is not allowed here; use POST.", status=405)
        caller = await _caller(incoming, surface, house)
        asked = surface.parse(await incoming.body())
        if told := incoming.header("cache-control"):
            asked = replace(asked, cache=asked.cache.within(told))
        detail = detail_of(incoming.header(DETAIL.lower())).shown_to(caller)
        is_measuring_wanted = wants_measuring(incoming.header(MEASURE.lower()))
        with denials_counted(caller):
            taken = await enter(house.limiter, caller, asked)
    except ClientLeft:
        raise
    except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
        await _refuse(reply, surface, error)
        return
    reply.always.update({} if taken is None else taken.headers)
    if asked.is_load_only:
        await _while_client_stays(incoming, _load(reply, surface, house, asked))
        return
    conductor = Conductor(
        house, caller, asked, is_measuring_wanted=is_measuring_wanted, trace_parent=incoming.header("traceparent")
    )
    try:
        await _while_client_stays(incoming, _answer(reply, surface, conductor, asked, detail))
    finally:
        house.limiter.settle(taken, conductor.used_tokens)


async def _caller(incoming: Incoming, surface: Surface, house: House) -> Caller:
    if house.workers.is_away:  # who is known still would have an answer made that nobody can record
        raise DatabaseAway
    secret, label = secret_of(incoming.header("authorization")), surface.errors.label
    if not secret and may_be_anonymous(
        method=incoming.method, address=incoming.address, headers=incoming.headers, surface=label
    ):
        return Caller(label)
    kept_as = (label, hashlib.sha256(secret.encode()).hexdigest())
    forwarded = incoming.header("x-forwarded-for")
    # each of those who wait for one reading
    with denials_counted(Caller(label)), wrong_keys_limited(secret, remote=incoming.address, forwarded=forwarded):
        return await house.callers.get(kept_as, lambda: house.workers.query(partial(caller_with, secret, label)))


async def _while_client_stays(incoming: Incoming, answering: Coroutine[None, None, None]) -> None:
    """Run the answering until its end, or cancel it once the client has left."""
    work = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(incoming.wait_for_leaving())
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not work.done():
            work.cancel()
        await asyncio.wait({work, leaving})
    if not work.cancelled():
        work.result()


async def _load(reply: Reply, surface: Surface, house: House, asked: ChatRequest) -> None:
    try:
        loaded = await load(house, asked)
        writer = surface.writer(opening_of_loading(asked.model, timezone.now()), asked)
    except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
        await _refuse(reply, surface, named(error, asked.model, prompt_field=asked.prompt_field))
        return
    headers = {"x-request-id": new_public_id()}
    if asked.is_streamed:
        await reply.whole(200, {"Content-Type": surface.stream_type, **headers}, writer.last(loaded))
    else:
        await _send_whole(reply, surface, writer.whole(loaded), headers)


async def _answer(reply: Reply, surface: Surface, conductor: Conductor, asked: ChatRequest, detail: Detail) -> None:
    try:
        if (hit := await conductor.recall()) is not None:
            await conductor.end(State.ANSWERED)
            await replay(reply, surface, hit, request=conductor.request, asked=asked, detail=detail)
            return
        await conductor.decide()
        if asked.is_streamed:
            await _stream(reply, surface, conductor, asked, detail)
        else:
            await _whole(reply, surface, conductor, asked, detail)
    except asyncio.CancelledError:
        await conductor.end(State.CANCELLED)
        raise
    except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
        await _fail(reply, surface, conductor, error, asked)


async def _fail(reply: Reply, surface: Surface, conductor: Conductor, error: Exception, asked: ChatRequest) -> None:
    if isinstance(error, DatabaseAway) and not reply.has_begun:
        await _refuse(reply, surface, error)  # at once: its own row waits for the database to come back
        with suppress(DatabaseError):  # the recorder has logged it
            await conductor.end(State.FAILED, error)
        return
    try:
        await conductor.end(State.FAILED, error)
    finally:
        told = named(error, asked.model, prompt_field=asked.prompt_field)
        if reply.has_begun:
            await reply.end(surface.failure(told_error(told)))
        else:
            await _refuse(reply, surface, told)


async def _whole(reply: Reply, surface: Surface, conductor: Conductor, asked: ChatRequest, detail: Detail) -> None:
    generation = await conductor.whole()
    told: dict[str, str] = {"Content-Type": surface.errors.content_type}
    body = b""

    def prepare() -> None:
        nonlocal body
        writer = surface.writer(opening_of(conductor.decided, detail, conductor.measurement), asked)
        told.update(choice_headers(conductor.decided, conductor.measurement))
        body = json.dumps(writer.whole(generation)).encode()

    await conductor.end(State.ANSWERED, meanwhile=prepare)
    await reply.whole(200, told, body)


async def _send_whole(reply: Reply, surface: Surface, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    told = {"Content-Type": surface.errors.content_type, **headers}
    await reply.whole(200, told, json.dumps(body).encode())


async def _stream(reply: Reply, surface: Surface, conductor: Conductor, asked: ChatRequest, detail: Detail) -> None:
    """Begin a stream once its first piece is there, so that a server that refuses is a status and not an event.

    Where that takes long, the stream begins without it, so that nobody between here and the client gives up.
    """
    await settle(reply, conductor, stream_type=surface.stream_type, headers=_UNBUFFERED, interval_s=PING_INTERVAL_S)
    pieces = await conductor.read(PING_INTERVAL_S)
    conductor.has_begun = True
    writer = surface.writer(opening_of(conductor.decided, detail), asked)
    headers = {"Content-Type": surface.stream_type, **_UNBUFFERED, **choice_headers(conductor.decided)}
    first = writer.first()
    data = first + _written(writer, pieces or [])
    if not _is_last(pieces) and not reply.has_begun:
        await reply.begin(200, headers)
    while not _is_last(pieces):
        await reply.write(data)
        first, pieces = b"", await conductor.read(PING_INTERVAL_S)
        data = writer.ping() if pieces is None else _written(writer, pieces)
    await conductor.end(State.ANSWERED)
    if (measurement := conductor.measurement) is not None:  # it is told at the end, which is written anew
        ending = surface.writer(opening_of(conductor.decided, detail, measurement), asked)
        data = first + _written(writer, (pieces or [])[:-1])
        data += _written(ending, (pieces or [])[-1:])
    if not reply.has_begun:
        await reply.begin(200, headers)
    await reply.end(data)


def _written(writer: AnswerWriter, pieces: list[ChatPiece]) -> bytes:
    return b"".join(writer.last(piece) if isinstance(piece, Generation) else writer.piece(piece) for piece in pieces)


def _is_last(pieces: list[ChatPiece] | None) -> bool:
    return pieces is not None and isinstance(pieces[-1], Generation)


async def _refuse(reply: Reply, surface: Surface, error: Exception) -> None:
    """Answer with an error, before a byte of an answer has left."""
    wire = told_error(error)
    ERROR_REPLIES.labels(surface.errors.label, str(wire.status)).inc()
    headers: Mapping[str, str] = {
        "Content-Type": surface.errors.content_type,
        "x-request-id": new_public_id(),
        **retry_headers(error, wire),
        **({"Allow": "POST"} if wire.status == 405 else {}),
    }
    await reply.whole(wire.status, headers, json.dumps(surface.errors.error(wire)).encode())

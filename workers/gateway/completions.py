"""Answers a chat completion, whole or as a stream of events. A client that hangs up ends the generation."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from providers.base import ChatChunk
from providers.errors import Unavailable
from workers import chat
from workers.context import Context
from workers.gateway import openai_protocol
from workers.gateway.edge import translate
from workers.gateway.generation import Generation, Places
from workers.gateway.metrics import RequestFigures
from workers.gateway.openai_protocol import MOST_BYTES, Answer, Refusal
from workers.tables import ApiKey, Endpoint

BODY_SECONDS = 30.0
"""A request must have been sent by then."""

TOLERANCE = 10
"""A body so many times too large is not even read to its end."""

Result = TypeVar("Result")


class Completions:
    """Asks an endpoint's provider and puts its answer into OpenAI's shapes."""

    def __init__(self, context: Context, places: Places, figures: RequestFigures) -> None:
        self._context = context
        self._places = places
        self._figures = figures

    async def answer(self, request: Request, body: bytes, key: ApiKey, endpoint: Endpoint) -> Response:
        """Answer a request to the key's endpoint. Raises Refusal, ProviderError or ClientDisconnect."""
        completion = openai_protocol.read(body)
        openai_protocol.check_model(completion, endpoint)
        openai_protocol.check_awake(endpoint)
        asked = replace(completion.to(endpoint), user=f"key:{key.id}")
        generation = self._places.start(key.id or 0, lambda: chat.stream(self._context, endpoint, asked))
        try:
            pieces = generation.chunks()
            first = await _unless_gone(request, anext(pieces, None))
            shaped = Answer(request.state.request_id, int(time.time()), completion.model, completion.with_usage)
            if completion.stream:
                events = self._events(shaped, first, pieces, request.state.request_id)
                return _Stream(events, generation)
            whole = await _unless_gone(request, self._whole(shaped, first, pieces))
        except BaseException:
            generation.cancel()
            raise
        return JSONResponse(whole)

    async def _whole(self, shaped: Answer, first: ChatChunk | None, pieces: AsyncIterator[ChatChunk]) -> dict[str, Any]:
        text = first.text if first else ""
        last = first
        async for last in pieces:
            text += last.text
        return shaped.whole(text, *self._ended(last))

    async def _events(
        self, shaped: Answer, first: ChatChunk | None, pieces: AsyncIterator[ChatChunk], error_id: str
    ) -> AsyncIterator[bytes]:
        yield shaped.beginning()
        last = first
        try:
            if first is not None and first.text:
                yield shaped.piece(first.text)
            async for last in pieces:
                if last.text:
                    yield shaped.piece(last.text)
            reason, prompt_tokens, completion_tokens = self._ended(last)
        except Exception as error:  # noqa: BLE001 -- the status is sent already: the stream itself must say it
            yield openai_protocol.event(translate(error, error_id).body())
            return
        yield shaped.end(reason, prompt_tokens, completion_tokens)

    def _ended(self, last: ChatChunk | None) -> tuple[str, int, int]:
        """Why the answer ended and what it took, once its last piece is there."""
        if last is None or last.finish_reason is None:
            raise Unavailable("The model broke off in the middle of its answer. Try again.")
        prompt_tokens, completion_tokens = last.prompt_tokens or 0, last.completion_tokens or 0
        self._figures.note_tokens(prompt_tokens, completion_tokens)
        return last.finish_reason, prompt_tokens, completion_tokens


class _Stream(StreamingResponse):
    """Server-sent events that end their generation, however they themselves end."""

    def __init__(self, events: AsyncIterator[bytes], generation: Generation) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._generation.cancel()


async def read_body(request: Request) -> bytes:
    """The body, if it is not too large and comes in time. Raises Refusal.

    What is somewhat too large is read to its end all the same, and thrown away: a client that is still sending
    would not see the refusal.
    """
    large = Refusal(413, f"The request is larger than {MOST_BYTES:,} bytes.", code="request_too_large")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST_BYTES * TOLERANCE:
        raise large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES * TOLERANCE:
                    raise large
                if size <= MOST_BYTES:
                    body += part
    except TimeoutError:
        raise Refusal(408, "The request did not arrive in time.", code="request_timeout") from None
    if size > MOST_BYTES:
        raise large
    return bytes(body)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result. Raises ClientDisconnect as soon as the client hangs up."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Return when the client hangs up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

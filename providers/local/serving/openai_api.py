"""OpenAI's chat completions over HTTP, in front of the engine.

A client that sends the header X-Finetune-Bot-Stages is told in its stream what is done before the answer begins:
events without choices, with a field `stage`. Any other client gets OpenAI's events alone.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, field_validator

from providers.errors import NotFound
from providers.local.serving.engine import Engine
from providers.local.serving.fair_queue import Busy
from providers.local.serving.generation import Failure, Generation, Piece, Question, Stage

DEFAULT_TOKENS = 512
STAGES_HEADER = "x-finetune-bot-stages"
_LOOK_SECONDS = 0.5
"""How often it is looked whether a client that waits for an answer is still there."""
_STAGE_SECONDS = 20.0
"""How often a stage that lasts is said again."""


class TextPart(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def plain(self) -> dict[str, str]:
        """As a chat template wants it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(BaseModel):
    """What a stream should carry besides text."""

    include_usage: bool = False


class Completion(BaseModel):
    """The part of OpenAI's request that is understood here. What would change the answer is refused, not ignored."""

    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: list[str] = Field(default_factory=list, max_length=4)
    seed: int | None = None
    user: str = Field(default="", max_length=200)
    n: Literal[1] = 1
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    tools: None = None
    response_format: None = None
    logprobs: Literal[False] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _list_of_stops(cls, value: Any) -> Any:
        return [] if value is None else [value] if isinstance(value, str) else value

    @field_validator("user", mode="before")
    @classmethod
    def _nobody(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("stream_options", mode="before")
    @classmethod
    def _default_options(cls, value: Any) -> Any:
        return {} if value is None else value


class _Answer:
    """An answer on its way from the engine's thread to a client."""

    def __init__(self, engine: Engine, question: Question) -> None:
        """Ask. Raises Busy."""
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self._pieces: asyncio.Queue[Piece | Failure | Stage] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        put = self._pieces.put_nowait

        def deliver(piece: Piece | Failure | Stage) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(put, piece)

        self._generation: Generation = engine.ask(question, deliver)

    async def next(self, seconds: float | None = None) -> Piece | Failure | Stage:
        """The next piece. Raises TimeoutError."""
        return await asyncio.wait_for(self._pieces.get(), seconds)

    def leave(self) -> None:
        """Nobody wants the rest."""
        self._generation.cancelled.set()


def build(engine: Engine) -> FastAPI:
    """The application. The engine is started and stopped by whoever runs it."""
    app = FastAPI(title="Finetune Bot's model server", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()[:5])
        return _error(Failure(400, "invalid_request_error", problems))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        state = {"ready": engine.is_alive, "running": engine.running, "waiting": engine.waiting}
        state["in_memory"] = len(engine.in_memory)
        return JSONResponse(state, 200 if engine.is_alive else 503)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        entries = engine.catalogue.entries().values()
        data = [
            {"id": one.name, "object": "model", "created": 0, "owned_by": "finetune-bot", "root": one.base_model}
            for one in entries
        ]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions", response_model=None)
    async def complete(completion: Completion, request: Request) -> Response:
        try:
            entry = await asyncio.to_thread(engine.catalogue.find, completion.model)
            answer = _Answer(
                engine,
                Question(
                    entry=entry,
                    messages=[one.plain() for one in completion.messages],
                    max_tokens=completion.max_completion_tokens or completion.max_tokens or DEFAULT_TOKENS,
                    temperature=completion.temperature,
                    top_p=completion.top_p,
                    stops=completion.stop,
                    seed=completion.seed,
                    user=completion.user,
                ),
            )
        except NotFound as error:
            return _error(Failure(404, "model_not_found", error.user_message))
        except Busy:
            return _error(Failure(429, "rate_limit_exceeded", "Too many questions wait already."))
        return await (_stream if completion.stream else _whole)(answer, completion, request)

    return app


async def _whole(answer: _Answer, completion: Completion, request: Request) -> Response:
    """The answer in one piece."""
    text = ""
    try:
        while True:
            try:
                piece = await answer.next(_LOOK_SECONDS)
            except TimeoutError:
                if await request.is_disconnected():
                    return Response(status_code=499)
                continue
            if isinstance(piece, Stage):
                continue
            if isinstance(piece, Failure):
                return _error(piece)
            text += piece.text
            if piece.finish_reason is not None:
                break
    finally:
        answer.leave()
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": piece.finish_reason}
    return JSONResponse({**_head(answer, completion, "chat.completion"), "choices": [choice], "usage": _usage(piece)})


async def _stream(answer: _Answer, completion: Completion, request: Request) -> Response:
    """The answer as it is written. What fails before anything was sent has a status of its own."""
    tells = STAGES_HEADER in request.headers
    try:
        while True:
            try:
                first = await answer.next(_LOOK_SECONDS)
            except TimeoutError:
                if await request.is_disconnected():
                    answer.leave()
                    return Response(status_code=499)
                continue
            if tells or not isinstance(first, Stage):
                break
    except asyncio.CancelledError:
        answer.leave()
        raise
    if isinstance(first, Failure):
        return _error(first)
    return StreamingResponse(_events(answer, completion, first), media_type="text/event-stream")


async def _events(answer: _Answer, completion: Completion, piece: Piece | Failure | Stage) -> AsyncIterator[str]:
    head = _head(answer, completion, "chat.completion.chunk")
    try:
        while isinstance(piece, Stage):
            yield _event({**head, "choices": [], "stage": piece.text})
            try:
                piece = await answer.next(_STAGE_SECONDS)
            except TimeoutError:
                continue
        if isinstance(piece, Piece):
            yield _event({**head, "choices": [_choice({"role": "assistant", "content": ""})]})
        while isinstance(piece, Piece):
            if piece.text:
                yield _event({**head, "choices": [_choice({"content": piece.text})]})
            if piece.finish_reason is not None:
                yield _event({**head, "choices": [_choice({}, piece.finish_reason)]})
                if completion.stream_options.include_usage:
                    yield _event({**head, "choices": [], "usage": _usage(piece)})
                yield "data: [DONE]\n\n"
                return
            piece = await _next_words(answer)
        yield _event(_error_body(piece))
    finally:
        answer.leave()


async def _next_words(answer: _Answer) -> Piece | Failure:
    while True:
        piece = await answer.next()
        if not isinstance(piece, Stage):
            return piece


def _head(answer: _Answer, completion: Completion, kind: str) -> dict[str, Any]:
    return {"id": answer.id, "object": kind, "created": answer.created, "model": completion.model}


def _choice(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def _usage(last: Piece) -> dict[str, int]:
    return {
        "prompt_tokens": last.prompt_tokens,
        "completion_tokens": last.completion_tokens,
        "total_tokens": last.prompt_tokens + last.completion_tokens,
    }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _error_body(failure: Failure) -> dict[str, Any]:
    kind = "invalid_request_error" if failure.status < 500 else "server_error"
    return {"error": {"message": failure.message, "type": kind, "param": None, "code": failure.code}}


def _error(failure: Failure) -> JSONResponse:
    return JSONResponse(_error_body(failure), failure.status)

"""OpenAI's chat completions protocol: what a request may say, and the shapes of answers and errors.

A field that we do not have is refused where it would change the answer, never silently dropped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from providers.base import ChatMessage, ChatRequest
from workers.tables import Endpoint, EndpointStatus

MOST_BYTES = 1_000_000
MOST_MESSAGES = 200
MOST_TOKENS = 4096
"""A request gets at most so many tokens of answer, whatever it asks for."""

MOST_STOPS = 4
LONGEST_STOP = 200

IGNORED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
        "verbosity",
    }
)
"""Accepted without effect: they do not promise a different answer."""

NEUTRAL: Mapping[str, Sequence[object]] = {
    "frequency_penalty": [0],
    "function_call": ["none"],
    "functions": [[]],
    "logit_bias": [{}],
    "logprobs": [False],
    "modalities": [["text"]],
    "n": [1],
    "presence_penalty": [0],
    "response_format": [{"type": "text"}],
    "store": [False],
    "tool_choice": ["none", "auto"],
    "tools": [[]],
    "top_logprobs": [0],
}
"""Accepted with these values only, which mean "as usual"."""


@dataclass
class Refusal(Exception):
    """A request that is answered with an error, in OpenAI's shape."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None

    def body(self) -> dict[str, Any]:
        """What the client reads."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class _Part(BaseModel):
    """A part of a message; only text is understood."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class _Message(BaseModel):
    """One message; "developer" is the newer name of "system"."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    refusal: None = None

    def plain(self) -> ChatMessage:
        role = "system" if self.role == "developer" else self.role
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ChatMessage(role, text)


class _StreamOptions(BaseModel):
    include_usage: bool = False
    include_obfuscation: bool = False  # padding against eavesdroppers; without effect


_Tokens = Annotated[int, Field(ge=1)]


class Completion(BaseModel):
    """A request for an answer, understood and checked."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str
    messages: Annotated[list[_Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None

    @field_validator("stop")
    @classmethod
    def _few_and_short(cls, value: str | list[str] | None) -> str | list[str] | None:
        texts = [value] if isinstance(value, str) else value or []
        if len(texts) > MOST_STOPS or not all(0 < len(one) <= LONGEST_STOP for one in texts):
            words = f"at most {MOST_STOPS} texts to stop at, of 1 to {LONGEST_STOP} characters each"
            raise PydanticCustomError("stop", words)
        return value

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def to(self, endpoint: Endpoint) -> ChatRequest:
        """What the endpoint's provider is asked. Without a system message the endpoint's own is said first."""
        messages = [message.plain() for message in self.messages]
        if endpoint.system_prompt and all(message.role != "system" for message in messages):
            messages.insert(0, ChatMessage("system", endpoint.system_prompt))
        wanted = self.max_completion_tokens or self.max_tokens or endpoint.max_tokens
        return ChatRequest(
            model=endpoint.model,
            messages=messages,
            max_tokens=min(wanted, MOST_TOKENS),
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            stop=[self.stop] if isinstance(self.stop, str) else self.stop or (),
            seed=self.seed,
        )


def read(body: bytes) -> Completion:
    """Understand a request's body. Raises Refusal, naming the field that is wrong."""
    try:
        completion = Completion.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from None
    for name, value in (completion.model_extra or {}).items():
        if value is None or name in IGNORED or value in NEUTRAL.get(name, ()):
            continue
        known = name in NEUTRAL
        raise Refusal(
            400,
            f"{name[:60]!r} is not supported here; leave it out."
            if known
            else f"There is no field {name[:60]!r}; leave it out.",
            param=name[:60],
            code="unsupported_parameter" if known else "unknown_parameter",
        )
    return completion


def check_model(completion: Completion, endpoint: Endpoint) -> None:
    """A key opens one endpoint: its model must be meant. Raises Refusal."""
    if completion.model not in {endpoint.model, endpoint.name}:
        raise Refusal(
            404,
            f"This API key belongs to the model {endpoint.model!r}; there is no other one for it.",
            param="model",
            code="model_not_found",
        )


def check_awake(endpoint: Endpoint) -> None:
    """An endpoint whose model is hosted nowhere cannot answer. Raises Refusal."""
    if endpoint.status is EndpointStatus.ASLEEP:
        raise Refusal(
            503,
            f"The model {endpoint.model!r} is asleep: it is hosted nowhere now. Somebody can deploy it again from "
            "its thread in Slack; that takes some minutes.",
            type="server_error",
            code="model_asleep",
        )


def _refusal(error: ValidationError) -> Refusal:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    problem = max(problems, key=lambda one: len(one["loc"]))  # of a value's two possible shapes, the nearer one
    place = [str(one) for one in problem["loc"] if not str(one).startswith(("list[", "str"))]
    if not place:
        return Refusal(400, "The body is not a JSON object that can be read.", code="invalid_json")
    where = ".".join(place)[:100]
    if problem["type"] == "literal_error" and place[-1] == "type":
        words = "only parts of type 'text' are understood."
    elif problem["type"] == "extra_forbidden":
        words = "this is not supported here; leave it out."
    else:
        words = f"{problem['msg'][0].lower()}{problem['msg'][1:]}."
    return Refusal(400, f"{where}: {words}", param=where)


@dataclass(frozen=True)
class Answer:
    """Puts one answer into OpenAI's shapes, whole or piece by piece."""

    id: str
    created: int
    model: str
    with_usage: bool = False

    def whole(self, text: str, finish_reason: str, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        """The answer of a request that does not stream."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": _finish(finish_reason),
        }
        usage = usage_of(prompt_tokens, completion_tokens)
        return self._envelope("chat.completion") | {"choices": [choice], "usage": usage}

    def beginning(self) -> bytes:
        """The first event of a stream."""
        return self._event({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """The next words."""
        return self._event({"content": text})

    def end(self, finish_reason: str, prompt_tokens: int, completion_tokens: int) -> bytes:
        """Why it ended, what it took if that was asked for, and the mark that nothing follows."""
        ended = self._event({}, _finish(finish_reason))
        if self.with_usage:
            usage = {"choices": [], "usage": usage_of(prompt_tokens, completion_tokens)}
            ended += event(self._envelope("chat.completion.chunk") | usage)
        return ended + b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.with_usage else {}
        return event(self._envelope("chat.completion.chunk") | {"choices": [choice]} | usage)

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def usage_of(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """What an answer took."""
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def _finish(reason: str) -> str:
    """The protocol knows "stop" and, for everything that was cut short, "length"."""
    return "stop" if reason == "stop" else "length"

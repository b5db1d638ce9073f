"""A chat provider for any server that speaks OpenAI's chat completions protocol."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import openai
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from providers._openai_api import answers, models
from providers._openai_api.errors import BROKE_OFF, Vendor, translate, translated
from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import InvalidRequest, NotFound, Unavailable

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0
"""How long a server may say nothing: on two cores, loading a model and a long question take a while."""

_REASONING = ("o1", "o3", "o4", "gpt-5")
"""How the names of models begin that want max_completion_tokens and choose their temperature themselves."""
_NOT_TAKEN = frozenset({"unsupported_parameter", "unsupported_value"})
_MOST_REMEMBERED = 1000


@dataclass(frozen=True)
class _Style:
    """How a model wants to be asked."""

    limit: str = "max_tokens"
    temperature: bool = True

    def parameters(self, request: ChatRequest) -> dict[str, Any]:
        """The call's, beside the messages; what is as usual is not said."""
        said: dict[str, Any] = {self.limit: request.max_tokens}
        if self.temperature:
            said["temperature"] = request.temperature
        if request.top_p != 1.0:
            said["top_p"] = request.top_p
        if request.stop:
            said["stop"] = list(request.stop)
        if request.seed is not None:
            said["seed"] = request.seed
        return said

    def without(self, parameter: str | None) -> "_Style":
        """The style for a model that does not take this parameter; the same one where it has no other."""
        if parameter == "temperature":
            return replace(self, temperature=False)
        if parameter == self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if parameter == self.limit:
            return replace(self, limit="max_tokens")
        return self


class OpenAICompatibleChat:
    """Answers through a client. Safe in threads; connections are kept and shared."""

    def __init__(
        self,
        base_url: str = "",
        *,
        api_key: str = "none",
        name: str = "The model server",
        client: OpenAI | None = None,
        vendor: Vendor | None = None,
        own: bool = False,
    ) -> None:
        """`name` is how the server is called in messages to people.

        A vendor's room passes its own `client` and `vendor` in stead of the others. `own`: this installation's
        server, which is told who asks, and tells what it does before it answers.
        """
        self._own = own
        self._vendor = vendor or Vendor(name, secrets=(api_key,) if api_key != "none" else ())
        self._client = (client or OpenAI(base_url=base_url, api_key=api_key)).with_options(
            max_retries=0, timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        )
        self._styles: dict[str, _Style] = {}

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator closes the connection."""
        reason, prompt_tokens, completion_tokens = None, None, None
        with translated(self._vendor), self._ask(request) as answer:
            for event in self._events(answer):
                text, reason = _read(event, reason)
                if self._own and (stage := (event.model_extra or {}).get("stage")):
                    yield ChatChunk(stage=str(stage)[:100])
                if event.usage is not None:
                    prompt_tokens, completion_tokens = event.usage.prompt_tokens, event.usage.completion_tokens
                if text:
                    yield ChatChunk(text=text)
        if reason is None:
            raise Unavailable(BROKE_OFF.format(self._vendor.name))
        yield ChatChunk(finish_reason=reason, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)

    def models(self) -> Sequence[str]:
        """The names that the server lists."""
        return [answers.text(one, "id") for one in models.listed(self._client, self._vendor)]

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def _events(self, answer: Stream[ChatCompletionChunk]) -> Iterator[ChatCompletionChunk]:
        """The answer's events. Our own server says in the middle of a stream what it would have said with a status."""
        try:
            yield from answer
        except openai.APIError as error:
            body = error.body if self._own and isinstance(error.body, dict) else {}
            words = self._vendor.clean(body.get("message"))
            if words and body.get("code") == "model_not_found":
                raise NotFound(words) from None
            if words and body.get("type") == "invalid_request_error":
                raise InvalidRequest(words) from None
            if words and body.get("code") == "unavailable":
                raise Unavailable(words) from None
            raise

    @contextmanager
    def _ask(self, request: ChatRequest) -> Iterator[Stream[ChatCompletionChunk]]:
        """Begin an answer. A parameter that the model does not take is left out from then on."""
        messages = [_message(one) for one in request.messages]
        style = self._styles.get(request.model) or _style(request.model)
        tried = {style}
        while True:
            try:
                answer = self._client.chat.completions.create(
                    model=request.model,
                    messages=messages,
                    stream=True,
                    stream_options={"include_usage": True},
                    **style.parameters(request),
                    **self._for_own(request),
                )
            except openai.BadRequestError as error:
                style = style.without(error.param) if error.code in _NOT_TAKEN else style
                if style in tried:
                    raise translate(error, self._vendor) from None
                tried.add(style)
            else:
                break
        if len(tried) > 1:
            if len(self._styles) >= _MOST_REMEMBERED:
                self._styles.clear()
            self._styles[request.model] = style
        with answer:
            yield answer

    def _for_own(self, request: ChatRequest) -> dict[str, Any]:
        if not self._own:
            return {}
        return {"extra_headers": {"X-Finetune-Bot-Stages": "1"}, **({"user": request.user} if request.user else {})}


def _style(model: str) -> _Style:
    """How a model of this name is asked first."""
    if model.removeprefix("ft:").startswith(_REASONING):
        return _Style("max_completion_tokens", temperature=False)
    return _Style()


def _read(event: ChatCompletionChunk, reason: str | None) -> tuple[str, str | None]:
    """The event's text, and why the answer ended if it has; the library does not check what a server sends."""
    choice = event.choices[0] if event.choices else None
    text = getattr(getattr(choice, "delta", None), "content", None)
    return (text if isinstance(text, str) else ""), getattr(choice, "finish_reason", None) or reason


def _message(message: ChatMessage) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "assistant":
            return {"role": "assistant", "content": message.content}
        case "user":
            return {"role": "user", "content": message.content}
        case _:
            raise InvalidRequest(f"A message cannot have the role {message.role!r}.")

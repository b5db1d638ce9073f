"""A chat provider for any server that speaks OpenAI's chat completions protocol."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx2
import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import InvalidRequest, NotAllowed, NotFound, ProviderError, RateLimited, Unavailable

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0
"""How long a server may say nothing: on two cores, loading a model and a long question take a while."""


class OpenAICompatibleChat:
    """Answers through `base_url`. Safe in threads; connections are kept and shared."""

    def __init__(self, base_url: str, *, api_key: str = "none", name: str = "The model server") -> None:
        """`name` is how the server is called in messages to people."""
        self._name = name
        self._client = OpenAI(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        )

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator closes the connection."""
        reason, prompt_tokens, completion_tokens = None, None, None
        with self._translated():
            answer = self._client.chat.completions.create(
                model=request.model,
                messages=[_message(one) for one in request.messages],
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                stream=True,
                stream_options={"include_usage": True},
            )
            with answer:
                for event in answer:
                    text, reason = _read(event, reason)
                    if event.usage is not None:
                        prompt_tokens, completion_tokens = event.usage.prompt_tokens, event.usage.completion_tokens
                    if text:
                        yield ChatChunk(text=text)
        if reason is None:
            raise Unavailable(f"{self._name} broke off in the middle of its answer. Try again.")
        yield ChatChunk(finish_reason=reason, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)

    def models(self) -> Sequence[str]:
        """The names that the server lists."""
        with self._translated():
            return [one.id for one in self._client.models.list()]

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the library's errors, and those of the connection below it, into ours."""
        try:
            yield
        except openai.OpenAIError as error:
            raise translate(error, self._name) from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"{self._name} broke off in the middle of its answer. Try again.") from error


def translate(error: openai.OpenAIError, name: str) -> ProviderError:
    """The provider error that says the same as the client library's."""
    detail = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, openai.APITimeoutError):
        return Unavailable(f"{name} took too long to answer. Try again.", detail=detail)
    if isinstance(error, openai.APIConnectionError):
        return Unavailable(f"{name} cannot be reached. Is it running?", detail=detail)
    if isinstance(error, openai.APIStatusError):
        return _translate_status(error, name, detail)
    if isinstance(error, openai.APIError):  # an error event in the middle of a stream, or an answer of no known shape
        return Unavailable(f"{name} broke off in the middle of its answer. Try again.", detail=detail)
    return InvalidRequest(f"{name} could not be asked: {error}"[:300], detail=detail)


def _translate_status(error: openai.APIStatusError, name: str, detail: str) -> ProviderError:
    status, said = error.status_code, _said(error)
    if status == 404:
        return NotFound(f"{name} does not have this model. {said}".strip(), detail=detail)
    if status == 429:
        words = f"{name} is busy. Try again in a moment."
        return RateLimited(words, detail=detail, retry_after=_retry_after(error.response))
    if status in {401, 403}:
        return NotAllowed(f"{name} refuses our credentials for this model. {said}".strip(), detail=detail)
    if status >= 500 or status in {408, 409}:
        words = f"{name} is not ready or in trouble (status {status}). Try again in a moment."
        return Unavailable(words, detail=detail, retry_after=_retry_after(error.response))
    return InvalidRequest(f"{name} rejects the question. {said}".strip(), detail=detail)


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, shortened; untrusted."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return message[:300] if isinstance(message, str) else ""


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None


def _read(event: ChatCompletionChunk, reason: str | None) -> tuple[str, str | None]:
    if not event.choices:
        return "", reason
    choice = event.choices[0]
    return choice.delta.content or "", choice.finish_reason or reason


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

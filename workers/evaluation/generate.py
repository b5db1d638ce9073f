"""Asking one model for its answers to many prompts, several at a time."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from providers.base import ChatMessage, ChatProvider, ChatRequest

AT_ONCE = 16
"""Requests in flight: a model server of our own answers them in one batch."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to the prompt at `position`; greedy."""

    position: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def answers(
    chat: ChatProvider, model: str, prompts: Mapping[int, Sequence[ChatMessage]], max_tokens: int
) -> Iterator[Answer]:
    """Each answer as it is complete, in any order. Raises providers.errors.ProviderError."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="generate") as pool:
        asked = [pool.submit(_one, chat, model, position, prompt, max_tokens) for position, prompt in prompts.items()]
        try:
            for future in as_completed(asked):
                yield future.result()
        finally:
            for future in asked:
                future.cancel()


def _one(chat: ChatProvider, model: str, position: int, prompt: Sequence[ChatMessage], max_tokens: int) -> Answer:
    text, reason, prompt_tokens, completion_tokens = "", "", 0, 0
    for chunk in chat.stream(ChatRequest(model=model, messages=prompt, max_tokens=max_tokens)):
        text += chunk.text
        reason = chunk.finish_reason or reason
        prompt_tokens = chunk.prompt_tokens or prompt_tokens
        completion_tokens = chunk.completion_tokens or completion_tokens
    return Answer(position, text, reason, prompt_tokens, completion_tokens)

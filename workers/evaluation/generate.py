"""Asking one model for its answers to many prompts, several at a time.

A vendor that says "slow down" is waited for a moment here; for longer whoever asked should come back later. A single
question that is refused (a content filter, too long) is an empty answer; if nothing else comes, it is an error.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from providers.base import ChatMessage, ChatProvider, ChatRequest
from providers.errors import InvalidRequest, ProviderError, RateLimited

AT_ONCE = 16
"""Requests in flight unless told otherwise: a model server of our own answers them in one batch."""
SHORT_SECONDS = 10.0
"""A vendor that wants a pause of at most so long is waited for."""
MOST_PAUSES = 3
"""So often for one question."""
FIRST_PAUSE = 2.0
"""Where the vendor does not say how long."""
MOST_TOKENS = 2**31 - 1
"""The largest count that the database holds; a vendor's answer may say anything."""
LONGEST_REASON = 40
REFUSED = "refused"
"""The `finish_reason` of a question that the vendor does not answer."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to the prompt at `position`; greedy."""

    position: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def answers(
    chat: ChatProvider,
    model: str,
    prompts: Mapping[int, Sequence[ChatMessage]],
    max_tokens: int,
    *,
    at_once: int = AT_ONCE,
    is_known: bool = False,
    stopping: threading.Event | None = None,
) -> Iterator[Answer]:
    """Each answer as it is complete, in any order. Raises providers.errors.ProviderError.

    After an error nothing more is asked, and what was under way is still given before the error is raised. If every
    question is refused, that is the error, unless the model `is_known` to have answered others. Once `stopping` is set
    nothing more is asked either.
    """
    asking = _Asking(chat, model, max_tokens, stopping or threading.Event())
    with ThreadPoolExecutor(at_once, thread_name_prefix="generate") as pool:
        asked = [pool.submit(asking.one, position, prompt) for position, prompt in prompts.items()]
        try:
            yield from _results(asked, asking, is_known=is_known)
        finally:
            asking.over.set()
            for future in asked:
                future.cancel()


def _results(asked: Sequence[Future[Answer | None]], asking: "_Asking", *, is_known: bool) -> Iterator[Answer]:
    problem: ProviderError | None = None
    refused: list[Answer] = []
    for future in as_completed(asked):
        if future.cancelled():
            continue
        try:
            answer = future.result()
        except ProviderError as error:
            problem = problem or error
            asking.over.set()
            for one in asked:
                one.cancel()
            continue
        if answer is None:
            continue
        if answer.finish_reason == REFUSED:
            refused.append(answer)
        else:
            is_known = True
            yield answer
    if is_known:
        yield from refused
    if problem is not None:
        raise problem
    if refused and not is_known and asking.refusal is not None:
        raise asking.refusal


class _Asking:
    """One model being asked; the threads share its pauses."""

    def __init__(self, chat: ChatProvider, model: str, max_tokens: int, stopping: threading.Event) -> None:
        self._chat = chat
        self._model = model
        self._max_tokens = max_tokens
        self._stopping = stopping
        self.over = threading.Event()
        """Nobody wants answers any more: pauses end."""
        self.refusal: InvalidRequest | None = None

    def one(self, position: int, prompt: Sequence[ChatMessage]) -> Answer | None:
        """The answer to one prompt; None if it is not to be asked any more."""
        if self._stopping.is_set():
            return None
        for paused in range(MOST_PAUSES + 1):
            try:
                return self._ask(position, prompt)
            except RateLimited as error:
                pause = error.retry_after if error.retry_after is not None else FIRST_PAUSE * 2**paused
                if paused == MOST_PAUSES or pause > SHORT_SECONDS or self.over.wait(pause):
                    raise
            except InvalidRequest as error:
                self.refusal = error
                return Answer(position, "", REFUSED, 0, 0)
        raise AssertionError

    def _ask(self, position: int, prompt: Sequence[ChatMessage]) -> Answer:
        text, reason, prompt_tokens, completion_tokens = "", "", 0, 0
        user = f"evaluation:{self._model}"
        request = ChatRequest(model=self._model, messages=prompt, max_tokens=self._max_tokens, user=user[:200])
        for chunk in self._chat.stream(request):
            text += chunk.text
            reason = chunk.finish_reason or reason
            prompt_tokens = chunk.prompt_tokens or prompt_tokens
            completion_tokens = chunk.completion_tokens or completion_tokens
        reason = _kept(reason)[:LONGEST_REASON]
        return Answer(position, _kept(text), reason, _counted(prompt_tokens), _counted(completion_tokens))


def _kept(text: str) -> str:
    """The text as a database holds it: halves of one character joined, those that stand alone replaced, no NUL."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\x00", "")


def _counted(tokens: int) -> int:
    return min(max(tokens, 0), MOST_TOKENS)

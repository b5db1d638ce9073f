"""Asking for many answers at once."""

import threading
import time

import pytest

from providers.base import ChatChunk, ChatMessage
from providers.errors import InvalidRequest, RateLimited, Unavailable
from workers.evaluation import generate

PROMPTS = {place: [ChatMessage("user", f"q{place}")] for place in range(40)}


class Chat:
    def __init__(self, fails_at=None, slow=0.0):
        self.fails_at, self.slow = fails_at, slow
        self.asked, self.most, self.now = [], 0, 0
        self.lock = threading.Lock()
        self.together = threading.Event()

    def stream(self, request):
        with self.lock:
            self.asked.append(request)
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now > 1:
                self.together.set()
        self.together.wait(5)
        if self.fails_at is not None and request.messages[-1].content == f"q{self.fails_at}":
            raise Unavailable("down")
        if request.messages[-1].content != "q0":
            time.sleep(self.slow)
        yield ChatChunk(text="to ")
        yield ChatChunk(text=request.messages[-1].content)
        with self.lock:
            self.now -= 1
        yield ChatChunk(finish_reason="stop", prompt_tokens=3, completion_tokens=2)


def test_every_prompt_is_answered_once_several_at_a_time():
    chat = Chat()
    answers = {one.position: one for one in generate.answers(chat, "m", PROMPTS, 33)}
    assert {place: one.text for place, one in answers.items()} == {place: f"to q{place}" for place in PROMPTS}
    assert (answers[0].finish_reason, answers[0].prompt_tokens, answers[0].completion_tokens) == ("stop", 3, 2)
    assert len(chat.asked) == 40
    assert 1 < chat.most <= generate.AT_ONCE
    assert {(one.model, one.max_tokens, one.temperature) for one in chat.asked} == {("m", 33, 0.0)}


def test_an_error_ends_it_without_asking_the_rest():
    chat = Chat(fails_at=0, slow=0.5)
    with pytest.raises(Unavailable):
        list(generate.answers(chat, "m", PROMPTS, 33))
    assert len(chat.asked) < 40


def test_whoever_stops_reading_stops_the_asking():
    chat = Chat(slow=0.5)
    answers = generate.answers(chat, "m", PROMPTS, 33)
    next(answers)
    answers.close()
    assert len(chat.asked) < 40


class Limited(Chat):
    """Turns away as `limits` say, then answers."""

    def __init__(self, limits, refused=()):
        super().__init__()
        self.limits, self.refused = list(limits), refused
        self.together.set()

    def stream(self, request):
        with self.lock:
            limit = self.limits.pop(0) if self.limits else None
        if limit is not None:
            raise RateLimited("slowly", retry_after=limit)
        if request.messages[-1].content in self.refused:
            raise InvalidRequest("content filter")
        yield from super().stream(request)


def test_a_short_pause_is_waited_for():
    chat = Limited([0.01] * 20)
    assert len(list(generate.answers(chat, "m", PROMPTS, 33, at_once=8))) == 40


def test_a_long_pause_is_for_whoever_asked_and_what_was_answered_is_given_first():
    chat = Limited([None] * 10 + [60.0])
    given = []
    with pytest.raises(RateLimited) as raised:
        for one in generate.answers(chat, "m", PROMPTS, 33, at_once=4):
            given.append(one)  # noqa: PERF402 -- an error ends it in the middle
    assert raised.value.retry_after == 60
    assert 10 <= len(given) < 40
    assert len(given) == len(chat.asked)  # nothing that was paid for is lost


def test_one_pause_after_the_other_comes_to_an_end():
    chat = Limited([0.001] * 10_000)
    with pytest.raises(RateLimited):
        list(generate.answers(chat, "m", {0: PROMPTS[0]}, 33))
    assert len(chat.limits) == 10_000 - generate.MOST_PAUSES - 1


def test_what_is_refused_is_an_empty_answer_unless_everything_is():
    answers = {one.position: one for one in generate.answers(Limited([], refused={"q3"}), "m", PROMPTS, 33)}
    assert (answers[3].text, answers[3].finish_reason, len(answers)) == ("", generate.REFUSED, 40)
    everything = {f"q{place}" for place in PROMPTS}
    with pytest.raises(InvalidRequest):
        list(generate.answers(Limited([], refused=everything), "m", PROMPTS, 33))
    known = list(generate.answers(Limited([], refused=everything), "m", PROMPTS, 33, is_known=True))
    assert len(known) == 40


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        (["\ud83d", "\ude00 ok"], "😀 ok"),  # one character that came in two pieces
        (["a\udc00b\ud83d"], "a\ufffdb\ufffd"),
        (["a\x00b"], "ab"),
        (["é", "\u0301"], "é\u0301"),
    ],
)
@pytest.mark.parametrize(("told", "counted"), [(-5, 0), (10**30, 2**31 - 1), (7, 7), (None, 0)])
def test_an_answer_is_what_a_database_holds(pieces, kept, told, counted):
    class Odd:
        def stream(self, _request):
            yield from (ChatChunk(text=one) for one in pieces)
            yield ChatChunk(finish_reason="\udc00\x00" + "x" * 99, prompt_tokens=told, completion_tokens=told)

    (answer,) = generate.answers(Odd(), "m", {0: PROMPTS[0]}, 33)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == (kept, counted, counted)
    assert answer.finish_reason == "\ufffd" + "x" * (generate.LONGEST_REASON - 1)
    assert answer.text.encode()

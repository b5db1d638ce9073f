"""Asking for many answers at once."""

import threading

import pytest

from providers.base import ChatChunk, ChatMessage
from providers.errors import Unavailable
from workers.evaluation import generate

PROMPTS = {place: [ChatMessage("user", f"q{place}")] for place in range(40)}


class Chat:
    def __init__(self, fails_at=None):
        self.fails_at = fails_at
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
    chat = Chat(fails_at=0)
    with pytest.raises(Unavailable):
        list(generate.answers(chat, "m", PROMPTS, 33))
    assert len(chat.asked) < 40


def test_whoever_stops_reading_stops_the_asking():
    chat = Chat()
    answers = generate.answers(chat, "m", PROMPTS, 33)
    next(answers)
    answers.close()
    assert len(chat.asked) < 40

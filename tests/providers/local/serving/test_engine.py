import queue
import threading
from types import SimpleNamespace

import pytest

from providers.errors import NotConfigured
from providers.local.serving import fair_queue
from providers.local.serving.catalogue import Catalogue, Entry
from providers.local.serving.engine import Engine
from providers.local.serving.fair_queue import Busy
from providers.local.serving.generation import Failure, Question, Stage

LOADING = Stage("loading the model")
QUESTION = Question(Entry("m", "m"), [{"role": "user", "content": "hi"}], 8)


class Answers(queue.Queue):
    """What is delivered, but for what is said while one waits."""

    def put(self, piece):
        if piece != LOADING:
            super().put(piece)


@pytest.fixture
def opened(tmp_path):
    """An engine whose base models cannot be found, in the way that a test says."""
    troubles = queue.Queue()

    def find(_name):
        raise troubles.get()

    engine = Engine(Catalogue(tmp_path / "models", tmp_path / "cache"), find)
    engine.start()
    yield engine, troubles
    engine.stop()
    assert not engine.is_alive


def test_trouble_with_one_question_ends_neither_the_engine_nor_the_wait(opened):
    engine, troubles = opened
    answers = Answers()
    for trouble in (NotConfigured("install it"), RuntimeError("a bug"), NotConfigured("still missing")):
        troubles.put(trouble)
        engine.ask(QUESTION, answers.put)
    first, second, third = (answers.get(timeout=60) for _ in range(3))
    assert first == Failure(503, "unavailable", "install it")
    assert (second.status, "error id" in second.message, "a bug" in second.message) == (500, True, False)
    assert third.message == "still missing"
    assert engine.is_alive


def test_a_question_that_nobody_waits_for_is_not_begun(opened):
    engine, troubles = opened
    answers = Answers()
    held = threading.Event()

    class Slow(NotConfigured):
        pass

    troubles_get = troubles.get
    engine._find_base = lambda _name: (held.wait(30), (_ for _ in ()).throw(troubles_get()))
    troubles.put(Slow("first"))
    engine.ask(QUESTION, answers.put)
    gone = engine.ask(Question(Entry("other", "other"), QUESTION.messages, 8), answers.put)
    gone.cancelled.set()
    held.set()
    assert answers.get(timeout=60).message == "first"
    with pytest.raises(queue.Empty):
        answers.get(timeout=0.3)


def test_what_breaks_while_it_reads_is_told_to_everyone_who_waits_for_it(opened, monkeypatch):
    engine, _ = opened
    answers = Answers()
    monkeypatch.setattr(
        engine, "_prepare", lambda generation, _busy: SimpleNamespace(generation=generation, adapter=None, prompt=[1])
    )
    monkeypatch.setattr(engine, "_join", lambda: 1 / 0)
    engine.ask(QUESTION, answers.put)
    assert answers.get(timeout=60).status == 500
    engine.ask(QUESTION, answers.put)
    assert answers.get(timeout=60).status == 500


def test_a_full_queue_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(fair_queue, "MOST_WAITING", 2)
    engine = Engine(Catalogue(tmp_path, tmp_path), str)  # never started: nothing leaves the queue
    engine.ask(QUESTION, print)
    engine.ask(QUESTION, print)
    with pytest.raises(Busy):
        engine.ask(QUESTION, print)
    assert engine.waiting == 2

"""Several models, and memory for one of them."""

import queue
import time
from pathlib import Path

import pytest
import torch

from providers.local.serving import engine as engine_module
from providers.local.serving import memory
from providers.local.serving.catalogue import Catalogue, Entry
from providers.local.serving.engine import Engine
from providers.local.serving.generation import Piece, Question, Stage
from providers.local.serving.resident import Resident
from tests.tiny_model import make

FREE = 1 << 60


@pytest.fixture(scope="module")
def two(tiny, tmp_path_factory):
    return [
        Entry(str(folder), str(folder)) for folder in (tiny, make(tmp_path_factory.mktemp("two") / "other", seed=1))
    ]


def opened():
    return Resident(Path)


def test_what_a_model_needs_is_known_before_it_is_loaded(two):
    resident = opened()
    weights = resident.get(two[0], ())
    assert memory.needed(Path(two[0].name), torch.float32) == weights.bytes
    assert memory.needed(Path(two[0].name), torch.bfloat16) == weights.bytes // 2


def test_models_stay_while_there_is_memory(two, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda _device: FREE)
    resident = opened()
    first = resident.get(two[0], ())
    resident.get(two[1], ())
    assert resident.get(two[0], ()) is first
    assert resident.names == {one.name for one in two}


def test_without_memory_the_idle_one_goes_and_a_busy_one_stays(two, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda _device: 0)
    resident = opened()
    resident.get(two[0], ())
    assert not resident.has_room(two[1], {two[0].name})
    assert resident.has_room(two[0], {two[0].name})
    assert resident.has_room(two[1], ())
    resident.get(two[1], ())
    assert resident.names == {two[1].name}


def test_a_model_without_room_has_its_turn_between_the_questions_of_a_busy_one(two, tmp_path, monkeypatch):
    """Questions to the first model never end; one to the second is answered all the same, and then the first again."""
    monkeypatch.setattr(memory, "free", lambda _device: 0)
    monkeypatch.setattr(engine_module, "TURN_SECONDS", 0.2)
    engine = Engine(Catalogue(tmp_path, tmp_path), Path)
    said = queue.Queue()
    stages = []

    asked = 0

    def ask(entry, tokens):
        nonlocal asked
        asked += 1

        def deliver(piece):
            if isinstance(piece, Stage):
                stages.append((entry.name, piece.text))
            elif not isinstance(piece, Piece) or piece.finish_reason:
                said.put((entry.name, piece))

        engine.ask(Question(entry, [{"role": "user", "content": "hi"}], tokens, user=entry.name), deliver)

    engine.start()
    for _ in range(3):
        ask(two[0], 40)
    assert said.get(timeout=60)[0] == two[0].name
    ask(two[0], 40)
    ask(two[1], 4)
    answered, until = [], time.monotonic() + 60
    while two[1].name not in answered:
        assert time.monotonic() < until
        name, piece = said.get(timeout=60)
        assert isinstance(piece, Piece), piece
        answered.append(name)
        if name == two[0].name:
            ask(two[0], 40)
    for _ in range(asked - len(answered) - 1):
        assert isinstance(said.get(timeout=60)[1], Piece)
    assert (two[1].name, "loading the model") in stages
    engine.stop()

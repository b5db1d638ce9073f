"""Chat through vLLM, against a stand-in written from its documentation and source."""

import json
import os
import shutil
from contextlib import closing

import pytest

from providers import _model_server
from providers._openai_compatible import OpenAICompatibleChat
from providers._vllm import VllmChat
from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import InvalidRequest, NotAllowed, NotConfigured, Unavailable
from providers.settings import ProviderSettings
from tests.providers.vllm_stand_in import NO_SUCH_PAGE, VllmStandIn, problem

BASE = "qwen-7b"


def tuned(folder, base=BASE):
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "model.json").write_text(json.dumps({"base_model": base}))
    return folder


@pytest.fixture
def models(tmp_path):
    tuned(tmp_path / "models" / "recipes-v1")
    return tmp_path / "models"


@pytest.fixture
def vllm():
    with VllmStandIn(BASE) as server:
        yield server


@pytest.fixture
def chat(vllm, models):
    with closing(VllmChat(vllm.url, models, str(models))) as client:
        yield client


def ask(chat, model):
    return list(chat.stream(ChatRequest(model, [ChatMessage("user", "hi")], 8, user="U1")))


def text(pieces):
    return "".join(piece.text for piece in pieces)


def test_the_base_model_is_asked_as_it_is(chat, vllm):
    pieces = ask(chat, BASE)
    assert text(pieces) == f"I am {BASE}"
    assert pieces[-1] == ChatChunk(finish_reason="stop", prompt_tokens=3, completion_tokens=4)
    assert vllm.loads() == []
    assert not any(piece.stage for piece in pieces)


def test_the_base_model_may_be_called_by_its_folder(chat, vllm):
    assert text(ask(chat, vllm.root)) == f"I am {BASE}"


def test_an_adapter_is_loaded_before_it_is_first_asked_and_only_then(chat, vllm, models):
    first, second = ask(chat, "recipes-v1"), ask(chat, "recipes-v1")
    assert first[0] == ChatChunk(stage="loading the model")
    assert not any(piece.stage for piece in second)
    assert text(first) == text(second)
    assert text(first).startswith("I am recipes-v1@")
    assert [body["lora_path"] for body in vllm.loads()] == [str(models / "recipes-v1")]


def test_what_another_process_has_loaded_is_used(chat, vllm, models):
    with closing(VllmChat(vllm.url, models, str(models))) as other:
        assert text(ask(other, "recipes-v1")) == text(ask(chat, "recipes-v1"))
    assert len(vllm.loads()) == 1


def test_a_new_version_is_never_taken_for_the_old_one(chat, vllm, models):
    old = text(ask(chat, "recipes-v1"))
    os.utime(models / "recipes-v1" / "adapter_model.safetensors", (1, 1))
    new = text(ask(chat, "recipes-v1"))
    assert new != old
    assert vllm.unloads() == [old.removeprefix("I am ")]
    assert list(vllm.adapters) == [new.removeprefix("I am ")]


def test_an_adapter_that_was_deleted_here_is_unloaded_there(chat, vllm, models):
    ask(chat, "recipes-v1")
    vllm.adapters["somebody-else@s"] = "/their/folder"
    shutil.rmtree(models / "recipes-v1")
    tuned(models / "recipes-v2")
    ask(chat, "recipes-v2")
    assert [name.partition("@")[0] for name in vllm.adapters] == ["somebody-else", "recipes-v2"]


def test_an_adapter_can_be_unloaded_by_name(chat, vllm):
    ask(chat, "recipes-v1")
    chat.unload("recipes-v1")
    chat.unload("recipes-v1")
    assert vllm.adapters == {}


def test_after_a_restart_of_vllm_the_adapter_is_loaded_again(chat, vllm):
    ask(chat, "recipes-v1")
    vllm.adapters.clear()
    pieces = ask(chat, "recipes-v1")
    assert text(pieces).startswith("I am recipes-v1@")
    assert pieces[0].stage


def test_vllm_may_see_the_folder_elsewhere(vllm, models):
    vllm.faults.append((200, "Success"))
    with closing(VllmChat(vllm.url, models, "/mnt/models")) as chat:
        chat._ready("recipes-v1")
    assert vllm.loads()[0]["lora_path"] == "/mnt/models/recipes-v1"


def test_the_models_are_the_base_and_what_lies_here(chat, models):
    tuned(models / "a")
    assert chat.models() == [BASE, "a", "recipes-v1"]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (NO_SUCH_PAGE, NotConfigured, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        (problem(404, "NotFoundError", "No adapter found for /x"), NotConfigured, "FINETUNE_BOT_SERVE_MODELS"),
        (problem(500, "InternalServerError", "LoRA rank 64 is greater than max_lora_rank 16."), InvalidRequest, "rank"),
        (problem(400, "BadRequestError", "unsupported target modules"), InvalidRequest, "unsupported target"),
        (problem(500, "InternalServerError", "engine died"), Unavailable, "engine died"),
        ((400, {"object": "error", "message": "an older shape", "code": 400}), InvalidRequest, "an older shape"),
    ],
)
def test_what_vllm_refuses_is_said_with_what_to_do(chat, vllm, fault, kind, words):
    vllm.faults.append(fault)
    with pytest.raises(kind, match=words):
        ask(chat, "recipes-v1")
    assert text(ask(chat, "recipes-v1")).startswith("I am recipes-v1@"), "the next try may do"


def test_an_adapter_of_another_base_model_is_refused(chat, models):
    tuned(models / "other", base="llama-8b")
    with pytest.raises(NotConfigured, match=f"serves {BASE}.*other was tuned from llama-8b"):
        ask(chat, "other")


def test_a_model_that_vllm_does_not_serve_is_named(chat, models):
    (models / "whole").mkdir()
    for name in ("whole", "nobody", "../recipes-v1"):
        with pytest.raises(NotConfigured, match="one base model"):
            ask(chat, name)


def test_a_key_is_asked_for(models):
    with VllmStandIn(BASE, key="secret-key") as vllm:
        with closing(VllmChat(vllm.url, models, str(models))) as chat, pytest.raises(NotAllowed, match="SERVE_KEY"):
            ask(chat, "recipes-v1")
        with closing(VllmChat(vllm.url, models, str(models), api_key="secret-key")) as chat:
            assert text(ask(chat, "recipes-v1")).startswith("I am recipes-v1@")


def test_nobody_there_is_waited_for(models):
    with closing(VllmChat("http://127.0.0.1:9", models, str(models))) as chat, pytest.raises(Unavailable):
        ask(chat, "recipes-v1")


def test_the_setting_chooses_the_server(tmp_path, vllm):
    tuned(tmp_path / "models" / "recipes-v1")
    settings = ProviderSettings(home=tmp_path, serve_kind="vllm", serve_url=vllm.url + "/")
    with closing(_model_server.build(settings)) as chat:
        assert text(ask(chat, "recipes-v1")).startswith("I am recipes-v1@")
    with closing(_model_server.build(ProviderSettings(home=tmp_path))) as own:
        assert isinstance(own, OpenAICompatibleChat)
    with pytest.raises(NotConfigured, match="FINETUNE_BOT_SERVE_URL"):
        _model_server.build(ProviderSettings(home=tmp_path, serve_kind="vllm"))


def test_vllm_is_not_told_who_asks(chat, vllm):
    ask(chat, "recipes-v1")
    asked = next(body for path, body in vllm.asked if path == "/v1/chat/completions")
    assert "user" not in asked

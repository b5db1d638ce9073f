"""The model server as a process of its own, with the tiny model and the adapter that was trained on it."""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import openai
import pytest

from providers._openai_compatible import OpenAICompatibleChat
from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import InvalidRequest, NotFound
from tests.providers.local.serving.conftest import serving
from tests.tiny_model import make

TUNED = "toy-v1"
QUESTIONS = [f"say {number}" + " please" * (number % 5) for number in range(20)]


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(trained.job.tuned_model, folder / "models" / TUNED)
    with serving(folder) as server:
        yield server


def test_it_is_up_before_anything_is_loaded_and_lists_what_can_be_asked(served, tiny):
    assert served.get("/healthz") == {"status": "ok"}
    assert served.get("/readyz") == {"ready": True, "running": 0, "waiting": 0, "in_memory": 0}
    assert set(served.chat.models()) >= {TUNED, str(tiny)}


def test_the_adapter_is_applied_and_stops_by_itself(served, tiny):
    text, reason, _, written = served.ask(TUNED, "say 3", max_tokens=60)
    assert text.startswith("it is ")
    assert text.endswith("d\u00e9j\u00e0 vu")
    assert reason == "stop"
    assert written < 60
    base, reason, _, written = served.ask(str(tiny), "say 3", max_tokens=60)
    assert base != text
    assert "vu" not in base


def test_answers_are_the_reference_implementation_s(served, tiny, trained):
    """The same prompts, through the libraries alone: merged weights, one at a time, their own generate."""
    program = f"""
import json
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({trained.job.tuned_model!r})
model = AutoModelForCausalLM.from_pretrained({str(tiny)!r})
model = PeftModel.from_pretrained(model, {trained.job.tuned_model!r}).merge_and_unload().eval()
for question in {QUESTIONS[:6]!r}:
    messages = [{{"role": "user", "content": question}}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    print(json.dumps(tokenizer.decode(out[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [served.ask(TUNED, one)[0] for one in QUESTIONS[:6]] == [json.loads(one) for one in done.stdout.splitlines()]


def test_many_at_once_say_the_same_as_one_by_one(served, tiny):
    names = [TUNED, str(tiny)]
    asked = [(names[place % 2], question) for place, question in enumerate(QUESTIONS)]
    alone = [served.ask(*one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda one: served.ask(*one), asked))
    assert together == alone
    assert len({text for text, *_ in alone}) > 5


def test_who_hangs_up_costs_nothing_any_more(served, tiny, eventually):
    """Sixteen answers take seconds; they are left at once, and so end long before they are written."""
    question = ChatRequest(str(tiny), [ChatMessage("user", "hi")], 480)
    begin = time.monotonic()
    written = "".join(one.text for one in served.chat.stream(question))
    alone = time.monotonic() - begin
    assert len(written) > 400
    left = [served.chat.stream(question) for _ in range(16)]
    for answer in left:
        next(answer)
    assert served.get("/readyz")["running"] > 1
    begin = time.monotonic()
    for answer in left:
        answer.close()
    eventually(lambda: served.get("/readyz")["running"] == 0)
    assert time.monotonic() - begin < alone


def test_two_base_models_take_turns(served, tiny, tmp_path):
    other = make(tmp_path / "other", seed=1)
    for name in ("other-a", "other-b"):
        shutil.copytree(served.models / TUNED, served.models / name)
        (served.models / name / "model.json").write_text(json.dumps({"base_model": str(other)}))
    asked = [(("other-a", TUNED, "other-b", str(other))[place % 4], "say 3") for place in range(12)]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda one: served.ask(*one), asked))
    for place in range(4, 12):
        assert together[place] == together[place - 4]
    assert together[0] == together[2] != together[1]
    assert together[3] != together[0]
    for name in ("other-a", "other-b"):
        shutil.rmtree(served.models / name)


def test_a_new_version_of_a_model_is_answered_from_at_once(served, tiny):
    before = served.ask(TUNED, "say 3")[0]
    with pytest.raises(NotFound):
        served.ask("toy-v2", "say 3")
    shutil.copytree(served.models / TUNED, served.models / "toy-v2")
    assert served.ask("toy-v2", "say 3")[0] == before
    shutil.rmtree(served.models / "toy-v2")
    with pytest.raises(NotFound):
        served.ask("toy-v2", "say 3")


def test_an_adapter_that_does_not_fit_is_not_silently_left_out(served):
    shutil.copytree(served.models / TUNED, served.models / "broken")
    config = served.models / "broken" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "target_modules": ["q_proj"]}))
    with pytest.raises(InvalidRequest, match="does not fit"):
        served.ask("broken", "say 3")
    assert served.ask(TUNED, "say 3")[1] == "stop"


@pytest.mark.parametrize("name", ["../models/toy-v1", "/etc", "", ".", "toy-v1/", "a" * 5000])
def test_a_name_is_not_a_path(served, name):
    status, body = served.post(model=name, messages=[{"role": "user", "content": "hi"}])
    assert (status, body["error"]["code"]) == (404, "model_not_found")


def test_the_whole_answer_at_once(served):
    messages = [{"role": "user", "content": [{"type": "text", "text": "say 3"}]}]
    status, body = served.post(model=TUNED, messages=messages, temperature=0, max_tokens=24)
    assert status == 200
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == served.ask(TUNED, "say 3")[:2]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    _, cut = served.post(model=TUNED, messages=messages, temperature=0, stop=" is")
    assert cut["choices"][0]["message"]["content"] == "it"
    _, short = served.post(model=TUNED, messages=messages, temperature=0, max_tokens=2)
    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 2)


def test_chance_can_be_repeated(served, tiny):
    def draw(seed):
        messages = [{"role": "user", "content": "hi"}]
        _, body = served.post(model=str(tiny), messages=messages, temperature=1.5, seed=seed, max_tokens=16)
        return body["choices"][0]["message"]["content"]

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "wizard", "content": "x"}]},
        {"messages": [{"role": "user", "content": "word " * 600}]},
        {"messages": [{"role": "user", "content": "x"}], "n": 2},
        {"messages": [{"role": "user", "content": "x"}], "temperature": -1},
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 0},
        {"messages": [{"role": "user", "content": "x"}], "tools": [{}]},
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(served, wrong):
    status, body = served.post(model=TUNED, **wrong)
    assert status == 400
    assert body["error"]["message"]


def asked(model, question="say 3", **more):
    return ChatRequest(model, [ChatMessage("user", question)], 24, **more)


def test_who_waits_for_a_model_to_load_is_told_at_once(served, tiny, tmp_path):
    """Before the first words of a model that is not in memory; of one that is, nothing is said."""
    other = make(tmp_path / "cold", seed=2)
    shutil.copytree(served.models / TUNED, served.models / "cold")
    (served.models / "cold" / "model.json").write_text(json.dumps({"base_model": str(other)}))
    answer = served.chat.stream(asked("cold"))
    assert next(answer) == ChatChunk(stage="loading the model")
    assert not served.get("/readyz")["running"], "it was said before the answer began"
    assert not any(piece.stage for piece in answer)
    assert not any(piece.stage for piece in served.chat.stream(asked("cold")))
    shutil.rmtree(served.models / "cold")


def test_other_clients_are_sent_nothing_but_what_openai_sends(served, tmp_path):
    other = make(tmp_path / "cold", seed=3)
    shutil.copytree(served.models / TUNED, served.models / "cold")
    (served.models / "cold" / "model.json").write_text(json.dumps({"base_model": str(other)}))
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        messages = [{"role": "user", "content": "say 3"}]
        stream = client.chat.completions.create(
            model="cold", messages=messages, stream=True, max_tokens=4, temperature=0
        )
        events = list(stream)
    assert all(event.choices and not event.model_extra for event in events)
    shutil.rmtree(served.models / "cold")


def test_a_model_that_cannot_be_loaded_is_said_with_its_own_words_all_the_same(served, tmp_path):
    """The stream has begun by then, so the words come in the middle of it."""
    shutil.copytree(served.models / TUNED, served.models / "homeless")
    (served.models / "homeless" / "model.json").write_text(json.dumps({"base_model": str(tmp_path / "gone")}))
    with pytest.raises(NotFound, match="There is no base model"):
        list(served.chat.stream(asked("homeless")))
    with closing(OpenAICompatibleChat(f"{served.url}/v1")) as plain, pytest.raises(NotFound):
        list(plain.stream(asked("homeless")))
    shutil.rmtree(served.models / "homeless")


def test_fifty_questions_of_one_person_keep_nobody_else_waiting(served, tiny):
    with ThreadPoolExecutor(51) as pool:
        many = [
            pool.submit(lambda: (served.ask(str(tiny), "hi", 400, user="many"), time.monotonic())) for _ in range(50)
        ]
        while served.get("/readyz")["waiting"] < 20:
            time.sleep(0.02)
        _, few = pool.submit(lambda: (served.ask(str(tiny), "hi", 24, user="few"), time.monotonic())).result()
        ended = sorted(future.result()[1] for future in many)
    assert few < ended[0], "there is a place for others at once"


def test_a_system_prompt_is_heard(served, tiny):
    def ask(*messages):
        said = [{"role": role, "content": text} for role, text in messages]
        return served.post(model=str(tiny), messages=said, temperature=0, max_tokens=16)[1]

    plain, told = ask(("user", "hi")), ask(("system", "be a bird"), ("user", "hi"))
    assert told["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"]
    assert told["choices"] != plain["choices"]
    assert told["choices"] == ask(("developer", "be a bird"), ("user", "hi"))["choices"]


def test_of_chance_only_the_likeliest_words_are_left(served, tiny):
    """With a tiny top_p nothing is left to chance."""
    messages = [{"role": "user", "content": "hi"}]
    greedy = served.post(model=str(tiny), messages=messages, temperature=0, max_tokens=16)[1]["choices"]
    for seed in range(3):
        _, narrow = served.post(model=str(tiny), messages=messages, temperature=2, top_p=1e-6, seed=seed, max_tokens=16)
        assert narrow["choices"] == greedy


def test_an_adapter_without_effect_is_said_and_not_served(served):
    program = f"""
from safetensors.torch import load_file, save_file
path = {str(served.models / "idle" / "adapter_model.safetensors")!r}
save_file({{name: value * ("lora_A" in name) for name, value in load_file(path).items()}}, path)
"""
    shutil.copytree(served.models / TUNED, served.models / "idle")
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(InvalidRequest, match="changes nothing"):
        served.ask("idle", "say 3")
    shutil.rmtree(served.models / "idle")

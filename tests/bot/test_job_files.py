"""A job file attached to a message: a card, one click, the form filled in; and a run's plan back as a file."""

import hashlib
import json
from collections.abc import Callable

import pytest
from slack_sdk import WebClient
from sqlmodel import select

from bot.deliver import deliver
from bot.sandbox.cast import TEAM_ID
from workers import announcements
from workers.context import Context
from workers.jobs import runner
from workers.plans import job_file
from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Credential, Dataset, JobFile, Run, Task, TaskStatus, Upload

CHANNEL = "#finetuning"
DATA = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"question {one}"}, {"role": "assistant", "content": "yes"}]})
    + "\n"
    for one in range(60)
).encode()
PLAN = b"""finetune: 1
name: from-a-file
goal: answer yes
dataset: yes.jsonl
test: held-out
provider: local
base_model: smollm2-135m-instruct
seed: 7
hyperparameters: {epochs: 2, learning_rate: 3e-4, lora_r: 8}
"""
LOCAL = {"provider": "local", "base_model": "m", "method": "sft"}
pytestmark = pytest.mark.parametrize("sandbox", [{"delivery": "http"}], indirect=True)


@pytest.fixture
def settle(context: Context, client: WebClient, eventually) -> Callable[[], None]:
    """Carry out what is queued, but no training; then send what is wanted."""

    def play():
        for _ in range(20):
            with context.db.read() as session:
                queued = select(Task).where(Task.status == TaskStatus.QUEUED, Task.queue != "gpu")
                tasks = session.exec(queued).all()
            if not tasks:
                break
            for task in tasks:
                runner.carry(context, task.id or 0, task.attempt)
        while True:
            with context.db.write() as session:
                due = announcements.take_due(session, 30.0)
            if not due:
                return
            for claimed in due:
                deliver(context, client, claimed)

    return play


@pytest.fixture
def attach(person, bot, settle, context, eventually):
    """Say something with files; returns what the bot said in the thread."""

    def say(*files, text="ours"):
        ts = person.say(CHANNEL, text, files=list(files))

        def arrived():
            with context.db.read() as session:
                return len(session.exec(select(Upload)).all()) >= len(files)

        eventually(arrived)
        settle()
        return ts, [one for one in person.thread(CHANNEL, ts) if one.get("bot_id")]

    return say


def top(person, callback_id, eventually):
    def look():
        views = person.state()["views"]
        return views[-1] if views and views[-1].get("callback_id") == callback_id else None

    eventually(look)
    return look()


def test_a_plan_and_its_data_in_one_message_are_one_click_from_the_form(attach, person, context, settle, eventually):
    _, said = attach(("job.yml", PLAN), ("yes.jsonl", DATA))
    card = next(one for one in said if "start_from_job_file" in json.dumps(one.get("blocks")))
    assert "from-a-file" in card["text"]
    assert any("start_from_report" in json.dumps(one.get("blocks")) for one in said)
    person.click(card, "start_from_job_file")
    form = top(person, "start_form", eventually)
    shown = json.dumps(form, ensure_ascii=False)
    assert "from-a-file" in shown
    assert "answer yes" in shown
    person.submit(form, {})
    person.submit(top(person, "confirm_start", eventually), {})
    with context.db.read() as session:
        run = session.exec(select(Run)).one()
    assert (run.name, run.plan["seed"], run.plan["goal"]) == ("from-a-file", 7, "answer yes")
    assert {name: run.plan["knobs"][name] for name in ("epochs", "learning_rate", "lora_r")} == {
        "epochs": 2, "learning_rate": 3e-4, "lora_r": 8,
    }  # fmt: skip


def test_a_mention_with_the_file_works_too(attach, sandbox, person):
    _, said = attach(("plan.yaml", PLAN), text="<@UFINETUNE> start this")
    assert any("start_from_job_file" in json.dumps(one.get("blocks")) for one in said)


def test_a_dataset_that_is_not_here_is_asked_for(attach, person, settle):
    _, said = attach(("job.yml", PLAN))
    card = next(one for one in said if "start_from_job_file" in json.dumps(one.get("blocks")))
    person.click(card, "start_from_job_file")
    settle()
    told = [one for one in person.messages(CHANNEL) if one.get("ephemeral")] + person.thread(CHANNEL, card["thread_ts"])
    assert any(
        "“yes.jsonl” that the job file names is not in this channel" in json.dumps(one, ensure_ascii=False)
        for one in told
    )


def test_what_is_wrong_is_said_line_by_line(attach):
    _, said = attach(("job.yml", PLAN.replace(b"epochs: 2", b"epochs: 200").replace(b"seed: 7", b"seeds: 7")))
    words = json.dumps(said, ensure_ascii=False)
    assert "cannot be used as it is" in words
    assert "“epochs”: Must be between 1 and 50" in words
    assert "“seeds” is nothing that a job file has" in words
    assert "start_from_job_file" not in words


def test_other_peoples_yaml_is_left_alone(attach, context):
    _, said = attach(("docker-compose.yml", b"services: {web: {image: nginx}}\n"), text="look at our set-up")
    assert said == []
    with context.db.read() as session:
        assert session.exec(select(JobFile)).all() == []


def test_a_broken_job_file_is_answered(attach):
    _, said = attach(("job.yml", b"finetune: 1\nname: [\n"))
    assert "cannot be read. line 3" in json.dumps(said, ensure_ascii=False)


def test_a_runs_plan_comes_back_as_the_same_file(attach, person, context, settle, eventually):
    _, said = attach(("job.yml", PLAN), ("yes.jsonl", DATA))
    person.click(
        next(one for one in said if "start_from_job_file" in json.dumps(one.get("blocks"))), "start_from_job_file"
    )
    person.submit(top(person, "start_form", eventually), {})
    person.submit(top(person, "confirm_start", eventually), {})
    settle()
    root = next(one for one in person.messages(CHANNEL) if "run_cancel" in json.dumps(one.get("blocks")))
    person.click(root, "run_cancel")
    settle()
    card = person.thread(CHANNEL, root["ts"])[0]
    person.click(card, "run_job_file")
    settle()
    files = [file for one in person.thread(CHANNEL, card["ts"]) for file in one.get("files") or []]
    written = next(file for file in files if file["name"].endswith(".yml"))
    again = job_file.read(person.download(written))
    asked = job_file.read(PLAN)
    assert (again.name, again.seed, again.goal, again.base_model) == (asked.name, 7, asked.goal, asked.base_model)
    assert again.knobs.items() >= asked.knobs.items()
    assert again.dataset.sha256


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_models_card_and_figures_come_into_the_runs_thread(bot, person, settle, context):
    owned = {"team_id": TEAM_ID, "channel_id": person.channel_id(CHANNEL), "creator_id": person.id}
    with context.db.write() as session:
        dataset = Dataset(
            **owned,
            name="d",
            sha256="abc",
            storage_key="k",
            format="openai-chat",
            method="sft",
            examples=9,
            trainable=True,
        )
        session.add(dataset)
        session.flush()
        plan = Choices(dataset_id=dataset.id or 0).to_json()
        run = Run(**owned, name="r", status=RunStatus.READY, request_key="k", dataset_id=dataset.id, plan=plan, **LOCAL)
        session.add(run)
        session.flush()
        lifecycle.redraw(session, run, urgent=True)
    settle()
    root = next(one for one in person.messages(CHANNEL) if "run_model_card" in json.dumps(one.get("blocks")))
    person.click(root, "run_model_card")
    settle()
    files = {file["name"]: file for one in person.thread(CHANNEL, root["ts"]) for file in one.get("files") or []}
    assert set(files) == {"model-card-1.md", "figures-1.csv"}
    assert b"SHA-256 of the data:** abc" in person.download(files["model-card-1.md"])


VENDORS = """finetune: 1
name: exactly
goal: answer yes
dataset: {{name: yes.jsonl, version: 1, sha256: {sha256}}}
test: held-out
validation: nothing
provider: openai
base_model: "ft:gpt-4.1-mini-2025-04-14:acme::abc"
method: sft
seed: 7
hyperparameters: {{epochs: 2, batch_size: auto, learning_rate_multiplier: 0.1234567890123}}
openai: {{metadata: {{team: a}}, integrations: [{{type: wandb, wandb: {{project: yes}}}}]}}
"""


def job_file_of(sha256="", text=VENDORS):
    return text.format(sha256=sha256 or hashlib.sha256(DATA).hexdigest()).replace("project: yes", "project: p").encode()


def set_up(context, *providers):
    with context.db.write() as session:
        for provider in providers:
            session.add(Credential(team_id=TEAM_ID, provider=provider, sealed="x"))


def start(attach, person, eventually, *files, callback="start_form"):
    _, said = attach(*files)
    card = next(one for one in said if "start_from_job_file" in json.dumps(one.get("blocks")))
    person.click(card, "start_from_job_file")
    return card, top(person, callback, eventually)


def words(view):
    return json.dumps(view, ensure_ascii=False)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_run_is_exactly_what_the_file_says(attach, person, context, eventually):
    set_up(context, "openai")
    card, form = start(attach, person, eventually, ("job.yml", job_file_of()), ("yes.jsonl", DATA))
    shown = words(card)
    for said in (
        "*Where*\\nOpenAI", "*Test the result on*\\na part of the training data", "*Watch while training*\\nnothing",
        "Learning rate multiplier: 0.1234", "*Only at OpenAI*\\nMetadata: {",
    ):  # fmt: skip
        assert said in shown
    assert "From the job file job.yml." in words(form)
    assert " in the file, " not in words(form)
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    assert " in the file, " not in words(plan)
    person.submit(plan, {})
    asked = job_file.read(job_file_of())
    with context.db.read() as session:
        run = session.exec(select(Run)).one()
        sha256 = session.get_one(Dataset, run.dataset_id).sha256
    made = Choices.from_json(run.plan)
    assert asked.problems == ()
    assert (run.provider, run.base_model, run.method) == (asked.provider, asked.base_model, asked.method)
    assert (sha256, made.seed, made.test_on) == (asked.dataset.sha256, 7, "held-out")
    assert made.hyperparameters == asked.knobs
    assert made.options == asked.options


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_very_small_numbers_come_through_the_form_as_they_are(attach, person, context, eventually):
    plan = PLAN.replace(b"learning_rate: 3e-4", b"learning_rate: 1.2345678e-7")
    _, form = start(attach, person, eventually, ("job.yml", plan), ("yes.jsonl", DATA))
    person.submit(form, {})
    person.submit(top(person, "confirm_start", eventually), {})
    with context.db.read() as session:
        assert session.exec(select(Run)).one().plan["knobs"]["learning_rate"] == 1.2345678e-7


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_provider_that_is_not_set_up_is_never_replaced_silently(attach, person, context, eventually):
    set_up(context, "azure_openai")
    files = (("job.yml", job_file_of()), ("yes.jsonl", DATA))
    _, view = start(attach, person, eventually, *files, callback="start_nothing")
    said = words(view)
    assert (
        "This plan (exactly) is for OpenAI. OpenAI is not set up here. An admin adds its credentials: /finetune keys"
        in said
    )
    assert "nothing leaves it" not in said
    buttons = {one["action_id"]: one["text"]["text"] for block in view["blocks"] for one in block.get("elements", ())}
    assert buttons == {
        "start_instead_local": "This machine",
        "start_instead_azure_openai": "Azure OpenAI",
        "start_instead_autotrain": "AutoTrain on this machine",
    }
    person.click(view, "start_instead_local")
    form = top(person, "start_form", eventually)
    said = words(form)
    assert "Where: OpenAI in the file, This machine here." in said
    assert "Base model: ft:gpt-4.1-mini-2025-04-14:acme::abc in the file, smollm2-135m-instruct here." in said
    assert "Learning rate multiplier: 0.1234567890123 in the file, no such setting here." in said
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    assert "Where: OpenAI in the file, This machine here." in words(plan)
    person.submit(plan, {})
    with context.db.read() as session:
        run = session.exec(select(Run)).one()
    assert (run.provider, run.plan["seed"], run.plan["knobs"]["epochs"]) == ("local", 7, 2)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_base_model_that_is_not_here_is_shown_as_such_and_refused(attach, person, context, eventually):
    plan = PLAN.replace(b"smollm2-135m-instruct", b"azureml://registries/x/models/Big-7B/versions/1")
    _, form = start(attach, person, eventually, ("job.yml", plan), ("yes.jsonl", DATA))
    assert "Big-7B (not offered here)" in words(form)
    refused = person.submit(form, {})
    assert refused["errors"] == {"base_model": "This base model is not offered by that provider here."}


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_another_hash_than_the_files_is_refused(attach, person, settle):
    _, said = attach(("job.yml", job_file_of("ab" * 32)), ("yes.jsonl", DATA))
    card = next(one for one in said if "start_from_job_file" in json.dumps(one.get("blocks")))
    person.click(card, "start_from_job_file")
    settle()
    told = [one for one in person.messages(CHANNEL) if one.get("ephemeral")] + person.thread(CHANNEL, card["thread_ts"])
    assert any(
        "“yes.jsonl v1 abababababab” that the job file names is not in this channel" in words(one) for one in told
    )

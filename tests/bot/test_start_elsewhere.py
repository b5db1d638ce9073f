"""Starting at a vendor, in Slack's hands: the form follows the provider, the plan says what each part costs."""

import json
import time
from dataclasses import replace
from datetime import date

import pytest
from sqlmodel import select

from bot.blocks import start_form
from bot.sandbox.block_kit import problems_of_view
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from workers import announcements
from workers.context import Context
from workers.plans import plan
from workers.plans.choices import Choices
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.storage import Storage
from workers.tables import Announcement, Credential, Dataset, DatasetRole, Run, Task

CHANNEL = "#finetuning"
MINI = "gpt-4.1-mini-2025-04-14"
LOCAL = "smollm2-135m-instruct"
pytestmark = pytest.mark.parametrize("sandbox", [{"delivery": "http"}], indirect=True)


@pytest.fixture
def today() -> date:
    return date(2026, 11, 25)


@pytest.fixture
def context(context: Context, today: date, person: Person) -> Context:
    settings = context.settings.model_copy(update={"today": today, "admins": person.id})
    return replace(context, settings=settings)


@pytest.fixture
def put(context, person, tmp_path):
    """A checked dataset of these records; its id."""

    def keep(name, records, role=DatasetRole.TRAIN, method="sft", shape="openai-chat"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(one) + "\n" for one in records))
        context.storage.put(f"datasets/{name}", path)
        tokens = {"total": 60_000, "max": 1000, "tokenizer": "o200k_base", "assistant": {"total": 20_000}}
        with context.db.write() as session:
            row = Dataset(
                team_id=TEAM_ID, channel_id=person.channel_id(CHANNEL), creator_id=person.id, message_ts="1.1",
                name=name, sha256=name, size=path.stat().st_size, storage_key=f"datasets/{name}", role=role,
                format=shape, method=method, examples=len(records), trainable=True,
                report={"epochs": 3, "format": shape, "method": method, "examples": len(records), "tokens": tokens},
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    return keep


@pytest.fixture
def set_up(context):
    """Credentials of these vendors, as an admin saved them."""

    def save(*providers, **shown):
        with context.db.write() as session:
            for provider in providers:
                session.add(Credential(team_id=TEAM_ID, provider=provider, sealed="x", shown=shown))

    return save


def chat(question, **more):
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": f"answer to {question}"}],
        **more,
    }


def chats(count):
    return [chat(f"question {one}") for one in range(count)]


def preference(question):
    said = {"role": "user", "content": question}
    answers = [[{"role": "assistant", "content": text}] for text in ("good", "bad")]
    return {"input": {"messages": [said]}, "preferred_output": answers[0], "non_preferred_output": answers[1]}


def top(person, callback_id, eventually, where=lambda _: True):
    """The uppermost form once it is this one, and is as wanted."""
    found = []

    def look():
        views = person.state()["views"]
        found[:] = [one for one in views[-1:] if one.get("callback_id") == callback_id and where(one)]
        return found

    eventually(look)
    return found[0]


def text(view):
    return json.dumps(view, ensure_ascii=False)


def ids(view):
    return [block.get("block_id") for block in view["blocks"]]


def element(view, block_id):
    return next(block["element"] for block in view["blocks"] if block.get("block_id") == block_id)


def shows(**options):
    """Whether these controls of a form have these choices made."""
    return lambda view: all(
        name in ids(view) and element(view, name).get("initial_option", {}).get("value") == value
        for name, value in options.items()
    )


def choose(person, view, block_id, value, values=None):
    action = element(view, block_id)["action_id"]
    return person.click(view, action, block_id=block_id, value=value, values=values or {})


def the_run(context):
    with context.db.read() as session:
        return session.exec(select(Run)).one()


@pytest.mark.parametrize("db", ["sqlite", "postgresql"], indirect=True)
def test_the_form_follows_the_provider_and_keeps_what_was_typed(bot, put, set_up, person, context, eventually):
    set_up("openai", "azure_openai", "azure_ml")
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually)
    where = {one["value"]: one["description"]["text"] for one in element(form, "provider")["options"]}
    assert list(where) == ["local", "openai", "azure_openai", "azure_ml", "autotrain"]
    assert where["local"].startswith("private")
    assert where["openai"].startswith("the data goes to OpenAI; training from about $0.")
    assert {"lora_r", "learning_rate"} <= set(ids(form))
    typed = {"name": {"value": "my-run"}, "goal": {"value": "be brief"}, "epochs": {"knob_local_usual": "7"}}
    choose(person, form, "provider", "openai", typed)
    form = top(person, "start_form", eventually, shows(provider="openai", base_model=MINI))
    assert "lora_r" not in ids(form)
    assert "batch_size" not in ids(form)
    assert element(form, "epochs")["initial_value"] == "7"
    assert "14 January 2027" in text(form)
    assert "https://developers.openai.com/api/docs/deprecations" in text(form)
    person.click(form, "start_advanced")
    form = top(person, "start_form", eventually, lambda view: "batch_size" in ids(view))
    assert element(form, "batch_size")["initial_value"] == "auto"
    refused = person.submit(form, {"batch_size": "many"})
    assert refused["errors"] == {"batch_size": "This could not be read as a number."}
    refused = person.submit(form, {"batch_size": "999"})
    assert "between 1 and 256" in refused["errors"]["batch_size"]
    person.click(form, "start_advanced", values={"batch_size": {element(form, "batch_size")["action_id"]: "16"}})
    form = top(person, "start_form", eventually, lambda view: "batch_size" not in ids(view))
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    said = text(plan)
    assert "*my-run*\\nbe brief" in said
    assert "OpenAI: the data goes there" in said
    assert "of 16 examples each" in said
    assert "7 epochs × 48,000 tokens ≈ 336,000 tokens: $1.68" in said
    assert "24 answers, about $0.0" in said
    assert "OpenAI API pricing" in said
    person.submit(plan, {})
    run = the_run(context)
    assert (run.provider, run.base_model, run.name, run.status) == ("openai", MINI, "my-run", RunStatus.QUEUED)
    assert run.plan["knobs"] == {"epochs": 7, "batch_size": 16, "learning_rate_multiplier": "auto"}
    assert run.cost["total"] == pytest.approx(1.68, abs=0.05)
    with context.db.read() as session:
        assert [(one.kind, one.queue) for one in session.exec(select(Task))] == [("submit", "cloud")]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_azure_shows_its_tiers_the_hosting_and_a_price_for_each(bot, put, set_up, person, context, eventually):
    set_up("azure_openai", endpoint="https://x.openai.azure.com", account="x")
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    choose(person, top(person, "start_form", eventually), "provider", "azure_openai")
    form = top(person, "start_form", eventually, shows(provider="azure_openai"))
    tiers = {one["value"]: one["description"]["text"] for one in element(form, "training_tier")["options"]}
    assert set(tiers) == {"globalStandard", "standard", "developerTier"}
    assert tiers["globalStandard"] == "about $0.27 ($1.50 a million tokens)"
    assert tiers["developerTier"] == "about $0.14 ($0.75 a million tokens)"
    assert "can be hosted until 14 October 2027 only" in text(form)
    capacity = element(form, "hosting_capacity")
    assert (capacity["initial_value"], capacity["min_value"], capacity["max_value"]) == ("10", "1", "5000")
    person.submit(form, {"training_tier": "developerTier", "hosting_capacity": "25"})
    plan = top(person, "confirm_start", eventually)
    assert "3 epochs × 48,000 tokens ≈ 144,000 tokens: $0.11" in text(plan)
    assert "*Hosting*: Developer tier: anywhere in the world, may be interrupted, lives 24 h." in text(plan)
    assert "no cost by the hour, each answer is billed by its tokens" in text(plan)
    assert "until Azure OpenAI ends it after 24 h" in text(plan)
    assert "for up to 25,000 tokens a minute" in text(plan)
    assert "Training by tier: Global about $0.22 ($1.50 a million tokens) · Standard about $0.24" in text(plan)
    assert "Azure Retail Prices, 11 August 2026" in text(plan)
    person.submit(plan, {})
    run = the_run(context)
    assert run.plan["options"] == {"training_tier": "developerTier", "hosting_capacity": 25}
    assert run.cost["hosting_dollars"] == 0
    assert run.cost["total"] == pytest.approx(run.cost["dollars"] + run.cost["answers_dollars"])


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_an_api_key_of_azures_alone_trains_and_the_plan_says_what_it_does_not(bot, put, set_up, person, eventually):
    set_up("azure_openai", endpoint="https://x.openai.azure.com")
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    choose(person, top(person, "start_form", eventually), "provider", "azure_openai")
    person.submit(top(person, "start_form", eventually, shows(provider="azure_openai")), {})
    said = text(top(person, "confirm_start", eventually))
    assert "It will be trained, not deployed: no comparison, no chat." in said
    assert "*Hosting*" not in said
    assert "is then compared with the base model" not in said


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_who_cannot_learn_so_is_refused_in_words_that_name_who_can(bot, put, set_up, person, context, eventually):
    put("pairs.jsonl", [preference(f"q{one}") for one in range(60)], method="dpo", shape="openai-preference")
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually, shows(provider="local"))
    assert [one["value"] for one in element(form, "method")["options"]] == ["dpo", "orpo", "kto"]
    set_up("openai", "azure_ml")
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually, shows(provider="local"))
    choose(person, form, "method", "orpo")
    form = top(person, "start_form", eventually, shows(method="orpo"))
    choose(person, form, "provider", "azure_ml")
    form = top(person, "start_form", eventually, shows(provider="azure_ml"))
    able = "Choose this machine or OpenAI or AutoTrain on this machine."
    assert f"does not learn from preferences (DPO). {able}".lower() in text(form).lower()
    refused = person.submit(form, {"other_model": "m"})
    assert "does not learn from preferences, without a reference (ORPO)" in refused["errors"]["provider"]
    choose(person, form, "provider", "openai")
    form = top(person, "start_form", eventually, shows(provider="openai"))
    person.click(form, "start_advanced")
    form = top(person, "start_form", eventually, lambda view: "beta" in ids(view))
    person.submit(form, {"beta": "0.2"})
    person.submit(top(person, "confirm_start", eventually), {})
    assert (the_run(context).method, the_run(context).plan["knobs"]["beta"]) == ("dpo", 0.2)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_reinforcement_gets_a_grader_from_the_datasets_own_fields(bot, put, set_up, person, context, eventually):
    set_up("openai")
    records = [{"messages": [{"role": "user", "content": f"{one} + 1?"}], "answer": str(one + 1)} for one in range(60)]
    put("sums.jsonl", records, method="rft", shape="rft")
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually, shows(provider="local"))
    choose(person, form, "provider", "openai")
    form = top(person, "start_form", eventually, shows(provider="openai"))
    grader = json.loads(element(form, "grader")["initial_value"])
    assert grader == {
        "type": "string_check", "name": "answer", "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
        "operation": "eq",
    }  # fmt: skip
    assert element(form, "base_model")["initial_option"]["value"] == "o4-mini-2025-04-16"
    refused = person.submit(form, {"grader": "{nonsense"})
    assert "no valid JSON" in refused["errors"]["grader"]
    refused = person.submit(form, {"grader": '{"type": "python"}'})
    assert refused["errors"]["grader"] == "A python grader also needs: name, source."
    long = {"type": "python", "name": "g", "source": "# " + "x" * 2800}
    person.submit(form, {"grader": json.dumps(long)})
    plan = top(person, "confirm_start", eventually)
    assert "shut this model down on 23 October 2026" in text(plan)
    person.submit(plan, {"try_anyway": ["try_anyway"]})
    assert the_run(context).plan["options"]["grader"] == long


class SlowStorage(Storage):
    """Files that take longer to come than Slack waits for an answer."""

    def get(self, key, path):
        time.sleep(3.5)
        super().get(key, path)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_form_that_was_sent_too_early_is_answered_before_the_dataset_is_read(
    bot, put, set_up, person, context, eventually
):
    set_up("openai")
    records = [{"messages": [{"role": "user", "content": f"{one} + 1?"}], "answer": str(one + 1)} for one in range(60)]
    sums = put("sums.jsonl", records, method="rft", shape="rft")
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually, shows(provider="local"))
    object.__setattr__(context, "storage", SlowStorage(context.settings.storage))
    answer = person.submit(form, {"provider": "openai", "dataset_id": str(sums), "name": "early", "goal": "add"})
    assert answer["view"]["callback_id"] == "start_loading"
    form = top(person, "start_form", eventually, shows(provider="openai", dataset_id=str(sums)))
    assert json.loads(element(form, "grader")["initial_value"])["type"] == "string_check"
    assert (element(form, "name")["initial_value"], element(form, "goal")["initial_value"]) == ("early", "add")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_of_many_datasets_the_chosen_ones_are_always_there(bot, put, set_up, person, context, eventually):
    oldest = put("oldest.jsonl", chats(60))
    test = put("test.jsonl", [chat(f"t{one}") for one in range(60)], DatasetRole.TEST)
    watched = put("watched.jsonl", [chat(f"w{one}") for one in range(60)], DatasetRole.VALIDATION)
    for number in range(100):
        put(f"d{number}.jsonl", chats(50 + number % 3))
    choices = Choices(
        dataset_id=oldest, test_dataset_id=test, validation_dataset_id=watched, name="n", base_model=LOCAL
    )
    with context.db.write() as session:
        actor = Actor(TEAM_ID, person.id, person.channel_id(CHANNEL))
        form = plan.propose(session, context.settings, actor, choices=choices)
        assert form.choices == choices
        view = start_form.draw(form, "C1")
        assert problems_of_view(view) == []
        shown = {name: element(view, name) for name in ids(view) if str(name).endswith("dataset_id")}
        assert {name: one["initial_option"]["value"] for name, one in shown.items()} == {
            "dataset_id": str(oldest), "test_dataset_id": str(test), "validation_dataset_id": str(watched)
        }  # fmt: skip
        assert {len(one["options"]) for one in shown.values()} == {100}
        again = plan.redrawn(session, context.settings, actor, choices, "local")
        assert again.choices == choices
        assert plan.propose(session, context.settings, actor, dataset_id=oldest).choices.dataset_id == oldest


@pytest.mark.parametrize("db", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("today", [date(2027, 2, 1)])
def test_what_has_closed_is_refused_but_for_an_admin_who_tries_anyway(
    bot, put, set_up, person, sandbox, context, eventually
):
    set_up("openai")
    put("train.jsonl", chats(60))
    other = Person(sandbox.url, "Rey")
    for who in (other, person):
        who.command(CHANNEL, "/finetune", "start")
        choose(who, top(who, "start_form", eventually), "provider", "openai")
    form = top(other, "start_form", eventually, shows(provider="openai"))
    assert "OpenAI has taken no new fine-tuning jobs since 6 January 2027." in text(form)
    refused = other.submit(form, {})
    assert "An admin may try anyway." in refused["errors"]["base_model"]
    form = top(person, "start_form", eventually, shows(provider="openai"))
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    assert "no new fine-tuning jobs since 6 January 2027" in text(plan)
    refused = person.submit(plan, {})
    assert "Tick the box" in refused["errors"]["try_anyway"]
    person.submit(plan, {"try_anyway": ["try_anyway"]})
    assert (the_run(context).status, the_run(context).plan["try_anyway"]) == (RunStatus.QUEUED, True)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("today", [date(2027, 2, 1)])
def test_at_a_stand_ins_address_nothing_is_closed(bot, put, set_up, person, context, eventually):
    object.__setattr__(context.settings, "openai_url", "http://127.0.0.1:1/v1")
    object.__setattr__(context.settings, "admins", "")
    set_up("openai")
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    choose(person, top(person, "start_form", eventually), "provider", "openai")
    person.submit(top(person, "start_form", eventually, shows(provider="openai")), {})
    person.submit(top(person, "confirm_start", eventually), {})
    assert the_run(context).provider == "openai"


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_cannot_be_written_for_the_vendor_is_said_before_the_start(bot, put, set_up, person, eventually):
    set_up("openai")
    odd = [{"messages": chat("odd")["messages"] + [{"role": "critic", "content": "no"}]}]
    put("train.jsonl", chats(57) + odd * 3)
    put("val.jsonl", chats(62)[57:], DatasetRole.VALIDATION)
    person.command(CHANNEL, "/finetune", "start")
    choose(person, top(person, "start_form", eventually), "provider", "openai")
    form = top(person, "start_form", eventually, shows(provider="openai"))
    person.submit(form, {"test_dataset_id": "held-out", "validation_dataset_id": "2"})
    said = text(top(person, "start_nothing", eventually))
    assert "OpenAI does not take messages of the role 'critic'" in said


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_left_out_and_what_is_not_watched_is_named(bot, put, set_up, person, eventually):
    set_up("openai")
    rows = [preference(f"q{one}") for one in range(60)] + [chat("no pair")] * 2
    put("pairs.jsonl", rows, method="dpo", shape="openai-preference")
    put("val.jsonl", [preference(f"v{one}") for one in range(5)], DatasetRole.VALIDATION, "dpo", "openai-preference")
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually, shows(provider="local"))
    choose(person, form, "provider", "openai")
    form = top(person, "start_form", eventually, shows(provider="openai"))
    person.submit(form, {"test_dataset_id": "held-out", "validation_dataset_id": "2"})
    said = text(top(person, "confirm_start", eventually))
    assert "5 examples would be watched while training; OpenAI wants 10 at least, so it trains without." in said


@pytest.mark.parametrize("db", ["sqlite", "postgresql"], indirect=True)
def test_a_failed_run_is_repeated_elsewhere_up_to_the_queue(
    bot, put, set_up, person, context, want, client, eventually
):
    dataset_id = put("train.jsonl", chats(60))
    set_up("openai", "azure_openai", endpoint="https://x.openai.azure.com")
    actor_channel = person.channel_id(CHANNEL)
    with context.db.write() as session:
        choices = Choices(
            dataset_id=dataset_id, name="recipes", provider="openai", base_model=MINI, goal="be brief", seed=7,
            knobs={"epochs": 4, "learning_rate_multiplier": 0.2, "batch_size": 8}, options={"metadata": {"a": "b"}},
        )  # fmt: skip
        run = Run(
            team_id=TEAM_ID, channel_id=actor_channel, creator_id=person.id, name="recipes", request_key="k",
            dataset_id=dataset_id, provider="openai", base_model=MINI, method="sft", plan=choices.to_json(),
            status=RunStatus.SUBMITTING,
        )  # fmt: skip
        session.add(run)
        session.flush()
        lifecycle.fail(session, run, "OpenAI says the account may not create fine-tuning jobs any more.")
    deliver_all(context, client)
    problem = next(one for one in person.messages(CHANNEL) if "recipes failed" in text(one))
    (buttons,) = [block["elements"] for block in problem["blocks"] if block["type"] == "actions"]
    labels = [one["text"]["text"] for one in buttons]
    assert labels[0] == "Train SmolLM2 135M here, free"
    assert labels[1].startswith("gpt-4.1-mini at Azure OpenAI, about $")
    person.click(problem, "run_rehome_azure_openai")
    form = top(person, "start_form", eventually, shows(provider="azure_openai", base_model=MINI))
    assert element(form, "name")["initial_value"] == "recipes-azure-openai"
    assert element(form, "goal")["initial_value"] == "be brief"
    said = text(form)
    assert "This repeats run 1 (recipes), which was for OpenAI. Data, split and test are the same" in said
    assert "Kept: epochs 4, examples a step 8, learning rate multiplier 0.2." in said
    assert "Options that only the other vendor knows are dropped: metadata." in said
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    assert "This repeats run 1" in text(plan)
    person.submit(plan, {})
    with context.db.read() as session:
        again = session.exec(select(Run).where(Run.provider == "azure_openai")).one()
        queued = session.exec(select(Task.kind).where(Task.subject_id == again.id)).all()
    assert (again.rehomed_from_id, again.plan["seed"], again.status) == (1, 7, RunStatus.QUEUED)
    assert queued == ["submit"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_locally_it_is_free_and_what_has_no_counterpart_is_named(bot, put, set_up, person, context, client, eventually):
    dataset_id = put("train.jsonl", chats(60))
    with context.db.write() as session:
        choices = Choices(dataset_id=dataset_id, name="r", provider="openai", base_model=MINI)
        run = Run(
            team_id=TEAM_ID, channel_id=person.channel_id(CHANNEL), creator_id=person.id, name="r", request_key="k",
            dataset_id=dataset_id, provider="openai", base_model=MINI, method="sft", plan=choices.to_json(),
            status=RunStatus.READY,
        )  # fmt: skip
        session.add(run)
        session.flush()
        announcements.post(
            session, owner=run, slot="run:1:retiring", kind="retiring", subject_id=1, data={"words": "it ends"}
        )
    deliver_all(context, client)
    told = next(one for one in person.messages(CHANNEL) if "it ends" in text(one))
    person.click(told, "run_rehome_local")
    form = top(person, "start_form", eventually, shows(provider="local"))
    assert "Learning rate multiplier: the vendor's choice has no counterpart there and is dropped." in text(form)
    assert "New there: learning rate 0.0005, lora rank 16." in text(form)
    choose(person, form, "dataset_id", str(dataset_id))


def deliver_all(context, client):
    """Play the notifier until everything is said."""
    from bot import deliver

    while True:
        with context.db.write() as session:
            claimed = announcements.take_due(session, 60.0)
        if not claimed:
            return
        for one in claimed:
            deliver.deliver(context, client, one)
        with context.db.read() as session:
            assert not session.exec(select(Announcement.problem).where(Announcement.problem != "")).all()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_preset_fills_the_settings_and_a_changed_value_is_nobodys(bot, put, person, eventually):
    put("train.jsonl", chats(60))
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually)
    assert element(form, "preset")["initial_option"]["value"] == "usual"
    choose(person, form, "preset", "trl-tutorial", {"name": {"value": "sql"}})
    form = top(person, "start_form", eventually, shows(preset="trl-tutorial"))
    assert element(form, "lora_r")["initial_value"] == "256"
    assert element(form, "name")["initial_value"] == "sql"
    person.click(form, "start_advanced", values={"lora_r": {element(form, "lora_r")["action_id"]: "64"}})
    form = top(person, "start_form", eventually, lambda view: "quantization" in ids(view))
    assert element(form, "preset")["initial_option"]["value"] == "own"
    assert element(form, "lora_r")["initial_value"] == "64"
    assert element(form, "quantization")["initial_option"]["value"] == "nf4"
    choose(person, form, "preset", "usual")
    form = top(person, "start_form", eventually, shows(preset="usual"))
    assert element(form, "lora_r")["initial_value"] == "16"

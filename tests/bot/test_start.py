"""The form in Slack's hands: two files are compared before the plan is shown, and nothing starts before that."""

import json

import pytest
from sqlmodel import select
from tokenizers import Tokenizer, models, pre_tokenizers

from bot.sandbox.cast import TEAM_ID
from workers.runs import leaks
from workers.tables import Dataset, DatasetRole, Run

CHANNEL = "#finetuning"
pytestmark = [
    pytest.mark.parametrize("sandbox", [{"delivery": "http"}], indirect=True),
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
]


@pytest.fixture
def put(context, person, tmp_path):
    """A checked dataset with these questions."""

    def keep(name, questions, role=DatasetRole.TRAIN):
        path = tmp_path / name
        path.write_text("".join(json.dumps(_record(one)) + "\n" for one in questions))
        context.storage.put(f"datasets/{name}", path)
        with context.db.write() as session:
            session.add(
                Dataset(
                    team_id=TEAM_ID, channel_id=person.channel_id(CHANNEL), creator_id=person.id, message_ts="1.1",
                    name=name, sha256=name, size=path.stat().st_size, storage_key=f"datasets/{name}", role=role,
                    format="openai-chat", method="sft", examples=len(questions), trainable=True,
                    report={"epochs": 3, "format": "openai-chat", "method": "sft", "examples": len(questions),
                            "tokens": {"total": 1000, "max": 50, "tokenizer": "o200k_base"}},
                )
            )  # fmt: skip

    return keep


def _record(question):
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": f"answer to {question}"}]
    }


def top(person, callback_id, eventually):
    def look():
        views = person.state()["views"]
        return views[-1] if views and views[-1].get("callback_id") == callback_id else None

    eventually(look)
    return look()


def text(view):
    return json.dumps(view, ensure_ascii=False)


def test_what_of_the_test_was_learnt_is_shown_before_the_start(bot, put, person, context, eventually):
    put("train.jsonl", [f"question {one}" for one in range(60)])
    put("test.jsonl", ["Question 3", "question 4 ", *(f"new {one}" for one in range(10))], DatasetRole.TEST)
    person.command(CHANNEL, "/finetune", "start")
    person.submit(top(person, "start_form", eventually), {})
    plan = top(person, "confirm_start", eventually)
    assert "2 of its 12 examples are also in the training data" in text(plan)
    assert "the first 10 of 10 examples that were not learnt from" in text(plan)
    assert "With another model elsewhere" in text(plan)
    with context.db.read() as session:
        assert session.exec(select(Run)).all() == []
    person.submit(plan, {})
    with context.db.read() as session:
        run = session.exec(select(Run)).one()
    assert (run.test_dataset_id, run.plan["test_on"]) == (2, "held-out")


def test_a_test_that_was_learnt_whole_cannot_be_started(bot, put, person, eventually):
    put("train.jsonl", [f"question {one}" for one in range(60)])
    put("test.jsonl", [f"question {one}" for one in range(12)], DatasetRole.TEST)
    person.command(CHANNEL, "/finetune", "start")
    person.submit(top(person, "start_form", eventually), {})
    assert "All of the test file was learnt from" in text(top(person, "start_nothing", eventually))


def test_large_files_are_compared_by_the_run(bot, put, person, monkeypatch, eventually):
    monkeypatch.setattr(leaks, "MOST_SECONDS", 1e-4)
    put("train.jsonl", [f"question {one}" for one in range(60)])
    put("test.jsonl", ["question 3"], DatasetRole.TEST)
    person.command(CHANNEL, "/finetune", "start")
    person.submit(top(person, "start_form", eventually), {})
    assert "too large to be compared while you wait" in text(top(person, "confirm_start", eventually))


def test_a_file_that_is_gone_is_said(bot, put, person, context, eventually):
    put("train.jsonl", [f"question {one}" for one in range(60)])
    put("test.jsonl", ["question 3"], DatasetRole.TEST)
    context.storage.delete("datasets/test.jsonl")
    person.command(CHANNEL, "/finetune", "start")
    person.submit(top(person, "start_form", eventually), {})
    assert "not there any more" in text(top(person, "start_nothing", eventually))


def test_of_few_examples_the_plan_claims_nothing(bot, put, person, context, eventually):
    put("few.jsonl", [f"question {one}" for one in range(12)])
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually)
    refused = person.submit(form, {"test_dataset_id": "attach"})
    assert "Attach the test file" in refused["errors"]["test_dataset_id"]
    person.submit(form, {"test_dataset_id": "cross-check"})
    assert "is not tested itself" in text(top(person, "confirm_start", eventually))
    person.submit(top(person, "confirm_start", eventually), {})
    with context.db.read() as session:
        assert len(session.exec(select(Run)).all()) == 4


def test_tokens_are_counted_by_the_models_own_tokenizer_where_it_is_there(bot, put, person, context, eventually):
    put("train.jsonl", [f"question {one}" for one in range(60)])
    person.command(CHANNEL, "/finetune", "start")
    form = top(person, "start_form", eventually)
    person.submit(form, {})
    assert "800 tokens" in text(top(person, "confirm_start", eventually))
    assert "an estimate" in text(top(person, "confirm_start", eventually))
    path = context.settings.cache_folder / "base-models" / context.settings.base_model / "tokenizer.json"
    path.parent.mkdir(parents=True)
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(path))
    person.submit(form, {})
    plan = top(person, "confirm_start", eventually)
    assert "an estimate" not in text(plan)
    assert "816 tokens" in text(plan)  # 48 examples of 3 + 2 x 3 + 2 + 2 + 4
    person.submit(plan, {})
    with context.db.read() as session:
        run = session.exec(select(Run)).one()
    assert (run.cost["tokens_per_epoch"], run.cost["exact_tokens"]) == (816, True)

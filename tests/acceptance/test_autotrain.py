"""The whole story with the real AutoTrain: a file of its own and a dataset, its card, the evaluation, a chat."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from bot.launch import Installation
from tests.acceptance.conftest import examples
from tests.acceptance.player import Player, has, said
from tests.providers.autotrain.conftest import works_in
from workers.run_status import RunStatus
from workers.tables import Evaluation, Run, RunEvent, RunMetric

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="module"),
]

YAML = """
task: llm-sft
base_model: {model}
project_name: colours-by-autotrain
log: none
backend: local
data:
  path: data/colours_train.jsonl
  train_split: train
  valid_split: null
  chat_template: tokenizer
  column_mapping: {{text_column: messages}}
params:
  epochs: 10
  batch_size: 4
  lr: 1e-2
  peft: true
  lora_r: 8
  quantization: null
  scheduler: cosine
"""


@pytest.fixture(scope="module")
def installation(home: Path, tiny_model: Path, database_url: str) -> Iterator[Installation]:
    """Without an environment of one's own it is built by the run, and its steps are on the card."""
    env = {
        "FINETUNE_BOT_BASE_MODEL": str(tiny_model),
        "FINETUNE_BOT_CARD_SECONDS": "1",
        "FINETUNE_BOT_LEASE_SECONDS": "6",
    }
    if place := os.environ.get("TEST_AUTOTRAIN_ENVIRONMENT"):
        env["FINETUNE_BOT_AUTOTRAIN_ENVIRONMENT"] = place
    else:
        (home / "cache").mkdir(parents=True, exist_ok=True)
        kept = Path(tempfile.gettempdir()) / "finetune-bot-tests"
        kept.mkdir(exist_ok=True)
        (home / "cache" / "environments").symlink_to(kept)
    with Installation(home, free_ports=True, env=env, database_url=database_url) as running:
        yield running


def test_from_an_autotrain_file_to_a_chat(player: Player, installation: Installation, tiny_model: Path):
    files = [("colours_train.jsonl", examples(48)), ("colours_validation.jsonl", examples(12, start=48))]
    ts = player.attach(*files, ("colours.yml", YAML.format(model=tiny_model).encode()))
    player.report(ts)
    offer = player.wait(
        lambda: next((one for one in player.thread(ts) if has(one, "start_from_job_file_autotrain")), None), "its file"
    )
    assert "Start with AutoTrain" in json.dumps(offer["blocks"])
    player.wait(lambda: any("ready to train" in said(one) for one in player.thread(ts)), "the report")
    before = {one["ts"] for one in player.messages()}
    player.person.click(offer, "start_from_job_file_autotrain")
    player.person.submit(player.view("start_form"), {"test_dataset_id": _test_file(player)})
    plan = player.view("confirm_start")
    assert "AutoTrain on this machine: nothing leaves it" in said(plan)
    assert "10 epochs" in said(plan)
    player.person.submit(plan, {})
    card = player.wait(
        lambda: next((one for one in player.messages() if one["ts"] not in before and has(one, "run_cancel")), None),
        "the card",
    )
    assert not has(card, "run_pause")
    player.until_ready(card["ts"], 400)
    print(player.card(card["ts"]))
    print("\n".join(said(one) for one in player.thread(card["ts"])))
    found = re.search(r"step (\d+) of (\d+)", player.card(card["ts"]))
    assert found
    assert found[1] == found[2]
    thread = player.thread(card["ts"])
    assert sum("Was it worth it?" in said(one) for one in thread) == 1
    assert [file["name"] for one in thread for file in one.get("files") or []] == ["loss-curve-1.png"]
    answer = said(player.ask(card["ts"], "Flag 3 is white and black."))
    assert "[" in answer

    db = installation.database()
    with db.read() as session:
        run = session.exec(select(Run).where(Run.provider == "autotrain")).one()
        steps = session.exec(select(RunMetric.step).where(RunMetric.run_id == run.id)).all()
        told = session.exec(select(RunEvent.message).where(RunEvent.run_id == run.id)).all()
        judged = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one()
    db.dispose()
    assert run.status is RunStatus.READY
    assert run.plan["knobs"]["scheduler"] == "cosine"
    assert sorted(steps) == list(range(1, int(found[1]) + 1))
    assert any("joins the examples" in one for one in told)
    assert judged is not None
    print(judged)


def test_one_that_trains_is_cancelled_within_seconds(player: Player, home: Path):
    player.report(player.attach(("cancelled.jsonl", examples(60, start=400))))
    player.person.command("#finetuning", "/finetune", "start")
    form = player.view("start_form")
    action = next(one for one in form["blocks"] if one["block_id"] == "provider")["element"]["action_id"]
    player.person.click(form, action, block_id="provider", value="autotrain", values={})
    player.wait(lambda: "AutoTrain" in json.dumps(player.person.state()["views"][-1]), "the form for AutoTrain")
    before = {one["ts"] for one in player.messages()}
    player.person.submit(player.view("start_form"), {"epochs": "50", "name": "to be cancelled"})
    player.person.submit(player.view("confirm_start"), {})
    card = player.wait(
        lambda: next((one for one in player.messages() if one["ts"] not in before and has(one, "run_cancel")), None),
        "the card",
    )
    player.wait(lambda: re.search(r"step \d+ of", player.card(card["ts"])), "the first step", 300)
    assert works_in(home / "runs")
    player.person.click(player.thread(card["ts"])[0], "run_cancel")
    player.wait(lambda: "Cancelled" in player.card(card["ts"]), "the end", 15)
    player.wait(lambda: not works_in(home / "runs"), "the end of its programs", 15)


def _test_file(player: Player) -> str:
    form = player.person.state()["views"][-1]
    block = next(one for one in form["blocks"] if one["block_id"].startswith("test_dataset_id"))
    options = [one for group in block["element"].get("option_groups", [block["element"]]) for one in group["options"]]
    return str(next(one["value"] for one in options if "validation" in one["text"]["text"]))

"""The main job through the real bot, workers, trainer and model server, with a tiny model."""

import re

import pytest
from openai import AuthenticationError, OpenAI
from sqlmodel import select

from bot.launch import Installation
from tests.acceptance.conftest import examples
from tests.acceptance.player import CHANNEL, Player, has, said
from workers.run_status import RunStatus
from workers.tables import Run, RunMetric


def test_from_two_files_to_a_chat(player: Player, installation: Installation):
    ts = player.attach(("colours_train.jsonl", examples(48)), ("colours_validation.jsonl", examples(12, start=48)))
    report = player.report(ts)
    assert "2 files, ready to train" in said(report)
    assert "48 examples" in said(report)
    assert "named “train”" in said(report)

    player.person.command(CHANNEL, "/finetune", "start")
    form = player.view("start_form")
    shown = {block["block_id"]: block["element"] for block in form["blocks"] if block["type"] == "input"}
    assert "colours_train.jsonl" in shown["dataset_id"]["initial_option"]["text"]["text"]
    assert "colours_validation.jsonl" in shown["test_dataset_id"]["initial_option"]["text"]["text"]
    refused = player.person.submit(form, {"name": "!!", "epochs": "2"})
    assert "name" in refused["errors"]
    player.person.submit(form, {"name": "colours", "epochs": "2"})
    confirmation = player.view("confirm_start")
    assert "24 steps" in said(confirmation)
    before = {one["ts"] for one in player.messages()}
    player.person.submit(confirmation, {})
    card = player.wait(
        lambda: next((one for one in player.messages() if one["ts"] not in before and has(one, "run_cancel")), None),
        "the card",
    )
    player.until_ready(card["ts"])

    assert "step 24 of 24" in player.card(card["ts"])
    thread = player.thread(card["ts"])
    texts = [said(one) for one in thread if one["ts"] != card["ts"]]
    assert sum("Was it worth it?" in text for text in texts) == 1
    assert sum("Reply in this thread" in text for text in texts) == 1
    pictures = [file for one in thread for file in one.get("files") or []]
    assert [file["name"] for file in pictures] == ["loss-curve-1.png"]
    assert player.person.download(pictures[0]).startswith(b"\x89PNG")

    for question in ("Flag 3 is red and blue.", "Flag 4 is black and white."):
        assert said(player.ask(card["ts"], question)).strip()

    called = [call["method"] for call in player.person.journal(kind="call") if not call.get("error")]
    assert called.count("chat.startStream") == called.count("chat.stopStream") == 2
    assert called.count("chat.appendStream") >= 2

    button = next(one for one in player.thread(card["ts"]) if has(one, "endpoint_key"))
    player.person.click(button, "endpoint_key")
    told = player.wait(
        lambda: next((one for one in _private(player, card["ts"]) if has(one, "key_revoke")), None), "key"
    )
    key = re.search(r"ftb-[\w-]+", said(told))
    assert key
    model = re.search(r"model: `?([\w-]+)", said(told))
    assert model
    with OpenAI(base_url=f"{installation.gateway_url}/v1", api_key=key[0], max_retries=0) as client:
        question = [{"role": "user", "content": "Flag 5 is red and green."}]
        reply = client.chat.completions.create(model=model[1], messages=question)
        assert reply.usage
        assert reply.usage.completion_tokens > 0
        with client.chat.completions.create(model=model[1], messages=question, stream=True) as stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        player.person.click(told, "key_revoke")
        player.wait(lambda: any("revoked" in said(one) for one in _private(player, card["ts"])), "the revocation")
        with pytest.raises(AuthenticationError):
            client.models.list()
    log = "".join(path.read_text(errors="replace") for path in installation.logs.glob("*.log"))
    assert key[0] not in log

    db = installation.database()
    with db.read() as session:
        run = session.exec(select(Run)).one()
        steps = session.exec(select(RunMetric.step).where(RunMetric.loss.is_not(None))).all()
    db.dispose()
    assert run.status is RunStatus.READY
    assert sorted(steps) == list(range(1, 25))


def test_a_report_button_opens_the_form_with_its_own_dataset(player: Player):
    first = player.attach(("older.jsonl", examples(14, start=200)))
    report = player.report(first)
    player.report(player.attach(("newer.jsonl", examples(14, start=300))))
    player.person.click(report, "start_from_report")
    form = player.view("start_form")
    shown = {block["block_id"]: block["element"] for block in form["blocks"] if block["type"] == "input"}
    assert "older.jsonl" in shown["dataset_id"]["initial_option"]["text"]["text"]
    player.person.close(form)


def test_a_run_is_cancelled_from_its_card(player: Player):
    player.report(player.attach(("cancelled.jsonl", examples(60, start=400))))
    card = player.start({"epochs": "50", "name": "to be cancelled"})
    player.wait(lambda: re.search(r"step \d+ of", player.card(card)), "the first step")
    player.person.click(player.thread(card)[0], "run_cancel")
    player.wait(lambda: "Cancelled" in player.card(card), "the end", 60)
    assert not has(player.thread(card)[0], "run_cancel")


def test_a_stranger_is_refused_in_words(installation: Installation):
    guest = Player(installation.sandbox_url, name=_guest(installation))
    guest.person.command(CHANNEL, "/finetune", "start")
    told = guest.wait(guest.private, "the refusal")
    assert "Guests" in said(told[-1])


def test_a_mistyped_command_is_helped(player: Player):
    before = len(player.private())
    player.person.command(CHANNEL, "/finetune", "strat")
    told = player.wait(lambda: player.private()[before:], "the help")
    assert "Did you mean “start”?" in said(told[-1])


def test_slack_was_never_sent_what_it_would_refuse(installation: Installation, player: Player):
    """Last in this module: the validator has judged everything that the bot has sent so far."""
    calls = player.person.journal(kind="call")
    assert len(calls) > 20
    assert [call for call in calls if call.get("problems")] == []


def _private(player: Player, thread_ts: str) -> list:
    return [*player.private(), *(one for one in player.thread(thread_ts) if one.get("ephemeral"))]


def _guest(installation: Installation) -> str:
    users = Player(installation.sandbox_url).person.state()["users"]
    return str(next(user["name"] for user in users if user["role"] == "guest"))

"""A dataset's way through Slack: a broken file is mended, a table gets its columns, a thread becomes examples."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.launch import Installation
from tests.acceptance.conftest import examples
from tests.acceptance.player import CHANNEL, Player, has, is_ours, said

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def installation(home: Path, database_url: str) -> Iterator[Installation]:
    """Everything up; nothing is trained here."""
    env = {
        "FINETUNE_BOT_LEASE_SECONDS": "6",
        "FINETUNE_BOT_HUB_ORGANISATIONS": "acme",
        "FINETUNE_BOT_HUB_FOLDER": str(home / "hub"),
    }
    with Installation(home, free_ports=True, env=env, database_url=database_url) as running:
        yield running


def chat(question: str, answer: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})


def test_a_broken_file_becomes_a_trainable_version_and_a_file_to_download(player: Player):
    good = examples(12).decode().splitlines()
    lines = [*good, good[3], chat("An empty answer?", ""), good[5][:-30]]
    ts = player.attach(("colours.jsonl", "\n".join(lines).encode()))
    report = player.report(ts)
    assert "Not trainable yet: 2 errors" in said(report)
    assert "Line 14" in said(report)
    assert "Line 15: Not valid JSON" in said(report)
    assert "Line 13: The same as line 4" in said(report)
    assert not has(report, "start_from_report")

    player.person.click(report, "fix_dataset")
    form = player.view("fixes_form")
    offered = [one["text"]["text"] for block in form["blocks"] for one in block.get("element", {}).get("options", [])]
    assert len(offered) == 3
    player.person.submit(form, {})
    mended = player.wait(lambda: _with(player, ts, "start_from_report"), "the new version")
    assert "colours.jsonl v2 · 12 examples" in said(mended)
    assert "3 examples removed" in said(mended)
    player.person.click(mended, "show_changes")
    shown = player.view("changes")
    assert "Line 15 was removed" in said(shown)
    player.person.close(shown)

    player.person.click(mended, "convert_dataset")
    player.person.submit(player.view("convert_form"), {"target": "azure-ml-text"})
    file = player.wait(lambda: _file(player, ts, "colours-v2.azure-ml-text.jsonl"), "the converted file")
    records = [json.loads(line) for line in player.person.download(file).splitlines()]
    assert [set(one) for one in records] == [{"text", "ground_truth"}] * 12
    assert any("Nothing was lost" in said(one) for one in player.thread(ts))

    player.person.click(mended, "start_from_report")
    form = player.view("start_form")
    assert "colours.jsonl v2" in str(form)
    player.person.close(form)


def test_a_table_is_trained_by_the_columns_that_somebody_chose(player: Player):
    table = "Kundenfrage,Notiz,Loesung\n" + "".join(f"Wie geht {n}?,Note {n},So geht {n}.\n" for n in range(12))
    ts = player.attach(("faq.csv", table.encode()))
    report = player.report(ts)
    assert "Which column is what? It has Kundenfrage, Notiz, Loesung" in said(report)
    player.person.click(report, "choose_columns")
    form = player.view("columns_form")
    assert "Wie geht 0?" in said(form)
    assert "Note 0" not in said(form)
    player.person.click(form, "choose_column", block_id="system", selected_option="1")
    changed = player.wait(lambda: _view(player, "columns_form", "Note 0"), "the change")
    wrong = player.person.submit(changed, {"answer": "0"})
    assert "another column" in wrong["errors"]["answer"]
    player.person.submit(changed, {"answer": "2"})
    ready = player.wait(lambda: _with(player, ts, "start_from_report"), "the checked table")
    assert ready["ts"] == report["ts"]
    player.person.click(ready, "preview_dataset")
    preview = player.view("preview")
    assert "⚙️ system\n```Note 0```" in said(preview)
    player.person.close(preview)


def test_a_thread_becomes_examples_of_those_who_agree(installation: Installation, player: Player):
    ada, rey = (Player(installation.sandbox_url, name=name, logs=installation.logs) for name in ("Ada", "Rey"))
    root = player.person.say(CHANNEL, f"How do I reset it, <@{rey.person.id}>? <!channel>")
    ada.person.say(CHANNEL, "Hold the button.", thread_ts=root)
    ada.person.say(CHANNEL, "Then wait, Tuner.", thread_ts=root)
    player.person.say(CHANNEL, "And the scanner?", thread_ts=root)
    rey.person.say(CHANNEL, "Call us.", thread_ts=root)
    player.person.shortcut("use_thread", player.thread(root)[1])
    card = player.wait(lambda: _with(player, root, "import_go_on"), "the card")
    assert "1 agreed, 0 did not, 2 not answered yet" in said(card)

    question = ada.wait(lambda: _asked(ada), "the question to Ada")
    assert "you wrote 2 messages" in said(question)
    assert "ok" in ada.person.click(question, "consent_yes")
    rey.person.click(rey.wait(lambda: _asked(rey), "the question to Rey"), "consent_no")
    report = player.wait(lambda: _with(player, root, "preview_dataset"), "the report")
    assert "1 example" in said(report)
    player.person.click(report, "preview_dataset")
    preview = player.view("preview")
    assert "How do I reset it, [person 3]? [everybody]" in said(preview)
    assert "Hold the button.\nThen wait, [person 1]." in said(preview)
    assert "Call us." not in said(preview)
    player.person.close(preview)
    ada.wait(lambda: not _asked(ada), "the end of the question")


def test_datasets_are_listed_shown_compared_shared_and_deleted(player: Player):
    listed = _told(player, "data")
    assert "colours.jsonl v2" in said(listed)
    assert "1 earlier version" in said(listed)
    shown = _told(player, "data show colours")
    assert "Other versions: v1" in said(shown)
    _told(player, "data diff colours@v1 colours@v2")
    compared = player.wait(lambda: next((one for one in player.private() if "→" in said(one)), None), "the differences")
    assert "2 removed" in said(compared)
    assert "12 unchanged" in said(compared)

    number = _number(listed, "faq.csv")
    assert "no dataset here" in said(_told(player, "data", channel="#general"))
    player.person.click(listed, "dataset_menu", block_id=_menu(listed, number), selected_option=f"share:{number}")
    player.wait(lambda: "Everybody" in said(player.private()[-1]), "the answer")
    assert "faq.csv" in said(_told(player, "data", channel="#general"))

    question = _told(player, f"data delete {number}")
    player.person.click(question, "delete_dataset")
    player.wait(lambda: "is deleted" in said(player.private()[-1]), "the deletion")
    assert "faq.csv" not in said(_told(player, "data"))
    assert "was deleted" in said(_told(player, f"data show {number}"))


def test_a_named_dataset_is_read_where_it_is_allowed(player: Player, home: Path):
    import datasets as arrow

    arrow.disable_progress_bars()
    rows = [json.loads(line) for line in examples(12).decode().splitlines()]
    arrow.Dataset.from_list(rows).save_to_disk(str(home / "hub" / "acme" / "flags" / "abc"))
    assert "may not read datasets of “evil”" in said(_told(player, "data add hf:evil/flags@abc"))
    _told(player, "data add hf:acme/flags@abc")
    report = player.wait(
        lambda: next(
            (one for one in player.messages() if not one.get("ephemeral") and has(one, "start_from_report")), None
        ),
        "the report in the channel",
    )
    assert "acme/flags@abc · 12 examples" in said(report)
    player.person.click(report, "convert_dataset")
    player.person.submit(player.view("convert_form"), {"target": "openai-chat"})
    player.wait(lambda: _file(player, report["ts"], "flags"), "the file under the report")


def test_guests_neither_look_nor_click(installation: Installation, player: Player):
    guest = Player(installation.sandbox_url, name="Gil")
    assert "Guests" in said(_told(guest, "data"))
    ts = player.attach(("mine.jsonl", examples(12)))
    report = player.report(ts)
    before = len(guest.person.thread(CHANNEL, ts))
    guest.person.click(report, "preview_dataset")
    guest.wait(
        lambda: any("Guests" in said(one) for one in [*guest.private(), *guest.thread(ts)[before:]]), "a refusal"
    )
    assert guest.person.state()["views"] == []


def test_slack_was_never_sent_what_it_would_refuse(player: Player):
    """Last in this module: the validator has judged everything that the bot has sent so far."""
    calls = player.person.journal(kind="call")
    assert len(calls) > 20
    assert [call for call in calls if call.get("problems")] == []


def _with(player: Player, ts: str, action_id: str) -> dict[str, Any] | None:
    return next((one for one in player.thread(ts) if has(one, action_id)), None)


def _file(player: Player, ts: str, name: str) -> dict[str, Any] | None:
    files = [file for one in player.thread(ts) for file in one.get("files") or [] if is_ours(one)]
    return next((file for file in files if file["name"].startswith(name) or name in file["name"]), None)


def _view(player: Player, callback_id: str, words: str) -> dict[str, Any] | None:
    view = player.view(callback_id)
    return view if words in said(view) else None


def _asked(person: Player) -> dict[str, Any] | None:
    return next((one for one in person.person.messages("@bot") if has(one, "consent_yes")), None)


def _told(player: Player, words: str, channel: str = CHANNEL) -> dict[str, Any]:
    """What the bot says to this person alone about a command."""

    def private() -> list[dict[str, Any]]:
        return [one for one in player.person.messages(channel) if one.get("ephemeral")]

    before = {one["ts"] for one in private()}
    player.person.command(channel, "/finetune", words)
    new = player.wait(lambda: [one for one in private() if one["ts"] not in before], f"an answer to {words}")
    return dict(new[0])


def _number(listed: dict[str, Any], name: str) -> int:
    line = next(line for line in said(listed).splitlines() if name in line)
    return int(line.rpartition("(dataset ")[2].rstrip(")"))


def _menu(listed: dict[str, Any], number: int) -> str:
    return next(str(block["block_id"]) for block in listed["blocks"] if f'"share:{number}"' in json.dumps(block))


def test_a_small_dataset_gets_its_test_file_from_a_form(player: Player):
    ts = player.attach(("small.jsonl", examples(14)))
    report = player.report(ts)
    player.person.click(report, "attach_test")
    file_id = player.person.upload(("held_out.jsonl", examples(12, start=20)))
    player.person.submit(player.view("test_file_form"), {"file": [file_id]})
    both = player.wait(lambda: _mentions(player, ts, "held_out.jsonl"), "the report with the test file")
    assert "small.jsonl" in said(both)
    player.person.click(both, "start_from_report")
    form = player.view("start_form")
    assert "held_out.jsonl" in json.dumps(form)
    player.person.close(form)


def _mentions(player: Player, ts: str, name: str) -> dict[str, Any] | None:
    return next((one for one in player.thread(ts) if is_ours(one) and name in said(one)), None)

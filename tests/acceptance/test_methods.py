"""Learning from preferences and from rewards through the real bot, workers, trainer and model server: a tiny model."""

import json

import pytest

from tests.acceptance.conftest import COLOURS
from tests.acceptance.player import CHANNEL, Player, has, said
from tests.tiny_model import make, taught

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", params=[""], ids=["sqlite"])
def database_url(request):
    return request.param


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """One that answers every question with a colour, whichever."""
    talks = [
        [{"role": "user", "content": question(number)}, {"role": "assistant", "content": COLOURS[number * 5 % 7]}]
        for number in range(480)
    ]
    return taught(make(tmp_path_factory.mktemp("model") / "taught"), talks)


def question(number):
    return f"Flag {number} is {COLOURS[number % 8]}. Which colour is number {number * 7}?"


def pairs(count):
    for number in range(count):
        said = {"chosen": f"{COLOURS[number % 8]}, as was told of {number}", "rejected": f"nobody knows {number * 3}"}
        yield {"prompt": question(number), **said}


def prompts(count):
    for number in range(count):
        yield {"messages": [{"role": "user", "content": question(number)}], "answer": COLOURS[number % 3]}


def lines(some):
    return "".join(json.dumps(one) + "\n" for one in some).encode()


def start(player: Player, values, method=""):
    """Open the form, choose a method where one is named, and start; returns the card's ts."""
    before = {one["ts"] for one in player.messages()}
    player.person.command(CHANNEL, "/finetune", "start")
    form = player.view("start_form")
    if method:
        player.person.submit(form, {"method": method})  # sent before it was drawn anew: it is, and nothing starts
        form = player.wait(lambda: _redrawn(player, form["id"], method), "the form of the other method")
    player.person.submit(form, values)
    confirmation = player.view("confirm_start")
    player.person.submit(confirmation, {})
    card = player.wait(
        lambda: next((one for one in player.messages() if one["ts"] not in before and has(one, "run_cancel")), None),
        "the card",
    )
    player.until_ready(card["ts"])
    return card["ts"]


def _redrawn(player, was, method):
    views = player.person.state()["views"]
    view = views[-1] if views and views[-1].get("callback_id") == "start_form" else None
    block = next((one for one in view["blocks"] if one.get("block_id") == "method"), None) if view else None
    return view if block and block["element"]["initial_option"]["value"] == method else None


@pytest.mark.parametrize("method", ["", "orpo", "kto"])
def test_from_pairs_to_a_model_that_prefers_the_wanted_answers(player: Player, method):
    ts = player.attach((f"pairs-{method or 'dpo'}.jsonl", lines(pairs(60))))
    assert "Ready to train" in said(player.report(ts))
    card = start(player, {"name": f"pairs-{method or 'dpo'}", "epochs": "2", "learning_rate": "0.005"}, method)
    verdict = next(said(one) for one in player.thread(card) if "Was it worth it?" in said(one))
    assert f"prefers the wanted answers more often on {24 if method == 'kto' else 12} examples" in verdict
    assert "Its own answers beside the wanted ones" in verdict


def test_from_prompts_with_references_to_a_comparison_by_them(player: Player):
    ts = player.attach(("rewards.jsonl", lines(prompts(60))))
    assert "Ready to train" in said(player.report(ts))
    card = start(player, {"name": "rewards", "epochs": "2", "learning_rate": "0.002"})
    verdict = next(said(one) for one in player.thread(card) if "Was it worth it?" in said(one))
    assert "Exact match" in verdict
    assert "not compared" not in verdict

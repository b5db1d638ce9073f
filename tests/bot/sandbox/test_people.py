import http.client
import json
import subprocess
import sys
import threading
import urllib.request
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person, Refused

FINETUNING = "C0FINETUNE1"


def test_people_see_their_channels_only(sandbox: Sandbox) -> None:
    def channels(name: str) -> set[str]:
        return {one["name"] for one in Person(sandbox.url, name).state()["channels"] if not one["is_im"]}

    assert channels("Tuner") == {"finetuning", "general", "planning"}
    assert channels("Gil") == channels("Olga") == {"finetuning"}
    with pytest.raises(LookupError):
        Person(sandbox.url, "Nobody")
    gil = Person(sandbox.url, "Gil")
    with pytest.raises(Refused, match="channel_not_found"):
        gil._must("/sandbox/messages", {"channel": "C0SECRETS03", "text": "x"})


def test_the_live_feed_tells_what_one_may_see(sandbox: Sandbox, client: WebClient, eventually) -> None:
    people = {name: Person(sandbox.url, name) for name in ("Tuner", "Gil")}
    frames: dict[str, list] = {name: [] for name in people}

    def follow(name: str) -> None:
        frames[name].append({"type": "began"})
        frames[name].extend(people[name].live())

    threads = [threading.Thread(target=follow, args=(name,)) for name in people]
    for thread in threads:
        thread.start()
    eventually(lambda: len(people["Tuner"]._live) == len(people["Gil"]._live) == 1)
    people["Tuner"].say("#general", "not for guests")
    client.chat_postEphemeral(channel=FINETUNING, user=people["Gil"].id, text="for Gil")
    ts = client.chat_postMessage(channel=FINETUNING, text="for all")["ts"]
    client.assistant_threads_setStatus(channel_id=FINETUNING, thread_ts=ts, status="is thinking")
    client.chat_delete(channel=FINETUNING, ts=ts)
    people["Tuner"].hang_up()
    people["Gil"].hang_up()
    for thread in threads:
        thread.join(5)
    kinds = {
        name: [one["type"] for one in seen if one["type"] not in {"call", "began"}] for name, seen in frames.items()
    }
    assert kinds["Tuner"] == ["message_posted", "message_posted", "status", "message_deleted"]
    assert kinds["Gil"] == ["ephemeral_posted", "message_posted", "status", "message_deleted"]
    assert "not for guests" not in json.dumps([one for one in frames["Gil"] if one["type"] != "call"])


def test_the_feed_ends_with_the_workspace() -> None:
    with Sandbox() as sandbox:
        tuner = Person(sandbox.url, "Tuner")
        thread = threading.Thread(target=lambda: list(tuner.live()))
        thread.start()
        while not tuner._live:
            tuner.state()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"Origin": "http://elsewhere.example"}, 403), ({"Host": "elsewhere.example:80"}, 403)],
)
def test_other_pages_may_not_act_here(sandbox: Sandbox, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
    connection.request("GET", "/sandbox/state", headers=headers)
    with connection.getresponse() as answer:
        assert answer.status == status
    connection.close()


def test_the_page_is_there(sandbox: Sandbox) -> None:
    with urllib.request.urlopen(sandbox.url) as answer:
        assert b"Local workspace" in answer.read()
    with urllib.request.urlopen(f"{sandbox.url}/static/js/main.js") as answer:
        assert "javascript" in answer.headers["Content-Type"]


def test_alone_it_says_what_a_bot_needs() -> None:
    command = [sys.executable, "-m", "bot.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        told = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines[2:])
        assert WebClient(token=told["SLACK_BOT_TOKEN"], base_url=told["SLACK_API_URL"]).auth_test()["ok"]
        process.terminate()
        assert process.wait(10) in {0, -15}


def test_its_addresses_are_free_again() -> None:
    with Sandbox() as sandbox:
        port = urlsplit(sandbox.url).port
    with Sandbox(port=port or 0) as again:
        assert Person(again.url, "Ada").id

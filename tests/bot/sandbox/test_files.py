import json
import urllib.request

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person, Refused

FINETUNING = "C0FINETUNE1"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (40).to_bytes(4) + (30).to_bytes(4) + b"\0" * 9


def fetch(url: str, token: str | None) -> tuple[str, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.headers.get_content_type(), answer.read()


def test_an_upload_in_three_steps(client: WebClient, tuner: Person) -> None:
    root = tuner.say("#finetuning", "The curve?")
    answer = client.files_upload_v2(
        filename="curve.png", content=PNG, title="Loss", channel=FINETUNING, thread_ts=root, initial_comment="Here"
    )
    reply = tuner.thread("#finetuning", root)[-1]
    assert (reply["text"], reply["subtype"]) == ("Here", "file_share")
    assert reply["files"][0]["mimetype"] == "image/png"
    assert (reply["files"][0]["original_w"], reply["files"][0]["original_h"]) == (40, 30)
    assert reply["ts"] not in json.dumps(answer.data)
    shares = client.files_info(file=answer["files"][0]["id"])["file"]["shares"]["public"][FINETUNING]
    assert (shares[0]["ts"], shares[0]["thread_ts"]) == (reply["ts"], root)
    assert tuner.download(reply["files"][0]) == PNG


def test_without_a_token_one_gets_a_page_to_log_in(client: WebClient, tuner: Person, sandbox: Sandbox) -> None:
    tuner.say("#finetuning", "", [("data.jsonl", b"{}\n")])
    file = tuner.messages("#finetuning")[-1]["files"][0]
    assert fetch(file["url_private_download"], client.token)[1] == b"{}\n"
    for token in (None, "xoxb-wrong"):
        kind, body = fetch(file["url_private_download"], token)
        assert kind == "text/html"
        assert b"Sign in" in body
    rey = Person(sandbox.url, "Rey")
    secret = rey.upload(("secret.csv", b"1,2"))
    assert fetch(file["url_private"].replace(file["id"], secret), client.token)[0] == "text/html"


def test_a_page_that_was_uploaded_is_not_shown_as_a_page(tuner: Person) -> None:
    tuner.say("#finetuning", "", [("page.html", b"<script>alert(1)</script>")])
    file = tuner.messages("#finetuning")[-1]["files"][0]
    with urllib.request.urlopen(f"{file['url_private']}?user={tuner.id}") as answer:
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_files_the_bot_may_not_know(client: WebClient, tuner: Person) -> None:
    ts = tuner.say("#planning", "", [("plan.csv", b"1")])
    file_id = tuner.thread("#planning", ts)[0]["files"][0]["id"]
    with pytest.raises(SlackApiError, match="file_not_found"):
        client.files_info(file=file_id)
    assert client.files_list()["files"] == []


def test_one_file_goes_with_one_message(tuner: Person) -> None:
    file_id = tuner.upload(("a.csv", b"1"))
    channel = tuner.channel_id("#finetuning")
    assert tuner._must("/sandbox/messages", {"channel": channel, "files": [file_id]})["ok"]
    with pytest.raises(Refused, match="file_not_found"):
        tuner._must("/sandbox/messages", {"channel": channel, "files": [file_id]})


def test_only_own_files_are_deleted(client: WebClient, tuner: Person) -> None:
    tuner.say("#finetuning", "", [("data.jsonl", b"{}\n")])
    with pytest.raises(SlackApiError, match="cant_delete_file"):
        client.files_delete(file=tuner.messages("#finetuning")[-1]["files"][0]["id"])
    mine = client.files_upload_v2(filename="a.txt", content="hi", channel=FINETUNING)["files"][0]["id"]
    client.files_delete(file=mine)
    assert [one["files"][0]["name"] for one in tuner.messages("#finetuning")] == ["data.jsonl"]

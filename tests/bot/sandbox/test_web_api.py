import json
import urllib.request

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

FINETUNING = "C0FINETUNE1"


def refusal(call, **arguments):
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response["error"]


def test_auth_test_comes_with_an_empty_json_body(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.env()['SLACK_BOT_TOKEN']}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{sandbox.url}/api/auth.test", b"", headers)) as answer:
        told = json.load(answer)
    assert told["ok"]
    assert told["team"] == "Example Team"


def test_a_token_may_come_as_a_form_field(sandbox: Sandbox) -> None:
    body = f"token={sandbox.env()['SLACK_BOT_TOKEN']}".encode()
    with urllib.request.urlopen(f"{sandbox.url}/api/auth.test", body) as answer:
        assert json.load(answer)["ok"]


@pytest.mark.parametrize(("token", "error"), [("xoxb-wrong", "invalid_auth"), (None, "not_authed")])
def test_wrong_tokens(sandbox: Sandbox, token: str | None, error: str) -> None:
    assert refusal(WebClient(token=token, base_url=f"{sandbox.url}/api/").auth_test) == error


def test_each_kind_of_token_has_its_methods(sandbox: Sandbox, client: WebClient) -> None:
    assert refusal(client.apps_connections_open, app_token=client.token) == "not_allowed_token_type"
    of_app = WebClient(token=sandbox.env()["SLACK_APP_TOKEN"], base_url=client.base_url)
    assert refusal(of_app.chat_postMessage, channel=FINETUNING, text="x") == "not_allowed_token_type"
    assert refusal(client.api_call, api_method="chat.sing") == "unknown_method"


def test_posting_where_the_bot_may_not(client: WebClient) -> None:
    assert refusal(client.chat_postMessage, channel="C0SECRETS03", text="x") == "channel_not_found"
    assert refusal(client.chat_postMessage, channel="C0NOWHERE", text="x") == "channel_not_found"
    assert refusal(client.api_call, api_method="chat.postMessage", json={"channel": FINETUNING}) == "no_text"
    assert refusal(client.chat_postMessage, channel=FINETUNING, text="x" * 40_001) == "msg_too_long"
    assert refusal(client.chat_postMessage, channel=FINETUNING, text="x", thread_ts="1.000001") == "thread_not_found"


def test_only_own_messages_are_edited_and_deleted(client: WebClient, tuner: Person) -> None:
    ts = tuner.say("#finetuning", "mine")
    assert refusal(client.chat_update, channel=FINETUNING, ts=ts, text="yours") == "cant_update_message"
    assert refusal(client.chat_delete, channel=FINETUNING, ts=ts) == "cant_delete_message"
    assert refusal(client.chat_update, channel=FINETUNING, ts="1.000001", text="x") == "message_not_found"


def test_an_edit_keeps_what_it_does_not_name(client: WebClient, tuner: Person) -> None:
    divider = [{"type": "divider"}]
    ts = client.chat_postMessage(channel=FINETUNING, text="one", blocks=divider)["ts"]
    client.chat_update(channel=FINETUNING, ts=ts, text="two")
    shown = tuner.messages("#finetuning")[-1]
    assert (shown["text"], len(shown["blocks"])) == ("two", 1)
    assert shown["blocks"][0]["block_id"]
    client.chat_update(channel=FINETUNING, ts=ts, text="three", blocks=[])
    assert "blocks" not in tuner.messages("#finetuning")[-1]


def test_nested_fields_come_as_json_text_in_forms(client: WebClient) -> None:
    answer = client.api_call(
        "chat.postMessage",
        data={"channel": FINETUNING, "text": "x", "blocks": json.dumps([{"type": "divider"}])},
    )
    assert answer["message"]["blocks"][0]["type"] == "divider"


def test_metadata_is_told_only_to_those_who_ask(client: WebClient) -> None:
    metadata = {"event_type": "announcement", "event_payload": {"id": 7}}
    client.chat_postMessage(channel=FINETUNING, text="x", metadata=metadata)
    assert "metadata" not in client.conversations_history(channel=FINETUNING)["messages"][0]
    shown = client.conversations_history(channel=FINETUNING, include_all_metadata=True)["messages"][0]
    assert shown["metadata"] == metadata
    broken = {"event_type": "announcement"}
    assert refusal(client.chat_postMessage, channel=FINETUNING, text="x", metadata=broken) == "invalid_metadata_format"


def test_history_and_replies_are_handed_out_in_pages(client: WebClient, tuner: Person) -> None:
    root = tuner.say("#finetuning", "root")
    for number in range(5):
        client.chat_postMessage(channel=FINETUNING, text=str(number), thread_ts=root, reply_broadcast=number == 4)
    seen = []
    for page in client.conversations_replies(channel=FINETUNING, ts=root, limit=2):
        seen += [message["text"] for message in page["messages"]]
    assert seen == ["root", "0", "1", "2", "3", "4"]
    history = client.conversations_history(channel=FINETUNING)["messages"]
    assert [message["text"] for message in history] == ["4", "root"]
    assert history[1]["reply_count"] == 5
    later = client.conversations_replies(channel=FINETUNING, ts=root, oldest=history[0]["ts"], inclusive=True)
    assert [message["text"] for message in later["messages"]] == ["root", "4"]


def test_ephemeral_messages_are_for_one_person_and_not_in_the_history(client: WebClient, sandbox: Sandbox) -> None:
    tuner, rey = Person(sandbox.url, "Tuner"), Person(sandbox.url, "Rey")
    client.chat_postEphemeral(channel=FINETUNING, user=tuner.id, text="psst")
    assert [one["text"] for one in tuner.messages("#finetuning") if one["ephemeral"]] == ["psst"]
    assert rey.messages("#finetuning") == []
    assert client.conversations_history(channel=FINETUNING)["messages"] == []
    gil = Person(sandbox.url, "Gil")
    error = refusal(client.chat_postEphemeral, channel="C0GENERAL02", user=gil.id, text="x")
    assert error == "user_not_in_channel"


def test_people_are_what_they_are(client: WebClient, sandbox: Sandbox) -> None:
    def told(name: str):
        return client.users_info(user=Person(sandbox.url, name).id)["user"]

    assert told("Ada")["is_admin"]
    assert told("Gil")["is_restricted"]
    assert told("Olga")["is_stranger"]
    assert told("Olga")["team_id"] != told("Tuner")["team_id"] == client.auth_test()["team_id"]


def test_conversations(client: WebClient, tuner: Person) -> None:
    named = {one["name"] for one in client.conversations_list(types="public_channel,private_channel")["channels"]}
    assert named == {"finetuning", "general"}
    direct = client.conversations_open(users=tuner.id)["channel"]["id"]
    assert client.chat_postMessage(channel=tuner.id, text="hello")["channel"] == direct
    assert tuner.messages("@bot")[-1]["text"] == "hello"
    assert client.conversations_info(channel=direct)["channel"]["user"] == tuner.id
    assert tuner.id in client.conversations_members(channel=FINETUNING)["members"]


def test_reactions(client: WebClient, tuner: Person) -> None:
    ts = tuner.say("#finetuning", "nice")
    client.reactions_add(channel=FINETUNING, timestamp=ts, name="eyes")
    assert refusal(client.reactions_add, channel=FINETUNING, timestamp=ts, name="eyes") == "already_reacted"
    tuner.react(tuner.messages("#finetuning")[-1], "eyes")
    assert client.reactions_get(channel=FINETUNING, timestamp=ts)["message"]["reactions"][0]["count"] == 2
    client.reactions_remove(channel=FINETUNING, timestamp=ts, name="eyes")
    assert refusal(client.reactions_remove, channel=FINETUNING, timestamp=ts, name="eyes") == "no_reaction"


def test_the_journal_has_every_call_and_no_token(client: WebClient, tuner: Person) -> None:
    client.chat_postMessage(channel=FINETUNING, text="x" * 4_001, unfurl_links=False)
    entry = tuner.journal(kind="call")[-1]
    assert entry["method"] == "chat.postMessage"
    assert entry["request"]["unfurl_links"] in {False, "0"}
    assert "4001 characters" in entry["problems"][0]
    assert str(client.token) not in json.dumps(tuner.journal())

import time
from collections.abc import Iterator

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

FINETUNING = "C0FINETUNE1"
FEEDBACK = [
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "feedback",
                "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "good"},
                "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "bad"},
            }
        ],
    }
]


@pytest.fixture
def question(tuner: Person) -> str:
    return tuner.say("#finetuning", "What is it?")


def begin(client: WebClient, person: Person, thread_ts: str) -> str:
    team = client.auth_test()["team_id"]
    made = client.chat_startStream(
        channel=FINETUNING, thread_ts=thread_ts, recipient_user_id=person.id, recipient_team_id=team
    )
    return str(made["ts"])


def refusal(call, **arguments) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(channel=FINETUNING, **arguments)
    return caught.value.response["error"]


def test_an_answer_streams_piece_by_piece(client: WebClient, tuner: Person, question: str) -> None:
    ts = begin(client, tuner, question)
    for piece in ("**It** ", "is ", "so."):
        client.chat_appendStream(channel=FINETUNING, ts=ts, markdown_text=piece)
    shown = tuner.thread("#finetuning", question)[-1]
    assert (shown["text"], shown["streaming"]) == ("**It** is so.", True)
    assert refusal(client.chat_update, ts=ts, text="x") == "streaming_state_conflict"
    client.chat_stopStream(channel=FINETUNING, ts=ts, blocks=FEEDBACK)
    shown = tuner.thread("#finetuning", question)[-1]
    assert "streaming" not in shown
    assert [block["type"] for block in shown["blocks"]] == ["markdown", "context_actions"]
    assert refusal(client.chat_appendStream, ts=ts, markdown_text="x") == "message_not_in_streaming_state"


def test_a_person_stops_it(client: WebClient, tuner: Person, question: str) -> None:
    ts = begin(client, tuner, question)
    client.chat_appendStream(channel=FINETUNING, ts=ts, markdown_text="It is ")
    assert tuner.stop_stream(tuner.thread("#finetuning", question)[-1])["ok"]
    assert refusal(client.chat_appendStream, ts=ts, markdown_text="so.") == "stopped_by_user"
    assert refusal(client.chat_stopStream, ts=ts) == "stopped_by_user"
    assert tuner.thread("#finetuning", question)[-1]["text"] == "It is "


def test_what_a_stream_needs(client: WebClient, tuner: Person, question: str) -> None:
    assert refusal(client.chat_startStream, thread_ts=question) == "missing_recipient_user_id"
    assert refusal(client.chat_startStream, thread_ts="") == "invalid_arguments"
    ts = begin(client, tuner, question)
    assert refusal(client.chat_appendStream, ts=ts, markdown_text="x" * 12_001) == "msg_too_long"
    assert refusal(client.chat_stopStream, ts=ts, blocks=[{"type": "alert"}]) == "invalid_blocks"


def test_tasks_of_a_stream(client: WebClient, tuner: Person, question: str) -> None:
    ts = begin(client, tuner, question)
    task = {"type": "task_update", "id": "1", "title": "Reading", "status": "in_progress"}
    client.chat_appendStream(channel=FINETUNING, ts=ts, chunks=[{"type": "plan_update", "title": "Plan"}, task])
    client.chat_appendStream(channel=FINETUNING, ts=ts, chunks=[{**task, "status": "complete"}])
    plan = tuner.thread("#finetuning", question)[-1]["blocks"][0]
    assert plan["title"] == "Plan"
    assert [one["status"] for one in plan["tasks"]] == ["complete"]


@pytest.fixture
def hasty() -> Iterator[Sandbox]:
    with Sandbox(stream_seconds=0.2) as running:
        yield running


def test_the_server_closes_a_stream_after_a_while(hasty: Sandbox) -> None:
    client = WebClient(token=hasty.env()["SLACK_BOT_TOKEN"], base_url=hasty.env()["SLACK_API_URL"])
    tuner = Person(hasty.url, "Tuner")
    ts = begin(client, tuner, tuner.say("#finetuning", "?"))
    until = time.monotonic() + 5
    while tuner.messages("#finetuning") and any(one.get("streaming") for one in tuner.state()["messages"][FINETUNING]):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert refusal(client.chat_appendStream, ts=ts, markdown_text="x") == "message_not_in_streaming_state"

"""/invite: who is let in hears and may post from then on."""

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.cast import BOT
from bot.sandbox.driver import Person

PLANNING = "C0SECRETS03"


@pytest.mark.parametrize("text", ["@Finetune Bot", f"<@{BOT.id}>", f"<@{BOT.id}|finetune_bot> ", "@finetune_bot"])
def test_an_invited_bot_may_read_and_post(client: WebClient, tuner: Person, text: str) -> None:
    ts = tuner.say("#planning", "before it came")
    with pytest.raises(SlackApiError, match="channel_not_found"):
        client.conversations_replies(channel=PLANNING, ts=ts)
    assert tuner.command("#planning", "/invite", text)["ok"]
    assert client.conversations_replies(channel=PLANNING, ts=ts)["messages"][0]["text"] == "before it came"
    assert client.chat_postMessage(channel=PLANNING, text="thank you")["ok"]
    assert "has joined the channel" in tuner.messages("#planning")[1]["text"]


def test_the_page_is_told_who_is_in(tuner: Person) -> None:
    assert "/invite" in {one["command"] for one in tuner.state()["commands"]}
    tuner.command("#planning", "/invite", "@Finetune Bot")
    channel = next(one for one in tuner.state()["channels"] if one["id"] == PLANNING)
    assert BOT.id in channel["members"]


@pytest.mark.parametrize(
    ("channel", "text", "words"),
    [
        ("#planning", "@Nobody", "knows nobody called @Nobody"),
        ("#planning", "", "knows nobody called nothing"),
        ("#general", "@Finetune Bot", "is in this channel already"),
        ("@bot", "@Rey", "does not work in direct messages"),
    ],
)
def test_who_cannot_be_invited(tuner: Person, channel: str, text: str, words: str) -> None:
    answer = tuner.command(channel, "/invite", text)
    assert not answer["ok"]
    assert words in answer["error"]

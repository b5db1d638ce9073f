import time
import urllib.error
from http.client import RemoteDisconnected

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person, Refused

FINETUNING = "C0FINETUNE1"


def post(client: WebClient, text: str = "x"):
    return client.chat_postMessage(channel=FINETUNING, text=text)


@pytest.fixture
def bare(client: WebClient) -> WebClient:
    client.retry_handlers.clear()
    return client


def test_an_error_for_the_next_calls_of_one_method(bare: WebClient, tuner: Person) -> None:
    tuner.fault(kind="error", method="chat.postMessage", error="internal_error", times=2)
    bare.auth_test()
    for _ in range(2):
        with pytest.raises(SlackApiError, match="internal_error"):
            post(bare)
    assert post(bare)["ok"]


def test_a_status_without_json(bare: WebClient, tuner: Person) -> None:
    tuner.fault(kind="status", status=503)
    with pytest.raises(SlackApiError) as caught:
        post(bare)
    assert caught.value.response.status_code == 503


def test_carried_out_but_cut_off(bare: WebClient, tuner: Person) -> None:
    tuner.fault(kind="drop_response", method="chat.postMessage")
    with pytest.raises((RemoteDisconnected, urllib.error.URLError, ConnectionError)):
        post(bare, "did it arrive?")
    assert tuner.messages("#finetuning")[-1]["text"] == "did it arrive?"
    assert post(bare)["ok"]


def test_late(bare: WebClient, tuner: Person) -> None:
    tuner.fault(kind="delay", seconds=0.3)
    began = time.monotonic()
    assert post(bare)["ok"]
    assert time.monotonic() - began >= 0.3


def test_ratelimited_on_demand_and_cleared(bare: WebClient, tuner: Person) -> None:
    tuner.fault(kind="ratelimited", retry_after=7, times=9)
    with pytest.raises(SlackApiError) as caught:
        post(bare)
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    tuner.clear_faults()
    assert post(bare)["ok"]
    with pytest.raises(Refused):
        tuner.fault(kind="earthquake")


def test_posting_too_fast_is_ratelimited_by_channel(bare: WebClient, tuner: Person) -> None:
    for _ in range(10):
        post(bare)
    with pytest.raises(SlackApiError) as caught:
        post(bare)
    assert caught.value.response["error"] == "ratelimited"
    assert int(caught.value.response.headers["Retry-After"]) >= 1
    assert bare.chat_postMessage(channel="C0GENERAL02", text="elsewhere")["ok"]


def test_rates_may_be_off(new_client) -> None:
    with Sandbox(rate_limits=False, journal=False) as sandbox:
        client = new_client(sandbox)
        for _ in range(15):
            post(client)
        assert Person(sandbox.url, "Tuner").journal() == []

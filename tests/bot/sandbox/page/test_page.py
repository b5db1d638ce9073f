"""The page of the local workspace, used by a person in a real browser, with a small real Bolt app behind it."""

import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

PIECES = ["Here is ", "**your** ", "answer:\n\n", "- eggs\n", "- flour\n", "- milk\n"]
DATASET = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}\n'
SHORTCUTS = [{"callback_id": "note", "name": "Note this", "type": "message"}]


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def option(text: str) -> dict[str, Any]:
    return {"text": plain(text), "value": text.lower()}


def run_card(step: int, *, cancelled: bool = False) -> list[dict[str, Any]]:
    """A run's card: a section that changes, and buttons that stay."""
    text = "*recipes-v1* was cancelled" if cancelled else f"*recipes-v1* · step {step} of 76"
    cancel = {
        "type": "button",
        "action_id": "cancel",
        "style": "danger",
        "text": plain("Cancel"),
        "confirm": {
            "title": plain("Cancel the run?"),
            "text": plain("The steps so far are lost."),
            "confirm": plain("Cancel the run"),
            "deny": plain("Keep going"),
        },
    }
    step_button = {"type": "button", "action_id": "step", "text": plain("Step")}
    section = {"type": "section", "block_id": "progress", "text": {"type": "mrkdwn", "text": text}}
    return [section, {"type": "actions", "block_id": "controls", "elements": [step_button, cancel]}]


FORM = {
    "type": "modal",
    "callback_id": "start",
    "title": plain("Start a run"),
    "submit": plain("Start"),
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": plain("Name"),
            "element": {"type": "plain_text_input", "action_id": "it"},
        },
        {
            "type": "input",
            "block_id": "base",
            "label": plain("Base model"),
            "element": {
                "type": "static_select",
                "action_id": "it",
                "options": [option("Small"), option("Large")],
                "initial_option": option("Small"),
            },
        },
        {
            "type": "input",
            "block_id": "extras",
            "optional": True,
            "label": plain("Extras"),
            "element": {"type": "checkboxes", "action_id": "it", "options": [option("Evaluate"), option("Share")]},
        },
    ],
}


def picture() -> bytes:
    """A small PNG: a falling diagonal."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + b"".join(b"\x0f\x76\x6e" if abs(x - 2 * y) < 4 else b"\xff\xff\xff" for x in range(240))
        for y in range(120)
    )
    head = struct.pack(">IIBBBBB", 240, 120, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Stage:
    """The workspace, and what the app behind it has noted."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.said: list[Any] = []
        self.go_on = threading.Event()
        self.hurried = threading.Event()


def listen(app: App, stage: Stage) -> None:
    """What the product does, in small."""

    @app.event({"type": "message", "subtype": "file_share"})
    def attached(event: dict[str, Any], client: WebClient) -> None:
        rows = [["examples", "1"], ["tokens", "12"]]
        cells = [[{"type": "raw_text", "text": cell} for cell in row] for row in rows]
        client.chat_postMessage(
            channel=event["channel"],
            thread_ts=event["ts"],
            text="Checked",
            blocks=[
                {"type": "header", "text": plain(f"{event['files'][0]['name']} is fine")},
                {"type": "table", "rows": cells},
            ],
        )
        client.files_upload_v2(
            filename="lengths.png",
            content=picture(),
            title="Lengths",
            channel=event["channel"],
            thread_ts=event["ts"],
        )

    @app.event({"type": "message", "subtype": None})
    def asked(event: dict[str, Any], client: WebClient) -> None:
        if event.get("thread_ts") and event["text"].endswith("?"):
            answer(stage, client, event)

    @app.event("file_shared")
    @app.event("message")
    def other() -> None:
        """Nothing to do."""

    @app.command("/finetune")
    def command(ack: Any, body: dict[str, Any], client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("start")
    def started(ack: Any, body: dict[str, Any], client: WebClient) -> None:
        values = body["view"]["state"]["values"]
        if values["name"]["it"]["value"] == "taken":
            ack(response_action="errors", errors={"name": "There is a run of this name."})
            return
        ack()
        stage.said.append(values)
        client.chat_postMessage(channel="C0FINETUNE1", text="run", blocks=run_card(1))
        client.chat_postEphemeral(channel="C0FINETUNE1", user=body["user"]["id"], text="It is queued.")

    @app.action("step")
    def step(ack: Any, body: dict[str, Any], client: WebClient) -> None:
        ack()
        client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="run", blocks=run_card(2))

    @app.action("cancel")
    def cancel(ack: Any, body: dict[str, Any], client: WebClient) -> None:
        ack()
        blocks = run_card(2, cancelled=True)
        client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="run", blocks=blocks)

    @app.action("feedback")
    def feedback(ack: Any, body: dict[str, Any]) -> None:
        ack()
        stage.said.append(body["actions"][0]["value"])

    @app.shortcut("note")
    def note(ack: Any, body: dict[str, Any]) -> None:
        ack()
        stage.said.append(body["message"]["text"])

    @app.event("app_home_opened")
    def home(event: dict[str, Any], client: WebClient) -> None:
        client.views_publish(
            user_id=event["user"], view={"type": "home", "blocks": [{"type": "header", "text": plain("Your runs")}]}
        )


def answer(stage: Stage, client: WebClient, event: dict[str, Any]) -> None:
    """Stream an answer; its second half waits until the test says so."""
    where = {"channel": event["channel"], "thread_ts": event["thread_ts"]}
    client.assistant_threads_setStatus(channel_id=event["channel"], thread_ts=event["thread_ts"], status="is thinking…")
    ts = client.chat_startStream(**where, recipient_user_id=event["user"], recipient_team_id=event["team"])["ts"]
    try:
        for number, piece in enumerate(PIECES):
            if number == 3:
                stage.go_on.wait(10)
            client.chat_appendStream(channel=event["channel"], ts=ts, markdown_text=piece)
        good, bad = {"text": plain("Good"), "value": "good"}, {"text": plain("Bad"), "value": "bad"}
        pair = {"type": "feedback_buttons", "action_id": "feedback", "positive_button": good, "negative_button": bad}
        blocks = [{"type": "context_actions", "elements": [pair]}]
        client.chat_stopStream(channel=event["channel"], ts=ts, blocks=blocks)
    except SlackApiError as error:
        stage.said.append(error.response["error"])


@pytest.fixture(scope="module")
def stage(
    connected: Callable[[Sandbox, App], AbstractContextManager[Any]], new_client: Callable[[Sandbox], WebClient]
) -> Iterator[Stage]:
    with Sandbox(shortcuts=SHORTCUTS) as sandbox:
        app = App(client=new_client(sandbox))
        stage = Stage(sandbox)
        listen(app, stage)
        with connected(sandbox, app):
            yield stage
            stage.go_on.set()


@pytest.fixture
def page(browser: Browser, stage: Stage) -> Iterator[Page]:
    """The page as Tuner sees it. No error may come to the console."""
    stage.said.clear()
    stage.go_on.clear()
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(8_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{stage.sandbox.url}/?user={Person(stage.sandbox.url, 'Tuner').id}")
    open_channel(page, "finetuning")
    expect(page.get_by_test_id("connection")).to_contain_text("online")
    yield page
    page.close()
    assert errors == []


def open_channel(page: Page, name: str) -> None:
    page.locator(f"[data-testid=channel][data-channel-name='{name}']").click()


def last(page: Page) -> Locator:
    return page.locator("#main [data-testid=message]").last


def write(page: Page, text: str) -> None:
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("composer").press("Enter")


def test_a_file_is_attached_and_its_report_read(page: Page) -> None:
    page.get_by_test_id("attach-input").set_input_files(
        {"name": "recipes.jsonl", "mimeType": "application/jsonl", "buffer": DATASET}
    )
    expect(page.get_by_test_id("chip")).to_contain_text("recipes.jsonl")
    write(page, "Our recipes <b>& more</b>")
    expect(last(page)).to_contain_text("Our recipes <b>& more</b>")
    expect(last(page).get_by_test_id("file")).to_contain_text("JSON lines")
    last(page).get_by_test_id("thread-bar").click()
    thread = page.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("recipes.jsonl is fine")
    expect(thread.locator("td")).to_have_text(["tokens", "12"])
    image = thread.get_by_test_id("image").locator("img")
    expect(image).to_have_js_property("naturalWidth", 240)
    image.click()
    expect(page.get_by_test_id("lightbox")).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        last(page).get_by_test_id("download").click()
    assert Path(download.value.path()).read_bytes() == DATASET


def test_a_command_opens_a_form_and_the_form_starts_a_run(page: Page, stage: Stage) -> None:
    page.get_by_test_id("composer").press_sequentially("/fine")
    expect(page.get_by_test_id("suggestion").first).to_contain_text("/finetune")
    write(page, "/finetune start")
    modal = page.get_by_test_id("modal")
    expect(modal.get_by_test_id("view-title")).to_have_text("Start a run")
    modal.get_by_test_id("view-submit").click()
    expect(modal.get_by_test_id("input-error").first).to_contain_text("required")
    name = modal.get_by_label("Name")
    name.fill("taken")
    modal.get_by_test_id("view-submit").click()
    expect(modal.get_by_test_id("input-error").first).to_contain_text("There is a run of this name.")
    name.fill("recipes-v1")
    modal.get_by_test_id("select-input").click()
    page.get_by_role("option", name="Large").click()
    modal.get_by_label("Evaluate").check()
    modal.get_by_test_id("view-submit").click()
    expect(modal).to_be_hidden()
    expect(last(page)).to_contain_text("It is queued.")
    expect(last(page)).to_contain_text("Only visible to you")
    values = stage.said[-1]
    assert values["base"]["it"]["selected_option"]["value"] == "large"
    assert [one["value"] for one in values["extras"]["it"]["selected_options"]] == ["evaluate"]


def test_a_card_changes_in_place_and_asks_before_the_worst(page: Page, stage: Stage, new_client: Any) -> None:
    client = new_client(stage.sandbox)
    ts = client.chat_postMessage(channel="C0FINETUNE1", text="run", blocks=run_card(1))["ts"]
    card = page.locator(f"#main [data-ts='{ts}']")
    card.get_by_role("button", name="Step").click()
    expect(card).to_contain_text("step 2 of 76")
    card.get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("confirm")).to_contain_text("The steps so far are lost.")
    page.get_by_test_id("confirm-no").click()
    expect(card).to_contain_text("step 2 of 76")
    card.get_by_role("button", name="Cancel").click()
    page.get_by_test_id("confirm-yes").click()
    expect(card).to_contain_text("was cancelled")


def ask(page: Page, stage: Stage, question: str) -> Locator:
    """Ask in a thread; returns the answer's message once it streams."""
    Person(stage.sandbox.url, "Ada").say("#finetuning", f"Ada begins {question}")
    expect(last(page)).to_contain_text(f"Ada begins {question}")
    last(page).hover()
    last(page).get_by_test_id("reply-in-thread").click()
    page.get_by_test_id("thread-composer").fill(question)
    page.get_by_test_id("thread-composer").press("Enter")
    streaming = page.locator("#thread [data-testid=message][data-streaming=true]")
    expect(streaming).to_contain_text("answer:")
    return page.locator("#thread [data-testid=message]").last


def test_an_answer_streams_and_is_judged(page: Page, stage: Stage) -> None:
    shown = ask(page, stage, "What goes in?")
    expect(shown.locator("strong", has_text="your")).to_be_visible()
    stage.go_on.set()
    expect(shown.locator("li")).to_have_text(["eggs", "flour", "milk"])
    shown.get_by_test_id("feedback").first.click()
    expect(shown.get_by_test_id("feedback").first).to_have_attribute("aria-pressed", "true")
    assert stage.said == ["good"]


def test_an_answer_is_stopped(page: Page, stage: Stage, eventually: Callable[..., None]) -> None:
    shown = ask(page, stage, "And then?")
    shown.get_by_test_id("stop-stream").click()
    expect(shown).to_have_attribute("data-streaming", "false")
    stage.go_on.set()
    eventually(lambda: stage.said == ["stopped_by_user"])
    expect(shown.locator("li")).to_have_count(0)


def test_shortcuts_reactions_home_and_the_raw_calls(page: Page, stage: Stage) -> None:
    write(page, "remember this")
    expect(last(page)).to_contain_text("remember this")
    last(page).hover()
    last(page).get_by_test_id("add-reaction").click()
    page.get_by_test_id("emoji").first.click()
    expect(last(page).get_by_test_id("reaction")).to_contain_text("1")
    last(page).hover()
    last(page).get_by_test_id("message-menu").click()
    page.get_by_role("menuitem", name="Note this").click()
    page.get_by_test_id("toggle-devpanel").click()
    expect(page.locator("[data-testid=call]").last).to_be_visible()
    assert stage.said == ["remember this"]
    page.get_by_test_id("close-devpanel").click()
    open_channel(page, "Finetune Bot")
    expect(page.get_by_test_id("home")).to_contain_text("Your runs")


def test_somebody_else_sees_something_else(page: Page) -> None:
    page.get_by_test_id("act-as").click()
    page.get_by_test_id("act-as-choice").filter(has_text="Gil").click()
    expect(page.get_by_test_id("act-as")).to_contain_text("Gil")
    expect(page.locator("[data-testid=channel][data-channel-name=general]")).to_have_count(0)
    expect(page.get_by_test_id("channel-title")).to_have_text("finetuning")

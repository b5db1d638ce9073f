"""Commands, forms, clicks and shortcuts, with a real Bolt app at the other end."""

import json
import queue
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

Json = dict[str, Any]
FINETUNING = "C0FINETUNE1"
SHORTCUTS = [
    {"callback_id": "anywhere", "name": "From anywhere", "type": "global"},
    {"callback_id": "on_message", "name": "On a message", "type": "message"},
]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": plain(value.title()), "value": value}


def field(block_id: str, element: Json, **more: Any) -> Json:
    element = {"action_id": "it", **element}
    return {"type": "input", "block_id": block_id, "label": plain(block_id), "element": element, **more}


FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Start"),
    "submit": plain("Next"),
    "private_metadata": "kept",
    "notify_on_close": True,
    "blocks": [
        field("name", {"type": "plain_text_input", "min_length": 2}),
        field("base", {"type": "static_select", "options": [option("small"), option("large")],
                       "initial_option": option("small")}),
        field("epochs", {"type": "number_input", "is_decimal_allowed": False, "min_value": "1", "initial_value": "3"}),
        field("extras", {"type": "checkboxes", "options": [option("eval"), option("share")]}, optional=True),
        field("whom", {"type": "users_select"}, optional=True),
        field("found", {"type": "external_select", "min_query_length": 0}, optional=True),
        {"type": "actions", "block_id": "row", "elements": [
            {"type": "static_select", "action_id": "preset", "options": [option("fast"), option("good")]}]},
    ],
}  # fmt: skip
CONFIRM = {"type": "modal", "callback_id": "confirm", "title": plain("Sure?"), "submit": plain("Start"),
           "blocks": [{"type": "divider"}]}  # fmt: skip
BUTTONS = [
    {"type": "actions", "elements": [
        {"type": "button", "action_id": "go", "value": "12", "text": plain("Go")},
        {"type": "overflow", "action_id": "more", "options": [option("copy"), option("delete")]}]}
]  # fmt: skip


class Stage:
    """The workspace, a person, and the bot that notes what it is told."""

    def __init__(self, sandbox: Sandbox, app: App) -> None:
        self.sandbox = sandbox
        self.client = app.client
        self.tuner = Person(sandbox.url, "Tuner")
        self.told: queue.Queue[Json] = queue.Queue()

    def heard(self) -> Json:
        return self.told.get(timeout=5)

    def forget(self) -> None:
        while not self.told.empty():
            self.told.get()

    def view(self) -> Json:
        until = time.monotonic() + 5
        while not (views := self.tuner.state()["views"]):
            assert time.monotonic() < until
            time.sleep(0.02)
        return dict(views[-1])

    def form(self) -> Json:
        for view in reversed(self.tuner.state()["views"]):
            self.tuner.close(view)
        self.forget()
        assert self.tuner.command("#finetuning", "/finetune", "form")["ok"]
        return self.view()

    def card(self) -> Json:
        self.client.chat_postMessage(channel=FINETUNING, text="card", blocks=BUTTONS)
        return dict(self.tuner.messages("#finetuning")[-1])


@pytest.fixture(scope="module")
def stage(connected, new_client) -> Iterator[Stage]:
    with Sandbox(shortcuts=SHORTCUTS, trigger_seconds=0.5, ack_seconds=1.0) as sandbox:
        app = App(client=new_client(sandbox))
        stage = Stage(sandbox, app)
        listen_to_forms(app, stage)
        listen_to_the_rest(app, stage)
        with connected(sandbox, app):
            yield stage


@pytest.fixture(autouse=True)
def _nothing_left(stage: Stage) -> None:
    stage.forget()


def listen_to_forms(app: App, stage: Stage) -> None:
    @app.command("/finetune")
    def command(ack, body, client, respond):
        if body["text"] == "late":
            time.sleep(1.2)
            ack()
            return
        if body["text"] == "form":
            ack()
            client.views_open(trigger_id=body["trigger_id"], view=FORM)
            return
        if body["text"] == "respond":
            ack()
            respond("later", response_type="in_channel")
            return
        stage.told.put(body)
        ack(text=f"heard {body['text']}")

    @app.view("form")
    def submitted(ack, body):
        stage.told.put(body)
        values = body["view"]["state"]["values"]
        match values["name"]["it"]["value"]:
            case "taken":
                ack(response_action="errors", errors={"name": "There is one already."})
            case "update":
                ack(response_action="update", view={**FORM, "title": plain("Again")})
            case "nonsense":
                ack(response_action="errors", errors={"nowhere": "?"})
            case "silent":
                return
            case _:
                ack(response_action="push", view=CONFIRM)

    @app.view("confirm")
    def confirmed(ack):
        ack(response_action="clear")

    @app.view_closed("form")
    def closed(ack, body):
        stage.told.put(body)
        ack()


def listen_to_the_rest(app: App, stage: Stage) -> None:
    @app.action({"type": "block_actions", "action_id": "preset"})
    @app.action("go")
    @app.action("more")
    @app.action("feedback")
    def acted(ack, body):
        stage.told.put(body)
        ack()

    @app.options("it")
    def options(ack, payload):
        ack(options=[option(f"{payload['value']}-1")])

    @app.shortcut("anywhere")
    @app.shortcut("on_message")
    def shortcut(ack, body):
        stage.told.put(body)
        ack()

    @app.event("message")
    def message():
        pass

    @app.event("app_home_opened")
    def home(event, client):
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [*BUTTONS, FORM["blocks"][-1]]})


def test_a_command_is_answered_for_the_person_only(stage: Stage) -> None:
    answer = stage.tuner.command("#finetuning", "/finetune", "status <now>")
    assert answer["ok"]
    assert answer["ack_seconds"] < 1
    last = stage.tuner.messages("#finetuning")[-1]
    assert (last["text"], last["ephemeral"]) == ("heard status <now>", True)
    body = stage.heard()
    assert (body["user_name"], body["channel_name"], body["command"]) == ("tuner", "finetuning", "/finetune")


def test_commands_slack_refuses(stage: Stage) -> None:
    root = stage.tuner.say("#finetuning", "root")
    assert "threads" in stage.tuner.command("#finetuning", "/finetune", "x", thread_ts=root)["error"]
    assert "not a valid command" in stage.tuner.command("#finetuning", "/dance")["error"]


def test_a_late_ack_is_a_timeout(stage: Stage) -> None:
    answer = stage.tuner.command("#finetuning", "/finetune", "late")
    assert answer["error"] == '/finetune failed with the error "operation_timeout"'


def test_a_response_url_answers_in_the_channel(stage: Stage) -> None:
    stage.tuner.command("#finetuning", "/finetune", "respond")
    until = time.monotonic() + 5
    while stage.tuner.messages("#finetuning")[-1]["text"] != "later":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "ephemeral" not in stage.tuner.messages("#finetuning")[-1]


def test_a_response_url_is_good_for_five_times(stage: Stage) -> None:
    stage.tuner.click(stage.card(), "go")
    url = stage.heard()["response_url"]

    def use(**body: Any) -> int:
        headers = {"Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert [use(text=f"{n}") for n in range(3)] == [200] * 3
    assert use(text="edited", replace_original=True) == 200
    assert "edited" in [one["text"] for one in stage.tuner.messages("#finetuning")]
    assert use(delete_original=True) == 200
    assert "edited" not in [one["text"] for one in stage.tuner.messages("#finetuning")]
    assert use(text="once more") == 404


def test_a_click_tells_what_was_clicked_and_where(stage: Stage) -> None:
    card = stage.card()
    assert stage.tuner.click(card, "go")["ok"]
    body = stage.heard()
    action = body["actions"][0]
    assert (action["type"], action["value"], action["block_id"]) == ("button", "12", card["blocks"][0]["block_id"])
    assert (body["container"]["message_ts"], body["message"]["ts"]) == (card["ts"], card["ts"])
    stage.tuner.click(card, "more", selected_option="delete")
    assert stage.heard()["actions"][0]["selected_option"]["value"] == "delete"
    assert stage.tuner.click(card, "more", selected_option="burn")["error"] == "invalid_option"
    assert stage.tuner.click(card, "nowhere")["error"] == "action_not_found"


def test_a_form_that_is_filled_in(stage: Stage) -> None:
    form = stage.form()
    filled = {"name": "recipes", "base": "large", "extras": ["eval"], "whom": stage.tuner.id, "epochs": "2"}
    answer = stage.tuner.submit(form, filled)
    assert answer["view"]["callback_id"] == "confirm"
    body = stage.heard()
    values = {
        block_id: actions["it"] for block_id, actions in body["view"]["state"]["values"].items() if block_id != "row"
    }
    assert values["name"] == {"type": "plain_text_input", "value": "recipes"}
    assert values["base"]["selected_option"] == option("large")
    assert values["epochs"]["value"] == "2"
    assert [one["value"] for one in values["extras"]["selected_options"]] == ["eval"]
    assert values["whom"]["selected_user"] == stage.tuner.id
    assert body["view"]["private_metadata"] == "kept"
    assert len(stage.tuner.state()["views"]) == 2
    assert stage.tuner.submit(answer["view"], {})["closed"]
    assert stage.tuner.state()["views"] == []


def test_initial_values_and_what_the_client_checks(stage: Stage) -> None:
    form = stage.form()
    problems = stage.tuner.submit(form, {"epochs": "1.5", "base": "huge"})["errors"]
    assert set(problems) == {"name", "epochs", "base"}
    assert "At least 2" in stage.tuner.submit(form, {"name": "x"})["errors"]["name"]
    assert stage.told.empty()
    stage.tuner.submit(form, {"name": "xy", "epochs": "3", "base": "small"})
    assert stage.heard()["view"]["state"]["values"]["base"]["it"]["selected_option"]["value"] == "small"


def test_what_a_bot_may_answer_to_a_form(stage: Stage) -> None:
    form = stage.form()
    assert stage.tuner.submit(form, {"name": "taken"})["errors"] == {"name": "There is one already."}
    assert stage.tuner.submit(form, {"name": "update"})["view"]["title"]["text"] == "Again"
    assert stage.tuner.submit(form, {"name": "nonsense"})["error"] == "invalid_arguments"
    answer = stage.tuner.submit(form, {"name": "silent"})
    assert (answer["ok"], answer["error"]) == (False, "operation_timeout")
    assert stage.view()["id"] == form["id"]


def test_closing_a_form_is_told(stage: Stage) -> None:
    stage.tuner.close(stage.form())
    assert stage.heard()["type"] == "view_closed"
    assert stage.tuner.state()["views"] == []


def test_a_click_in_a_form_carries_what_was_filled_in(stage: Stage) -> None:
    form = stage.form()
    stage.tuner.click(form, "preset", selected_option="good", values={"name": {"it": "so far"}})
    body = stage.heard()
    assert body["container"] == {"type": "view", "view_id": form["id"]}
    state = body["view"]["state"]["values"]
    assert state["name"]["it"]["value"] == "so far"
    assert state["row"]["preset"]["selected_option"]["value"] == "good"


def test_views_are_updated_by_hash(stage: Stage) -> None:
    form = stage.form()
    update = stage.client.views_update
    updated = update(view_id=form["id"], hash=form["hash"], view=FORM)["view"]
    assert updated["hash"] != form["hash"]
    with pytest.raises(SlackApiError, match="hash_conflict"):
        update(view_id=form["id"], hash=form["hash"], view=FORM)
    with pytest.raises(SlackApiError, match="not_found"):
        update(view_id="V0NOWHERE", view=FORM)


def test_a_trigger_opens_one_form_and_soon(stage: Stage) -> None:
    stage.tuner.click(stage.card(), "go")
    trigger_id = stage.heard()["trigger_id"]
    stage.client.views_open(trigger_id=trigger_id, view=CONFIRM)
    with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
        stage.client.views_open(trigger_id=trigger_id, view=CONFIRM)
    stage.tuner.click(stage.card(), "go")
    trigger_id = stage.heard()["trigger_id"]
    time.sleep(0.6)
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        stage.client.views_open(trigger_id=trigger_id, view=CONFIRM)
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):
        stage.client.views_open(trigger_id="1.2.3", view=CONFIRM)


def test_three_forms_upon_one_another(stage: Stage) -> None:
    stage.form()
    for _ in range(2):
        stage.tuner.click(stage.card(), "go")
        stage.client.views_push(trigger_id=stage.heard()["trigger_id"], view=CONFIRM)
    stage.tuner.click(stage.card(), "go")
    with pytest.raises(SlackApiError, match="push_limit_reached"):
        stage.client.views_push(trigger_id=stage.heard()["trigger_id"], view=CONFIRM)
    views = stage.tuner.state()["views"]
    assert [one["previous_view_id"] for one in views] == [None, views[0]["id"], views[1]["id"]]


def test_views_slack_would_not_open(stage: Stage) -> None:
    stage.tuner.click(stage.card(), "go")
    without_submit = {name: value for name, value in FORM.items() if name != "submit"}
    with pytest.raises(SlackApiError) as caught:
        stage.client.views_open(trigger_id=stage.heard()["trigger_id"], view=without_submit)
    assert caught.value.response["error"] == "invalid_arguments"
    assert "/submit" in caught.value.response["response_metadata"]["messages"][0]


def test_the_home_tab(stage: Stage) -> None:
    stage.tuner.home()
    until = time.monotonic() + 5
    while (home := stage.tuner.state()["home"]) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    stage.tuner.click(home, "go")
    body = stage.heard()
    assert (body["view"]["type"], body["container"]["type"]) == ("home", "view")


def test_shortcuts(stage: Stage) -> None:
    stage.tuner.shortcut("anywhere")
    assert stage.heard()["type"] == "shortcut"
    stage.tuner.say("#finetuning", "this one")
    stage.tuner.shortcut("on_message", stage.tuner.messages("#finetuning")[-1])
    body = stage.heard()
    assert (body["type"], body["message"]["text"]) == ("message_action", "this one")


def test_suggestions(stage: Stage) -> None:
    form = stage.form()
    offered = stage.tuner.options(form, "it", "ab", block_id="found")["options"]
    assert offered[0]["value"] == "ab-1"
    stage.tuner.submit(form, {"name": "recipes", "found": "ab-1"})
    assert stage.heard()["view"]["state"]["values"]["found"]["it"]["selected_option"]["text"]["text"] == "Ab-1"

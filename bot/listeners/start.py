"""Starting a run: the form opens at once, is filled, checked, confirmed, and becomes a run."""

import time
import uuid
from typing import Any

import structlog
from slack_bolt import Ack, App, BoltContext
from slack_sdk.errors import SlackApiError

from bot.blocks import start_form
from bot.blocks.elements import Block
from bot.middleware import Desk
from providers.capabilities import CAPABILITIES
from workers import inbound
from workers.errors import InvalidPlan, UserError
from workers.rights import Actor
from workers.runs import cost, counting, leaks, lifecycle, plan
from workers.runs.choices import Choices
from workers.runs.leaks import Leaks
from workers.tables import Dataset

FIELDS = frozenset(
    {
        *("dataset_id", "test_dataset_id", "validation_dataset_id", "name", "goal", "provider", "base_model"),
        *(knob.name for known in CAPABILITIES.values() for knob in known.knobs),
    }
)
"""The form's blocks; a problem with anything else is shown at the first."""

log = structlog.get_logger()

NO_LEAKS = Leaks()
OPENING_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long Slack is given to open a window; whoever has closed it by then does not want it."""
MOST_ELSEWHERE = 2
"""Providers that are not set up are named in the plan with what they would ask; so many."""


def open_form(desk: Desk, actor: Actor, trigger_id: str, *, dataset_id: int | None = None) -> None:
    """Open the form: a view at once, while Slack's trigger lives, then what is known. Call it after the ack."""
    opened = desk.client.views_open(trigger_id=trigger_id, view=start_form.loading())
    try:
        with desk.context.db.read() as session:
            form = plan.propose(session, desk.context.settings, actor, dataset_id=dataset_id)
        view = start_form.draw(form, actor.channel_id)
    except UserError as error:
        view = start_form.nothing([error.user_message])
    desk.client.views_update(view_id=opened["view"]["id"], view=view)


def register(app: App, desk: Desk) -> None:
    """Listen to the form and to its confirmation."""

    @app.view("start_form")
    def filled_in(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        view = body["view"]
        channel_id, _ = start_form.opened(view)
        actor = desk.people.actor(context, channel_id)
        window = f"plan-{uuid.uuid4().hex}"
        try:
            choices = start_form.read(view["state"]["values"], Choices(dataset_id=0))
            _check(desk, actor, choices)
            compares = choices.test_dataset_id is not None or choices.validation_dataset_id is not None
            drawn = start_form.comparing(window) if compares else _confirmation(desk, actor, choices, channel_id)
        except InvalidPlan as error:
            ack(response_action="errors", errors=_by_block(error))
            return
        ack(response_action="push", view=drawn)
        if compares:
            _show(desk, window, _compared(desk, actor, choices, channel_id))

    @app.view("confirm_start")
    def confirmed(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        view = body["view"]
        channel_id, carried = start_form.opened(view)
        actor = desk.people.actor(context, channel_id)
        try:
            with desk.context.db.write() as session:
                inbound.first_time(session, actor.team_id, f"view:{view['id']}")
                request_key = f"{actor.team_id}:{view['id']}"
                choices = Choices.from_json(carried)
                counted = start_form.counted(view)
                lifecycle.start(session, desk.context.settings, actor, choices, request_key, counted=counted)
        except InvalidPlan as error:  # something has changed since the form was filled in
            ack(response_action="update", view=start_form.nothing([*error.problems.values(), "Start again, please."]))
        else:
            ack(response_action="clear")


def _check(desk: Desk, actor: Actor, choices: Choices) -> tuple[Dataset, Dataset | None]:
    """The datasets to learn from and to test on. Raises InvalidPlan."""
    with desk.context.db.read() as session:
        return plan.checked(session, desk.context.settings, actor, choices)


def _confirmation(desk: Desk, actor: Actor, choices: Choices, channel_id: str, leaked: Leaks = NO_LEAKS) -> Block:
    dataset, test = _check(desk, actor, choices)
    counted = counting.recount(desk.context, choices)
    with desk.context.db.read() as session:
        estimate = cost.estimate(session, desk.context.settings, choices, counted=counted)
    offers = cost.by_provider(dataset.report, epochs=estimate.epochs)
    elsewhere = [one for one in offers if one.fits and not one.set_up][:MOST_ELSEWHERE]
    return start_form.confirmation(
        choices, estimate, dataset, test, channel_id, leaks=leaked, elsewhere=elsewhere, counted=counted
    )


def _compared(desk: Desk, actor: Actor, choices: Choices, channel_id: str) -> Block:
    """The confirmation, with what of the test was also learnt from; or why it is no test."""
    try:
        return _confirmation(desk, actor, choices, channel_id, leaks.look(desk.context, choices))
    except InvalidPlan as error:
        return start_form.nothing([*error.problems.values(), "Go back and choose another."])
    except UserError as error:
        return start_form.nothing([error.user_message])


def _show(desk: Desk, window: str, view: Block) -> None:
    """Fill the window that an ack has just asked for, which Slack may not have opened yet."""
    for pause in OPENING_SECONDS:
        try:
            desk.client.views_update(external_id=window, view=view)
            return
        except SlackApiError as error:
            if error.response.get("error") != "not_found":
                raise
            time.sleep(pause)
    log.info("window_was_closed", window=window)


def _by_block(error: InvalidPlan) -> dict[str, str]:
    return {name if name in FIELDS else "dataset_id": problem for name, problem in error.problems.items()}


def open_if_alive(desk: Desk, actor: Actor, trigger_id: str, dataset_id: int | None) -> None:
    """Open the form from a click; a click that Slack gave up on opens nothing."""
    try:
        open_form(desk, actor, trigger_id, dataset_id=dataset_id)
    except SlackApiError as error:
        if error.response.get("error") not in {"expired_trigger_id", "exchanged_trigger_id", "trigger_exchanged"}:
            raise
        raise UserError("That took too long for Slack. Click again, please.") from error

"""Starting a run: the form opens at once, is filled, drawn anew, checked, confirmed, and becomes a run."""

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt import Ack, App, BoltContext
from slack_sdk.errors import SlackApiError
from sqlmodel import Session

from bot.blocks import start_form, start_plan, start_settings, start_values
from bot.blocks.elements import Block
from bot.middleware import Desk, after_ack
from workers import inbound, job_files
from workers.errors import InvalidPlan, UserError
from workers.plans import cost, drafts, memory, methods, offered, plan, proposal
from workers.plans.choices import Choices
from workers.plans.proposal import StartForm
from workers.rights import Actor, Verb, allowed
from workers.runs import counting, leaks, lifecycle, rehearsal, rehome
from workers.runs.leaks import Leaks
from workers.tables import Dataset

log = structlog.get_logger()

NO_LEAKS = Leaks()
OPENING_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long Slack is given to open a window; whoever has closed it by then does not want it."""
MOST_NOTES = 10
"""Lines of the plan about what became of another run's plan, or of a job file's."""
MOST_ELSEWHERE = 2
"""Providers that are not set up are named in the plan with what they would ask; so many."""
Body = dict[str, Any]


def open_form(
    desk: Desk, actor: Actor, trigger_id: str, *, dataset_id: int | None = None, choices: Choices | None = None
) -> None:
    """Open the form: a view at once, while Slack's trigger lives, then what is known. Call it after the ack.

    It is filled in around `choices` (of a job file, or of a run that is repeated elsewhere), else around the dataset.
    """
    opened = desk.client.views_open(trigger_id=trigger_id, view=start_form.loading())
    try:
        with desk.context.db.read() as session:
            form = plan.propose(session, desk.context.settings, actor, dataset_id=dataset_id, choices=choices)
        view = _drawn(desk, actor, form, actor.channel_id)
    except UserError as error:
        view = start_form.nothing([error.user_message])
    desk.client.views_update(view_id=opened["view"]["id"], view=view)


def register(app: App, desk: Desk) -> None:
    """Listen to the form, to what changes in it, and to its confirmation."""
    _register_form(app, desk)

    @app.action(re.compile(f"^{start_form.REDRAW}"))
    def changed(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        with after_ack(desk, body, context):
            _redraw(desk, desk.people.actor(context, start_form.opened(body["view"])[0]), body["view"])

    @app.action(re.compile(f"^{start_form.INSTEAD}_"))
    def instead(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        with after_ack(desk, body, context):
            channel_id, draft, advanced = start_form.opened(body["view"])
            actor = desk.people.actor(context, channel_id)
            known, provider = _known(desk, actor, draft), str(body["actions"][0].get("value") or "")
            with desk.context.db.read() as session:
                form = plan.redrawn(session, desk.context.settings, actor, known, provider)
            view = _drawn(desk, actor, form, channel_id, draft=draft, advanced=advanced)
            desk.client.views_update(view_id=body["view"]["id"], view=view)

    @app.action(start_settings.ADVANCED)
    def toggled(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        with after_ack(desk, body, context):
            advanced = body["actions"][0].get("value") == "show"
            actor = desk.people.actor(context, start_form.opened(body["view"])[0])
            _redraw(desk, actor, body["view"], advanced=advanced)


def _register_form(app: App, desk: Desk) -> None:
    @app.view("start_form")
    def filled_in(ack: Ack, body: Body, context: BoltContext) -> None:
        view = body["view"]
        channel_id, draft, advanced = start_form.opened(view)
        actor = desk.people.actor(context, channel_id)
        window = f"plan-{uuid.uuid4().hex}"
        try:
            known = _known(desk, actor, draft)
            if _is_behind(desk, view, known):
                ack(response_action="update", view={**start_form.loading(), "external_id": window})
                with after_ack(desk, body, context):  # an RFT dataset may have to be read for it
                    redrawn = _redrawn(desk, actor, view, advanced=advanced)
                    _show(desk, window, redrawn, view["id"])
                return
            choices = start_values.read(view["state"]["values"], known)
            _check(desk, actor, choices)
            compares = choices.test_dataset_id is not None or choices.validation_dataset_id is not None
            drawn = start_plan.comparing(window) if compares else _confirmation(desk, actor, choices, channel_id)
        except InvalidPlan as error:
            ack(response_action="errors", errors=start_values.by_block(error, view, choices=known))
            return
        except UserError as error:
            ack(response_action="update", view=start_form.nothing([error.user_message]))
            return
        ack(response_action="push", view=drawn)
        if compares:
            _show(desk, window, _compared(desk, actor, choices, channel_id))

    @app.view("confirm_start")
    def confirmed(ack: Ack, body: Body, context: BoltContext) -> None:
        view = body["view"]
        channel_id, draft, _ = start_form.opened(view)
        actor = desk.people.actor(context, channel_id)
        tries = start_plan.tries_anyway(view)
        if tries is False:
            ack(response_action="errors", errors={start_plan.TRY_ANYWAY: start_plan.MUST_AGREE})
            return
        try:
            with desk.context.db.write() as session:
                inbound.first_time(session, actor.team_id, f"view:{view['id']}")
                request_key = f"{actor.team_id}:{view['id']}"
                choices = replace(drafts.find(session, actor, draft), try_anyway=bool(tries))
                counted = start_plan.counted(view)
                run = lifecycle.start(session, desk.context.settings, actor, choices, request_key, counted=counted)
                rehome.note(session, actor, run, choices)
        except InvalidPlan as error:  # something has changed since the form was filled in
            ack(response_action="update", view=start_form.nothing([*error.problems.values(), "Start again, please."]))
        else:
            ack(response_action="clear")


def _notes(session: Session, actor: Actor, choices: Choices) -> list[str]:
    """What became of another run's plan, or of a job file's."""
    return [*rehome.notes(session, actor, choices), *job_files.notes(session, actor, choices)]


def _known(desk: Desk, actor: Actor, draft: int) -> Choices:
    """The choices that the form was last drawn with. Raises NotFound."""
    with desk.context.db.read() as session:
        return drafts.find(session, actor, draft)


def _is_behind(desk: Desk, view: Mapping[str, Any], known: Choices) -> bool:
    """Whether the form was sent before it could be drawn anew for another provider or another kind of dataset."""
    values = view["state"]["values"]
    typed = start_values.read_what_can_be(values, known)
    if start_values.provider(values, known) != known.provider:
        return True
    with desk.context.db.read() as session:
        chosen = session.get(Dataset, typed.dataset_id)
    other = known.method not in methods.of_dataset(chosen) or typed.method != known.method
    return chosen is not None and other


def _redraw(desk: Desk, actor: Actor, view: Mapping[str, Any], *, advanced: bool | None = None) -> None:
    shown = start_form.opened(view)[2] if advanced is None else advanced
    desk.client.views_update(view_id=view["id"], view=_redrawn(desk, actor, view, advanced=shown))


def _redrawn(desk: Desk, actor: Actor, view: Mapping[str, Any], *, advanced: bool) -> Block:
    """The form as it is after a change; what was typed is kept."""
    channel_id, draft, _ = start_form.opened(view)
    known = _known(desk, actor, draft)
    values = view["state"]["values"]
    typed = start_values.read_what_can_be(values, known)
    if typed.dataset_id != known.dataset_id:  # its fields are others
        typed = replace(typed, options={name: one for name, one in typed.options.items() if name != "grader"})
    with desk.context.db.read() as session:
        typed = proposal.with_preset(session, desk.context.settings, typed, known, start_values.preset(values))
        form = plan.redrawn(session, desk.context.settings, actor, typed, start_values.provider(values, known))
    return _drawn(desk, actor, form, channel_id, draft=draft, advanced=advanced)


def _drawn(
    desk: Desk, actor: Actor, form: StartForm, channel_id: str, *, draft: int = 0, advanced: bool = False
) -> Block:
    """The form as a view; what it says is kept for when it comes back."""
    choices = form.choices
    if choices is None:
        return start_form.draw(form, channel_id)
    choices = rehearsal.with_grader(desk.context, choices)
    with desk.context.db.write() as session:
        if draft:
            drafts.change(session, actor, draft, choices)
        else:
            draft = drafts.keep(session, actor, choices)
        notes = _notes(session, actor, choices)
    shown = replace(form, choices=choices, notes=[*form.notes, *notes])
    return start_form.draw(shown, channel_id, draft=draft, advanced=advanced)


def _check(desk: Desk, actor: Actor, choices: Choices) -> tuple[Dataset, Dataset | None]:
    """The datasets to learn from and to test on. An admin is asked later about what has closed. Raises InvalidPlan."""
    with desk.context.db.read() as session:
        return plan.checked(session, desk.context.settings, actor, replace(choices, try_anyway=True))


def _confirmation(desk: Desk, actor: Actor, choices: Choices, channel_id: str, leaked: Leaks = NO_LEAKS) -> Block:
    dataset, test = _check(desk, actor, choices)
    counted = counting.recount(desk.context, choices)
    rehearsed = rehearsal.rehearse(desk.context, choices)
    settings = desk.context.settings
    with desk.context.db.write() as session:
        estimate = cost.estimate(session, settings, choices, counted=counted)
        offers = offered.of(session, settings, actor.team_id, dataset)
        fit = memory.fit(session, settings, choices, dataset)
        draft = drafts.keep(session, actor, choices)
        notes = start_form.shortened(_notes(session, actor, choices), MOST_NOTES)
        may_try = allowed(session, actor, Verb.ADMINISTER)
    ending = offers.notices(choices.provider, choices.base_model)
    others = cost.by_provider(dataset.report, epochs=estimate.epochs, set_up=offers.usable)
    there = [one for one in others if one.fits and not one.set_up and not offers.closed(one.provider, one.model)]
    assert may_try or not any(one.closed for one in ending)  # else the check has refused it
    return start_plan.confirmation(
        choices,
        estimate,
        dataset,
        test,
        channel_id,
        draft=draft,
        leaks=leaked,
        elsewhere=there[:MOST_ELSEWHERE],
        counted=counted,
        warnings=[
            *offers.doubts(choices.provider, choices.base_model),
            rehearsed.words(choices.provider),
            plan.unwatched(choices, estimate),
            fit.problem if fit else "",
        ],
        memory=fit.words if fit else "",
        notes=notes,
        ending=ending,
        tiers=offers.tiers(choices.provider, choices.base_model, estimate.billed_tokens),
    )


def _compared(desk: Desk, actor: Actor, choices: Choices, channel_id: str) -> Block:
    """The confirmation, with what of the test was also learnt from; or why it is no test."""
    try:
        return _confirmation(desk, actor, choices, channel_id, leaks.look(desk.context, choices))
    except InvalidPlan as error:
        return start_form.nothing([*error.problems.values(), "Go back and choose another."])
    except UserError as error:
        return start_form.nothing([error.user_message])


def _show(desk: Desk, window: str, view: Block, view_id: str = "") -> None:
    """Fill the window that an ack has just asked for, which Slack may not have opened yet.

    `view_id`: of the view that the ack has changed, should Slack not know it by its new name.
    """
    for pause in OPENING_SECONDS:
        try:
            desk.client.views_update(external_id=window, view=view)
            return
        except SlackApiError as error:
            if error.response.get("error") != "not_found":
                raise
            time.sleep(pause)
    log.info("window_was_closed", window=window)
    if view_id:
        desk.client.views_update(view_id=view_id, view=view)


def open_if_alive(
    desk: Desk, actor: Actor, trigger_id: str, dataset_id: int | None, *, choices: Choices | None = None
) -> None:
    """Open the form from a click; a click that Slack gave up on opens nothing."""
    try:
        open_form(desk, actor, trigger_id, dataset_id=dataset_id, choices=choices)
    except SlackApiError as error:
        if error.response.get("error") not in {"expired_trigger_id", "exchanged_trigger_id", "trigger_exchanged"}:
            raise
        raise UserError("That took too long for Slack. Click again, please.") from error

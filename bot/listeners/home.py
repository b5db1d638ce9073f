"""The app's home tab: drawn anew whenever somebody opens it."""

from typing import Any

from slack_bolt import App, BoltContext

from bot.blocks import home
from bot.middleware import Desk
from workers import datasets, hosting
from workers.runs import lifecycle


def register(app: App, desk: Desk) -> None:
    """Listen to the tab."""

    @app.event("app_home_opened")
    def opened(event: dict[str, Any], context: BoltContext) -> None:
        if event.get("tab") == "messages":
            return
        publish(desk, context)


def publish(desk: Desk, context: BoltContext) -> None:
    """Draw the person's tab as things are now."""
    actor = desk.people.actor(context, "")
    with desk.context.db.read() as session:
        endpoints = hosting.shown(session, actor)
        tiers = {one.id or 0: hosting.longer_tier(session, hosted) for one, hosted in endpoints if hosted is not None}
        view = home.draw(
            lifecycle.visible(session, actor, limit=10),
            datasets.visible(session, actor),
            endpoints,
            {endpoint_id: tier for endpoint_id, tier in tiers.items() if tier is not None},
            {one.id or 0: hosting.owed_by(session, one) for one, _ in endpoints},
        )
    desk.client.views_publish(user_id=actor.user_id, view=view)

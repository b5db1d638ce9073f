"""The app's home tab: drawn anew whenever somebody opens it."""

from typing import Any

from slack_bolt import App, BoltContext

from bot.blocks import home
from bot.middleware import Desk
from workers import datasets
from workers.runs import lifecycle


def register(app: App, desk: Desk) -> None:
    """Listen to the tab."""

    @app.event("app_home_opened")
    def opened(event: dict[str, Any], context: BoltContext) -> None:
        if event.get("tab") == "messages":
            return
        actor = desk.people.actor(context, "")
        with desk.context.db.read() as session:
            view = home.draw(lifecycle.visible(session, actor, limit=10), datasets.visible(session, actor))
        desk.client.views_publish(user_id=actor.user_id, view=view)

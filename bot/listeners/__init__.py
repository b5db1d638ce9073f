"""What people do in Slack. Each listener records what arrived, acks, calls the domain, and replies.

Whatever could not be recorded is not acked. Rights are asked on every command and again on every click.
"""

from slack_bolt import App

from bot.listeners import (
    actions,
    command,
    consent,
    credentials,
    datasets,
    files,
    home,
    hosting,
    job_files,
    models,
    rehome,
    shortcuts,
    start,
    threads,
)
from bot.middleware import Desk


def register(app: App, desk: Desk) -> None:
    """Register them all; the first that knows an event takes it."""
    for module in (
        command,
        start,
        actions,
        datasets,
        credentials,
        consent,
        hosting,
        job_files,
        models,
        rehome,
        files,
        threads,
        home,
        shortcuts,
    ):
        module.register(app, desk)

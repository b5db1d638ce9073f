"""The Slack clients of a process: polite about rates, and never sending a call twice by themselves."""

from functools import lru_cache

from slack_sdk import WebClient
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.settings import SlackSettings

TIMEOUT_SECONDS = 20
TIMEOUT_BEFORE_ACK_SECONDS = 2
"""A call that Slack's three seconds depend on gives up sooner."""
TIMEOUT_AFTER_ACK_SECONDS = 10
"""A listener that waits for Slack keeps a thread from acking others."""


def build(slack: SlackSettings, *, wait_when_limited: bool = True, timeout: int = TIMEOUT_SECONDS) -> WebClient:
    """A client. `wait_when_limited`: sleep as long as Slack asks, at most twice a call; else raise at once.

    A broken connection is always raised: the call may have been carried out, and posting again would double it.
    """
    return WebClient(
        token=slack.bot_token.get_secret_value(),
        base_url=slack.api_url,
        timeout=timeout,
        retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)] if wait_when_limited else [],
    )


@lru_cache(maxsize=1)
def of_this_process() -> tuple[SlackSettings, WebClient]:
    """The settings and the client of a process that carries out tasks, made when the first one needs them."""
    slack = SlackSettings()
    return slack, build(slack)

"""The one Slack client of a process: polite about rates, patient with the network."""

from slack_sdk import WebClient
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler

from bot.settings import SlackSettings

TIMEOUT_SECONDS = 20


def build(slack: SlackSettings, *, wait_when_limited: bool = True) -> WebClient:
    """A client. `wait_when_limited`: sleep as long as Slack asks, at most twice a call; else raise at once."""
    handlers = [ConnectionErrorRetryHandler(max_retry_count=1)]
    client = WebClient(
        token=slack.bot_token.get_secret_value(),
        base_url=slack.api_url,
        timeout=TIMEOUT_SECONDS,
        retry_handlers=handlers,  # type: ignore[arg-type]
    )
    if wait_when_limited:
        client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    return client

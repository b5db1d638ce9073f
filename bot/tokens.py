"""Whether Slack takes this installation's tokens: asked before anything starts, and by the doctor."""

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.settings import SlackSettings
from workers.errors import SetupProblem

TIMEOUT_SECONDS = 10
NO_BOT_TOKEN = "SLACK_BOT_TOKEN is not set, other Slack tokens are. Set it too, or none for the local workspace."  # noqa: S105 -- words
NO_WAY_IN = "Set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (signed HTTP)."


def missing(slack: SlackSettings) -> str:
    """What must be set besides what is; empty if nothing must."""
    app_token, signing_secret = slack.app_token.get_secret_value(), slack.signing_secret.get_secret_value()
    if slack.mode == "sandbox":
        return NO_BOT_TOKEN if app_token or signing_secret else ""
    return NO_WAY_IN if slack.mode == "http" and not signing_secret else ""


def check(slack: SlackSettings) -> None:
    """Ask Slack about every token that is set. Raises SetupProblem with what to do."""
    if problem := missing(slack):
        raise SetupProblem(problem)
    if slack.mode != "sandbox":
        who(slack)
        way_in(slack)


def who(slack: SlackSettings) -> str:
    """Whose the bot token is. Raises SetupProblem."""
    page = "Copy it again from the app's page, under OAuth & Permissions."
    client = WebClient(slack.bot_token.get_secret_value(), base_url=slack.api_url, timeout=TIMEOUT_SECONDS)
    try:
        answer = client.auth_test()
    except (SlackClientError, OSError) as error:
        raise _refused("SLACK_BOT_TOKEN", error, page) from error
    return f"{answer['user']} in {answer['team']}"


def way_in(slack: SlackSettings) -> str:
    """How Slack reaches the bot. Raises SetupProblem where Slack does not take the app token."""
    if slack.mode == "http":
        return f"signed HTTP, listened to at http://{slack.http_host}:{slack.http_port}/slack/events"
    page = "Copy it again from the app's page, under Basic Information, App-Level Tokens (scope connections:write)."
    client = WebClient(base_url=slack.api_url, timeout=TIMEOUT_SECONDS)
    try:
        client.apps_connections_open(app_token=slack.app_token.get_secret_value())
    except (SlackClientError, OSError) as error:
        raise _refused("SLACK_APP_TOKEN", error, page) from error
    return "Socket Mode, opened"


def _refused(name: str, error: Exception, mend: str) -> SetupProblem:
    if isinstance(error, SlackApiError):
        return SetupProblem(f"Slack refuses {name} ({error.response.get('error')}). {mend}")
    return SetupProblem(f"Slack cannot be reached ({type(error).__name__}). Check the network, and SLACK_API_URL.")
